//! Slots: how many requests run at once, who waits, and what has become of all of them. First come, first served.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most slots a server can have.
pub(super) const MAX_SLOTS: u32 = 4096;

/// How many requests may wait for a slot; more are turned away.
const MAX_WAITING: u64 = 4096;

/// What has become of the requests so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Taken in, whatever became of them.
    pub requests: u64,
    /// Holding a slot now.
    pub in_flight: u64,
    /// Waiting for a slot now.
    pub waiting: u64,
    /// The most that ever held a slot at once.
    pub peak: u64,
    /// Ended because the client left, waiting or running.
    pub cancelled: u64,
}

pub(super) struct Slots {
    free: Arc<Semaphore>,
    state: Mutex<State>,
}

struct State {
    busy: Vec<bool>,
    stats: Stats,
}

impl Slots {
    pub(super) fn new(count: u32) -> Self {
        let count = count.clamp(1, MAX_SLOTS) as usize;
        let state = State { busy: vec![false; count], stats: Stats::default() };
        Slots { free: Arc::new(Semaphore::new(count)), state: Mutex::new(state) }
    }

    /// Takes a request in; `None` when too many wait already.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Turn> {
        let mut state = self.lock();
        if state.stats.waiting >= MAX_WAITING {
            return None;
        }
        state.stats.requests += 1;
        state.stats.waiting += 1;
        Some(Turn { slots: self.clone(), place: Place::Waiting })
    }

    pub(super) fn stats(&self) -> Stats {
        self.lock().stats
    }

    /// Which slots are running something, by number.
    pub(super) fn busy(&self) -> Vec<bool> {
        self.lock().busy.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request's place: waiting, running in a slot, or done. Dropped before it is done, it counts as cancelled.
pub(super) struct Turn {
    slots: Arc<Slots>,
    place: Place,
}

enum Place {
    Waiting,
    Running { slot: usize, _permit: OwnedSemaphorePermit },
    Done,
}

impl Turn {
    /// Waits for a slot.
    pub(super) async fn begin(&mut self) {
        let permit = self.slots.free.clone().acquire_owned().await.expect("the semaphore is never closed");
        let mut state = self.slots.lock();
        let slot = state.busy.iter().position(|busy| !busy).expect("there are as many permits as slots");
        state.busy[slot] = true;
        state.stats.waiting -= 1;
        state.stats.in_flight += 1;
        state.stats.peak = state.stats.peak.max(state.stats.in_flight);
        drop(state);
        self.place = Place::Running { slot, _permit: permit };
    }

    /// Frees the slot of a request that was answered in full.
    pub(super) fn finish(&mut self) {
        self.leave(false);
    }

    fn leave(&mut self, cancelled: bool) {
        let place = std::mem::replace(&mut self.place, Place::Done);
        let mut state = self.slots.lock();
        match place {
            Place::Waiting => state.stats.waiting -= 1,
            Place::Running { slot, .. } => {
                state.busy[slot] = false;
                state.stats.in_flight -= 1;
            }
            Place::Done => return,
        }
        state.stats.cancelled += u64::from(cancelled);
        // The permit goes when `place` does, after the slot is marked free and the lock let go.
        drop(state);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.leave(true);
    }
}

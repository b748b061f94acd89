//! Requests that wait for a slot: bounded, high before normal, fair between clients in turns and in room, and bound as
//! late as can be, to whichever of their backends frees a slot first. It is drained by events and never polls. What a slot
//! is, it does not know: whoever frees one offers it.

mod config;
mod line;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

pub use config::Config;
pub use line::Rank;

use line::{Line, Stand};

/// Which requests go first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Before all others.
    High,
    /// In their turn.
    #[default]
    Normal,
}

impl Priority {
    /// The word of headers and error contexts.
    pub fn as_str(self) -> &'static str {
        match self {
            Priority::High => "high",
            Priority::Normal => "normal",
        }
    }

    /// From `X-Nexus-Priority`: `high` or `normal`, or 1 to 5 of which 1 and 2 are high. Anything else is normal.
    pub fn read(header: Option<&[u8]>) -> Self {
        match header.map(<[u8]>::trim_ascii) {
            Some(b"1" | b"2") => Priority::High,
            Some(word) if word.eq_ignore_ascii_case(b"high") => Priority::High,
            _ => Priority::Normal,
        }
    }
}

/// What a request waits for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The backends that would do, by name.
    pub backends: Vec<Arc<str>>,
    /// Which requests it goes before.
    pub priority: Priority,
    /// Whose it is: clients take turns, and share the room.
    pub client: Arc<str>,
}

/// The queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// How many wait.
    pub depth: usize,
}

/// The queue was full, and the place went to a client that had fewer requests waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evicted;

/// Requests that wait for slots of type `S`.
pub struct Queue<S> {
    line: Mutex<Line<S>>,
    // Beside the lock, so that whoever frees a slot need not take it while nobody waits.
    depth: AtomicUsize,
    max_size: AtomicUsize,
    entered: AtomicU64,
    granted: AtomicU64,
    late: AtomicU64,
}

/// What a queue has done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many wait now.
    pub depth: usize,
    /// How many may.
    pub max_size: usize,
    /// How many have taken a place.
    pub entered: u64,
    /// How many were given a slot.
    pub granted: u64,
    /// How many gave up because none came in time.
    pub late: u64,
}

/// A place in the queue; given up when dropped.
pub struct Place<S> {
    queue: Arc<Queue<S>>,
    rank: Rank,
    slot: oneshot::Receiver<S>,
    /// How many stood before it when it came, plus one, of those that wait for a backend of its own.
    pub position: usize,
    /// And how many behind it, as they came earlier and go later.
    pub behind: usize,
}

impl<S> Queue<S> {
    /// An empty queue in which `max_size` requests may wait.
    pub fn new(max_size: usize) -> Arc<Self> {
        Arc::new(Queue {
            line: Mutex::new(Line::default()),
            depth: AtomicUsize::new(0),
            max_size: AtomicUsize::new(max_size),
            entered: AtomicU64::new(0),
            granted: AtomicU64::new(0),
            late: AtomicU64::new(0),
        })
    }

    /// From now on `max_size` requests may wait. Those that wait already stay.
    pub fn resize(&self, max_size: usize) {
        self.max_size.store(max_size, Ordering::Relaxed);
    }

    /// How many wait.
    pub fn depth(&self) -> usize {
        self.depth.load(Ordering::SeqCst)
    }

    /// What it has done.
    pub fn counts(&self) -> Counts {
        let count = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        Counts {
            depth: self.depth(),
            max_size: self.max_size.load(Ordering::Relaxed),
            entered: count(&self.entered),
            granted: count(&self.granted),
            late: count(&self.late),
        }
    }

    /// A slot did not come in time.
    pub fn was_late(&self) {
        self.late.fetch_add(1, Ordering::Relaxed);
    }

    /// How many wait for this backend, among others perhaps.
    pub fn depth_of(&self, backend: &str) -> usize {
        if self.depth() == 0 { 0 } else { self.line().waiting_for(backend) }
    }

    /// Takes a place at the end of the client's turn. Where all are taken, a client with more of them gives one up.
    ///
    /// # Errors
    /// As many wait as may, and it is nobody's duty to give a place up.
    pub fn enter(self: &Arc<Self>, wish: Wish) -> Result<Place<S>, Full> {
        let (grant, slot) = oneshot::channel();
        let mut line = self.line();
        let evicted = match line.len() {
            depth if depth < self.max_size.load(Ordering::Relaxed) => None,
            depth => Some(line.make_room(&wish).ok_or(Full { depth })?),
        };
        let Stand { rank, before, behind } = line.push(wish, grant);
        self.depth.store(line.len(), Ordering::SeqCst);
        self.entered.fetch_add(1, Ordering::Relaxed);
        // Whoever gave way is woken by it: not under the lock.
        drop(line);
        drop(evicted);
        Ok(Place { queue: self.clone(), rank, slot, position: before + 1, behind })
    }

    /// A slot of `backend` may be free: those who wait for it get slots for as long as `take` gives any.
    pub fn offer(&self, backend: &str, mut take: impl FnMut() -> Option<S>) {
        while self.depth() > 0 {
            let mut line = self.line();
            let Some(rank) = line.first_for(backend) else { return };
            let Some(slot) = take() else { return };
            let grant = line.grant(&rank);
            self.depth.store(line.len(), Ordering::SeqCst);
            // A slot that nobody takes any more is freed, which offers it again: not under the lock.
            drop(line);
            let taken = grant.is_some_and(|grant| grant.send(slot).is_ok());
            self.granted.fetch_add(u64::from(taken), Ordering::Relaxed);
        }
    }

    fn leave(&self, rank: &Rank) {
        let mut line = self.line();
        line.remove(rank);
        self.depth.store(line.len(), Ordering::SeqCst);
    }

    fn line(&self) -> std::sync::MutexGuard<'_, Line<S>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Place<S> {
    /// How many stand before it now, of those that wait for a backend of its own, and how many behind it.
    pub fn around(&self) -> (usize, usize) {
        self.queue.line().around(&self.rank)
    }

    /// Waits for a slot.
    ///
    /// # Errors
    /// The place had to be given up.
    pub async fn slot(&mut self) -> Result<S, Evicted> {
        (&mut self.slot).await.map_err(|_| Evicted)
    }
}

impl<S> Drop for Place<S> {
    fn drop(&mut self) {
        self.queue.leave(&self.rank);
    }
}

#[cfg(test)]
mod tests;

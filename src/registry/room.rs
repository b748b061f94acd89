//! Which backends have no room for two of their models at once. There a model that was loaded stays for a while: requests
//! for another one that would push it out wait, or go elsewhere. Without that, two models that are asked for in turns are
//! loaded for every single request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::entry::Entry;
use crate::fleet::{Model, Residency};

/// How long a model stays at least.
pub(super) const LEAST_STAY: Duration = Duration::from_secs(30);

/// For how long it is remembered that one had to go for another.
const REMEMBERED: Duration = Duration::from_secs(600);

/// The room of one backend.
#[derive(Default)]
pub(super) struct Room {
    /// Whether one had to go for another lately. Where there is room for all, requests touch no lock.
    is_tight: AtomicBool,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// When each was loaded for a request of ours, or begins to be.
    came: BTreeMap<String, Instant>,
    /// When one had to go for another.
    pushed_out_at: Option<Instant>,
}

impl Room {
    /// `model` is loaded from now on.
    fn comes(&self, model: &str) {
        let mut memory = self.memory();
        memory.came.retain(|_, at| at.elapsed() < LEAST_STAY);
        memory.came.insert(model.to_owned(), Instant::now());
    }

    /// `model` went because it was told to.
    pub(super) fn was_unloaded(&self, model: &str) {
        self.stays_away(model);
    }

    /// It was not loaded after all.
    fn stays_away(&self, model: &str) {
        self.memory().came.remove(model);
    }

    /// A check has found that these are in memory now, where those `before` were.
    pub(super) fn seen<'m>(&self, before: impl Iterator<Item = &'m Model>, now: &[std::sync::Arc<Model>]) {
        let is = |id: &str, residency| now.iter().any(|model| model.id == id && model.residency == residency);
        let went = |model: &Model| model.residency == Residency::Loaded && is(&model.id, Residency::Unloaded);
        let has_gone: Vec<&str> = before.filter(|model| went(model)).map(|model| model.id.as_str()).collect();
        let mut memory = self.memory();
        let has_come = |(id, at): (&String, &Instant)| at.elapsed() < LEAST_STAY && !has_gone.contains(&id.as_str());
        if !has_gone.is_empty() && memory.came.iter().any(has_come) {
            memory.pushed_out_at = Some(Instant::now());
        }
        let is_tight = memory.pushed_out_at.is_some_and(|at| at.elapsed() < REMEMBERED);
        self.is_tight.store(is_tight, Ordering::Relaxed);
    }

    /// For how long `model` may not push out one that came after it, and when that came.
    fn taken_for(&self, model: &str) -> Option<(Duration, Instant)> {
        if !self.is_tight.load(Ordering::Relaxed) {
            return None;
        }
        let memory = self.memory();
        let own = memory.came.get(model);
        let later = memory.came.iter().filter(|(id, at)| *id != model && Some(*at) > own);
        let (_, at) = later.max_by_key(|(_, at)| **at)?;
        let left = LEAST_STAY.saturating_sub(at.elapsed());
        (!left.is_zero()).then_some((left, *at))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// How long a request for `model` has to wait until another model, which was loaded just now, may be pushed out for it.
    pub fn is_taken_for(&self, model: &str) -> Duration {
        let leaves_for = self.leaves_for(model);
        let Some((left, came)) = self.room.taken_for(model) else { return leaves_for };
        // Whether both are there, only a check since then can tell.
        let has_room = self.residency_now(model) == Residency::Loaded && self.condition().checked_at > Some(came);
        if has_room { leaves_for } else { left.max(leaves_for) }
    }

    /// A request that needs `model` loaded is on its way.
    pub fn loads(&self, model: &str) {
        self.served.loads(model);
        self.room.comes(model);
    }

    /// What became of it: whether `model` has answered. What had to go for it is for a check to find out, at once.
    pub fn loaded(&self, model: &str, answered: bool) {
        self.served.loaded(model, answered);
        if answered {
            self.room.comes(model);
            self.check_now.notify_one();
        } else {
            self.room.stays_away(model);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn models(loaded: &[&str]) -> Vec<Arc<Model>> {
        let residency = |id: &str| if loaded.contains(&id) { Residency::Loaded } else { Residency::Unloaded };
        ["a", "b", "c"].map(|id| Arc::new(Model { residency: residency(id), ..Model::named(id) })).into()
    }

    fn see(room: &Room, before: &[&str], now: &[&str]) {
        room.seen(models(before).iter().map(|model| &**model), &models(now));
    }

    fn left(room: &Room, model: &str) -> Option<Duration> {
        room.taken_for(model).map(|(left, _)| left)
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_came_where_another_had_to_go_stays_for_a_while() {
        let room = Room::default();
        room.comes("a");
        see(&room, &[], &["a"]);
        assert_eq!(room.taken_for("b"), None, "nobody knows yet");
        tokio::time::advance(SECOND).await;
        room.comes("b");
        see(&room, &["a"], &["b"]);
        assert_eq!((left(&room, "a"), left(&room, "b")), (Some(LEAST_STAY), None));
        tokio::time::advance(10 * SECOND).await;
        assert_eq!(left(&room, "a"), Some(20 * SECOND));
        tokio::time::advance(20 * SECOND).await;
        assert_eq!(room.taken_for("a"), None, "its time is over");
        room.comes("a");
        assert_eq!(left(&room, "b"), Some(LEAST_STAY), "and now that of the other begins");
        room.stays_away("a");
        assert_eq!(room.taken_for("b"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn where_there_is_room_or_one_went_by_itself_nobody_waits() {
        let room = Room::default();
        room.comes("a");
        room.comes("b");
        see(&room, &["a"], &["a", "b"]);
        assert_eq!(room.taken_for("c"), None, "room for both");
        tokio::time::advance(LEAST_STAY).await;
        see(&room, &["a", "b"], &["b"]);
        room.comes("c");
        assert_eq!(room.taken_for("a"), None, "nothing had come when it went");
    }

    #[tokio::test(start_paused = true)]
    async fn what_had_to_go_is_forgotten_in_time() {
        let room = Room::default();
        room.comes("b");
        see(&room, &["a"], &["b"]);
        tokio::time::advance(REMEMBERED).await;
        see(&room, &["b"], &["b"]);
        room.comes("c");
        assert_eq!(room.taken_for("a"), None);
    }
}

//! Others' work on a backend: what its server has to do less what it has from us. It is asked now and then and may be
//! stale, so it takes every slot but one from us, never the last.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::entry::Entry;

/// Requests from others, as the server told last.
#[derive(Default)]
pub(super) struct Others(AtomicU32);

/// What we had there when the server was asked.
#[derive(Clone, Copy, Debug)]
pub struct Glance {
    in_flight: u32,
    ended: u64,
}

impl Entry {
    /// Taken before its server is asked how busy it is.
    pub fn glance(&self) -> Glance {
        let load = self.load();
        Glance { in_flight: load.in_flight, ended: load.total }
    }

    /// What its server has said since; `None` = nothing, which also makes forget what it said before. Whatever of ours
    /// may have been counted is not others'.
    pub fn told_at_work(self: &Arc<Self>, before: Glance, at_work: Option<u32>) {
        let after = self.glance();
        // Those that ended meanwhile, and those that are there now, are all that can have been counted.
        let ended = u32::try_from(after.ended.saturating_sub(before.ended)).unwrap_or(u32::MAX);
        let ours = after.in_flight.saturating_add(ended).max(before.in_flight);
        let foreign = at_work.map_or(0, |at_work| at_work.saturating_sub(ours));
        if self.others.0.swap(foreign, Ordering::SeqCst) > foreign {
            self.free();
        }
    }

    /// Requests that it has from others, as far as it tells.
    pub fn foreign(&self) -> u32 {
        self.others.0.load(Ordering::SeqCst)
    }

    /// Whether anybody has anything there, as far as is known.
    pub fn is_at_work(&self) -> bool {
        self.load().at_work() > 0
    }

    /// How many of our own requests it may have now.
    pub(super) fn room(&self) -> u32 {
        self.concurrency().map_or(u32::MAX, |slots| slots.saturating_sub(self.foreign()).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Condition, InFlight, Registry};
    use super::*;
    use crate::fleet::{BackendSpec, Kind, Source};

    fn with_slots(slots: Option<u32>) -> (Registry, Arc<Entry>) {
        let registry = Registry::new(Vec::new());
        let url = "http://127.0.0.1:1".parse().expect("literal");
        let entry = registry.add(BackendSpec::new("b", url, Kind::LlamaCpp, Source::Static)).expect("free");
        registry.update(&entry, Condition { slots, ..Condition::default() });
        (registry, entry)
    }

    fn told(entry: &Arc<Entry>, at_work: Option<u32>) -> u32 {
        entry.told_at_work(entry.glance(), at_work);
        entry.foreign()
    }

    #[test]
    fn what_others_do_is_what_is_done_less_what_is_ours() {
        let (_registry, entry) = with_slots(Some(4));
        for (ours, at_work, foreign) in [
            (0, Some(0), 0),
            (0, Some(3), 3),
            (2, Some(3), 1),
            (3, Some(3), 0),
            (3, Some(1), 0),
            (2, Some(u32::MAX), u32::MAX - 2),
            (2, None, 0),
        ] {
            let held: Vec<InFlight> = (0..ours).map(|_| entry.begin().expect("a slot")).collect();
            assert_eq!(told(&entry, at_work), foreign, "{ours} {at_work:?}");
            told(&entry, None);
            drop(held);
        }
    }

    #[test]
    fn what_came_or_went_while_it_was_asked_is_ours() {
        let (_registry, entry) = with_slots(Some(4));
        let (one, before) = (entry.begin().expect("a slot"), entry.glance());
        let two = entry.begin().expect("a slot");
        drop(one);
        entry.told_at_work(before, Some(2));
        assert_eq!(entry.foreign(), 0);
        let before = entry.glance();
        drop(two);
        entry.told_at_work(before, Some(1));
        assert_eq!(entry.foreign(), 0);
    }

    #[test]
    fn others_take_every_slot_but_one() {
        let (_registry, entry) = with_slots(Some(3));
        told(&entry, Some(2));
        let held = entry.begin().expect("the third");
        assert!(entry.begin().is_err() && entry.load().is_full());
        drop(held);
        told(&entry, Some(100));
        assert!(entry.load().is_full());
        let held = entry.begin().expect("what was told may be long past");
        assert!(entry.begin().is_err());
        told(&entry, None);
        let more = entry.begin().expect("forgotten where the question fails");
        drop((held, more));
        let (_registry, unlimited) = with_slots(None);
        told(&unlimited, Some(100));
        let held: Vec<InFlight> = (0..50).map(|_| unlimited.begin().expect("no limit")).collect();
        assert_eq!((held.len(), unlimited.load().is_full()), (50, false));
    }

    #[test]
    fn who_waits_hears_when_others_have_gone() {
        let (registry, entry) = with_slots(Some(2));
        let heard = Arc::new(AtomicU32::new(0));
        let counter = heard.clone();
        registry.on_free(Box::new(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
        }));
        told(&entry, Some(2));
        assert_eq!(heard.load(Ordering::SeqCst), 0, "no slot has become free");
        told(&entry, Some(2));
        assert_eq!(heard.load(Ordering::SeqCst), 0);
        told(&entry, Some(1));
        assert_eq!(heard.load(Ordering::SeqCst), 1);
        told(&entry, None);
        assert_eq!(heard.load(Ordering::SeqCst), 2);
    }
}

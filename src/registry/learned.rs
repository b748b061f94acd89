//! What a backend's streams teach of how many it takes at once. Streams are counted by atomics; only the end of one takes
//! a lock, and only where there is something to learn.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::entry::{Entry, InFlight};
use super::knee::{Knee, Sample};
use super::wedge::Wedge;
use crate::fleet::Model;

/// Of one backend.
#[derive(Default)]
pub(super) struct Learned {
    /// Requests in flight that asked for a stream, and those of them that have had their first byte.
    streams: AtomicU32,
    flowing: AtomicU32,
    wedge: Wedge,
    /// By model: each has its own speed.
    knees: Mutex<BTreeMap<String, Knee>>,
    /// What the model that was served last is good for; 0 = not known.
    limit: AtomicU32,
    /// Requests since a stream has said anything.
    dumb: AtomicU32,
}

/// Models of one backend that are learned from. With one more all begin anew.
const MOST_MODELS: usize = 16;

/// A stream of fewer tokens says nothing of its speed.
const LEAST_TOKENS: u64 = 8;

/// After so many requests without a stream that says anything, what was learned is forgotten.
const FORGOTTEN_AFTER: u32 = 512;

/// How a request's answer comes.
#[derive(Default)]
pub(super) enum Coming {
    /// In one piece, as far as is known.
    #[default]
    Whole,
    /// As a stream of this model that has not begun yet.
    Stream(Arc<Model>),
    /// As a stream of this model that began when so many were in flight.
    Flowing(Arc<Model>, u32),
}

impl Learned {
    pub(super) fn limit(&self) -> Option<u32> {
        Some(self.limit.load(Ordering::Relaxed)).filter(|limit| *limit > 0)
    }

    /// Streams that wait for their first byte.
    fn waiting(&self) -> u32 {
        self.streams.load(Ordering::Relaxed).saturating_sub(self.flowing.load(Ordering::Relaxed))
    }

    fn push(&self, model: &str, sample: Sample) {
        let mut knees = self.knees.lock().unwrap_or_else(PoisonError::into_inner);
        if knees.len() >= MOST_MODELS && !knees.contains_key(model) {
            knees.clear();
        }
        let knee = knees.entry(model.to_owned()).or_default();
        knee.push(sample);
        self.limit.store(knee.limit().unwrap_or(0), Ordering::Relaxed);
        self.dumb.store(0, Ordering::Relaxed);
    }

    /// A request has ended. Where no stream says anything any more, a wrong limit would stay for ever.
    fn ended(&self) {
        if self.limit().is_some() && self.dumb.fetch_add(1, Ordering::Relaxed) >= FORGOTTEN_AFTER {
            self.knees.lock().unwrap_or_else(PoisonError::into_inner).clear();
            self.limit.store(0, Ordering::Relaxed);
        }
    }
}

impl InFlight {
    /// Its answer will be a stream of this model, which is stuck `after` so long without a first byte, if anybody can tell.
    pub fn will_stream(&mut self, model: &Arc<Model>, after: Option<Duration>) {
        if matches!(self.coming, Coming::Whole) {
            let learned = &self.entry().learned;
            learned.wedge.sent(after, learned.waiting());
            learned.streams.fetch_add(1, Ordering::Relaxed);
            self.coming = Coming::Stream(model.clone());
        }
    }

    /// The first byte of its answer is here.
    pub fn flows(&mut self) {
        let Coming::Stream(model) = std::mem::take(&mut self.coming) else { return };
        let learned = &self.entry().learned;
        learned.flowing.fetch_add(1, Ordering::Relaxed);
        learned.wedge.heard();
        self.coming = Coming::Flowing(model, self.entry().load().in_flight);
    }

    /// Its stream came to its end, at this speed.
    pub fn flowed(&self, tokens: u64, tokens_per_second: f32) {
        let (Coming::Flowing(model, began_with), entry) = (&self.coming, self.entry()) else { return };
        if tokens < LEAST_TOKENS || !entry.learns() {
            return;
        }
        let learned = &entry.learned;
        let at_once = entry.load().in_flight;
        // Answers in one piece take their share and show nothing of it; and a stream that began with more or fewer
        // beside it has the speed of neither.
        let says_something = learned.streams.load(Ordering::Relaxed) == at_once && *began_with == at_once;
        if says_something {
            let flowing = learned.flowing.load(Ordering::Relaxed);
            learned.push(&model.id, Sample { at_once, flowing, tokens_per_second });
        }
    }

    pub(super) fn comes_no_more(&mut self) {
        let learned = &self.entry().learned;
        match &self.coming {
            Coming::Whole => {}
            Coming::Stream(_) => {
                learned.streams.fetch_sub(1, Ordering::Relaxed);
            }
            Coming::Flowing(..) => {
                learned.flowing.fetch_sub(1, Ordering::Relaxed);
                learned.streams.fetch_sub(1, Ordering::Relaxed);
            }
        }
        learned.ended();
        self.coming = Coming::Whole;
    }
}

impl Entry {
    /// Whether it takes requests and answers none.
    pub(super) fn is_wedged(&self) -> bool {
        self.learned.wedge.is_wedged(self.learned.waiting())
    }

    /// Whether nobody tells how many it takes at once, and there is a number to be found out.
    fn learns(&self) -> bool {
        self.told_concurrency().is_none() && !self.spec.kind.takes_any_number()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Condition, Registry};
    use super::*;
    use crate::fleet::{BackendSpec, Kind, Source};

    fn entry(kind: Kind) -> (Registry, Arc<Entry>) {
        let registry = Registry::new(Vec::new());
        let spec = BackendSpec::new("b", "http://127.0.0.1:1".parse().expect("literal"), kind, Source::Static);
        let entry = registry.add(spec).expect("free");
        (registry, entry)
    }

    /// Streams of `model` side by side, of which `flowing` have begun; one of these ends.
    fn stream(entry: &Arc<Entry>, model: &str, at_once: usize, flowing: usize, speed: f32) {
        let model = Arc::new(Model::named(model));
        let mut held: Vec<InFlight> = (0..at_once).map(|_| entry.begin().expect("a slot")).collect();
        held.iter_mut().for_each(|lease| lease.will_stream(&model, None));
        held.iter_mut().take(flowing).for_each(InFlight::flows);
        held[0].flowed(100, speed);
    }

    /// Two at once are no faster than one.
    fn teach(entry: &Arc<Entry>, model: &str) {
        for _ in 0..8 {
            stream(entry, model, 1, 1, 50.0);
            stream(entry, model, 2, 1, 50.0);
        }
    }

    #[test]
    fn an_engine_that_tells_nothing_is_found_out() {
        let (_registry, entry) = entry(Kind::Ollama);
        teach(&entry, "m");
        assert_eq!((entry.concurrency(), entry.load().concurrency), (Some(1), Some(1)));
        let held = entry.begin().expect("one");
        assert!(entry.begin().is_err());
        drop(held);
        stream(&entry, "other", 1, 1, 50.0);
        assert_eq!(entry.concurrency(), None, "another model, of which nothing is known");
    }

    #[test]
    fn an_engine_that_batches_or_tells_is_not_limited_by_what_was_learned() {
        for kind in [Kind::Vllm, Kind::OpenAi] {
            let (_registry, entry) = entry(kind);
            teach(&entry, "m");
            assert_eq!(entry.concurrency(), None, "{kind}");
        }
        let (registry, entry) = entry(Kind::LlamaCpp);
        registry.update(&entry, Condition { slots: Some(4), ..Condition::default() });
        teach(&entry, "m");
        assert_eq!(entry.concurrency(), Some(4));
    }

    #[test]
    fn streams_beside_whole_answers_or_in_changing_company_say_nothing() {
        let (_registry, entry) = entry(Kind::Ollama);
        let model = Arc::new(Model::named("m"));
        for _ in 0..20 {
            stream(&entry, "m", 1, 1, 50.0);
            let (whole, mut one) = (entry.begin().expect("a slot"), entry.begin().expect("a slot"));
            one.will_stream(&model, None);
            one.flows();
            one.flowed(100, 20.0);
            drop(whole);
            one.flowed(100, 20.0);
            one.flowed(3, 50.0);
        }
        assert_eq!(entry.concurrency(), None);
        assert_eq!(entry.learned.knees.lock().expect("no panic")["m"].limit(), None);
        drop(entry.begin());
        let counts = (&entry.learned.streams, &entry.learned.flowing);
        assert_eq!((counts.0.load(Ordering::Relaxed), counts.1.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn what_was_learned_is_forgotten_where_no_stream_says_anything_any_more() {
        let (_registry, entry) = entry(Kind::Ollama);
        teach(&entry, "m");
        let mut kept = 0;
        while entry.concurrency().is_some() && kept <= FORGOTTEN_AFTER {
            assert_eq!(entry.concurrency(), Some(1));
            drop(entry.begin().expect("a slot"));
            kept += 1;
        }
        assert_eq!(entry.concurrency(), None);
        assert!(kept > FORGOTTEN_AFTER / 2, "forgotten after {kept} requests");
    }

    #[test]
    fn models_without_end_are_not_remembered_without_end() {
        let (_registry, entry) = entry(Kind::Ollama);
        for number in 0..100 {
            stream(&entry, &format!("m{number}"), 1, 1, 50.0);
            assert!(entry.learned.knees.lock().expect("no panic").len() <= MOST_MODELS);
        }
    }
}

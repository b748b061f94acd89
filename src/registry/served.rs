//! What serving has taught of each model of a backend: its pace, and the prompts that were read lately. Both end with the
//! node; what is wrong is soon learned anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::pace::{self, Sample};
use crate::fleet::{Digest, Model, ModelFacts, Pace, Prefix, Recent, Residency};

/// Models of one backend that are remembered: with one more, the one that was served least lately is forgotten.
const MOST_MODELS: usize = 64;

/// A load that takes longer is not to be waited for.
const LONGEST_LOAD: Duration = Duration::from_secs(600);

/// What is told of prompts to others changes no more often.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// Of one backend.
#[derive(Default)]
pub(super) struct Served(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    models: BTreeMap<String, OfModel>,
    turn: u64,
}

#[derive(Default)]
struct OfModel {
    pace: Pace,
    /// From which it was learned.
    answers: u32,
    recent: Recent,
    digest: Arc<Digest>,
    is_stale: bool,
    told: Arc<Digest>,
    told_at: Option<Instant>,
    /// A request of ours has it loaded.
    loading_since: Option<Instant>,
    /// It has answered, and so was loaded.
    answered_at: Option<Instant>,
    turn: u64,
}

impl Served {
    /// An answer of `model` came to its end.
    pub(super) fn learn(&self, model: &str, sample: &Sample) {
        let mut memory = self.memory();
        let known = memory.of(model);
        pace::learn(&mut known.pace, sample, known.answers);
        known.answers = known.answers.saturating_add(1);
    }

    /// `model` has read this prompt.
    pub(super) fn read(&self, model: &str, prefix: &Prefix) {
        let mut memory = self.memory();
        let known = memory.of(model);
        known.recent.note(&prefix.landmarks());
        known.is_stale = true;
    }

    /// A request that needs `model` in memory was sent.
    pub(super) fn loads(&self, model: &str) {
        self.memory().of(model).loading_since = Some(Instant::now());
    }

    /// What became of it: whether `model` has answered.
    pub(super) fn loaded(&self, model: &str, answered: bool) {
        let mut memory = self.memory();
        let known = memory.of(model);
        known.loading_since = None;
        known.answered_at = answered.then(Instant::now).or(known.answered_at);
    }

    /// It was told to leave.
    pub(super) fn unloaded(&self, model: &str) {
        let mut memory = self.memory();
        let known = memory.of(model);
        (known.loading_since, known.answered_at) = (None, None);
    }

    /// Whether `model` is in memory, by what its server said at `checked_at` and by what was seen since. A server that
    /// says nothing of it is not presumed to load anything.
    pub(super) fn residency(&self, model: &Model, checked_at: Option<Instant>) -> Residency {
        if model.residency == Residency::Unknown {
            return Residency::Unknown;
        }
        let memory = self.memory();
        let Some(known) = memory.models.get(&model.id) else { return model.residency };
        if known.loading_since.is_some_and(|since| since.elapsed() < LONGEST_LOAD) {
            return Residency::Loading;
        }
        if known.answered_at > checked_at { Residency::Loaded } else { model.residency }
    }

    /// Prompts that were read are not to be gone by any more.
    pub(super) fn forget_prompts(&self) {
        for known in self.memory().models.values_mut() {
            known.recent.clear();
            (known.digest, known.told, known.is_stale) = Default::default();
        }
    }

    /// The pace of `model`.
    pub(super) fn pace(&self, model: &str) -> Pace {
        self.memory().models.get(model).map(|known| known.pace).unwrap_or_default()
    }

    /// The prompts that `model` has read lately.
    pub(super) fn digest(&self, model: &str) -> Arc<Digest> {
        self.memory().models.get_mut(model).map(OfModel::digest).unwrap_or_default()
    }

    /// What others are told at `now`.
    pub(super) fn facts(&self, now: Instant) -> Vec<ModelFacts> {
        let mut memory = self.memory();
        let told = memory.models.iter_mut().map(|(model, known)| ModelFacts {
            model: model.clone(),
            pace: known.pace,
            digest: known.told(now),
        });
        told.collect()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn of(&mut self, model: &str) -> &mut OfModel {
        if !self.models.contains_key(model) {
            if self.models.len() >= MOST_MODELS {
                let oldest = self.models.iter().min_by_key(|(_, known)| known.turn).map(|(name, _)| name.clone());
                oldest.and_then(|oldest| self.models.remove(&oldest));
            }
            self.models.insert(model.to_owned(), OfModel::default());
        }
        self.turn += 1;
        let known = self.models.entry(model.to_owned()).or_default();
        known.turn = self.turn;
        known
    }
}

impl OfModel {
    fn digest(&mut self) -> Arc<Digest> {
        if std::mem::take(&mut self.is_stale) {
            self.digest = Arc::new(self.recent.digest());
        }
        self.digest.clone()
    }

    fn told(&mut self, now: Instant) -> Arc<Digest> {
        if self.told_at.is_none_or(|at| now.saturating_duration_since(at) >= TOLD_EVERY) {
            self.told = self.digest();
            self.told_at = Some(now);
        }
        self.told.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Mark, Piece};

    fn prompt(hashes: &[u64]) -> Prefix {
        let mark = |hash: &u64| Mark { hash: *hash, bytes: hash * 1024, kind: Piece::Message };
        Prefix { key: 0, explicit: false, marks: hashes.iter().map(mark).collect() }
    }

    fn held(served: &Served, model: &str, prefix: &Prefix) -> u64 {
        let digest = served.digest(model);
        prefix.held(|hash| digest.contains(hash))
    }

    #[tokio::test(start_paused = true)]
    async fn prompts_are_known_here_at_once_and_told_once_a_second() {
        let served = Served::default();
        let start = Instant::now();
        assert!(served.facts(start).is_empty());
        served.read("m", &prompt(&[1, 2]));
        assert_eq!((held(&served, "m", &prompt(&[1, 2, 3])), held(&served, "n", &prompt(&[1]))), (2048, 0));
        assert_eq!(served.facts(start)[0].digest.len(), 2);
        served.read("m", &prompt(&[1, 2, 3]));
        assert_eq!(held(&served, "m", &prompt(&[1, 2, 3])), 3072);
        assert_eq!(served.facts(start + TOLD_EVERY / 2)[0].digest.len(), 2);
        assert_eq!(served.facts(start + TOLD_EVERY)[0].digest.len(), 3);
        served.forget_prompts();
        assert_eq!(held(&served, "m", &prompt(&[1, 2, 3])), 0);
        assert!(served.facts(start + TOLD_EVERY)[0].digest.is_empty(), "what is gone is not told for another second");
    }

    #[tokio::test(start_paused = true)]
    async fn a_load_is_seen_from_its_request_to_its_answer() {
        let served = Served::default();
        let model = |residency| Model { residency, ..Model::named("m") };
        let (unloaded, unknown) = (model(Residency::Unloaded), model(Residency::Unknown));
        let checked_at = Some(Instant::now());
        assert_eq!(served.residency(&unloaded, checked_at), Residency::Unloaded);
        served.loads("m");
        assert_eq!(served.residency(&unloaded, checked_at), Residency::Loading);
        assert_eq!(served.residency(&unknown, checked_at), Residency::Unknown);
        served.loaded("m", false);
        assert_eq!(served.residency(&unloaded, checked_at), Residency::Unloaded);
        tokio::time::advance(Duration::from_secs(1)).await;
        served.loads("m");
        served.loaded("m", true);
        assert_eq!(served.residency(&unloaded, checked_at), Residency::Loaded);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(served.residency(&unloaded, Some(Instant::now())), Residency::Unloaded, "the server knows better");
        served.loads("m");
        tokio::time::advance(LONGEST_LOAD).await;
        assert_eq!(served.residency(&unloaded, checked_at), Residency::Loaded, "nobody waits for it any more");
    }

    #[test]
    fn models_without_end_are_not_remembered_without_end() {
        let served = Served::default();
        for number in 0..200 {
            served.read(&number.to_string(), &prompt(&[1]));
            served.read("kept", &prompt(&[1]));
        }
        assert_eq!(served.memory().models.len(), MOST_MODELS);
        assert_eq!(held(&served, "kept", &prompt(&[1])), 1024);
        assert_eq!(held(&served, "0", &prompt(&[1])), 0);
    }
}

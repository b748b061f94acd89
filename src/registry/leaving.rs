//! Which models of a backend have requests, and which are about to leave its memory: no request is to be cut because its
//! model goes. A request counts first and looks then, whoever unloads marks first and counts then: one sees the other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::entry::{Condition, Entry};
use super::{InFlight, Registry};
use crate::fleet::{Model, Residency};

/// Of one backend. Once a model is known, a request touches no lock that anybody writes to.
#[derive(Default)]
pub(super) struct Usage(RwLock<BTreeMap<String, Arc<Count>>>);

/// Of one model.
#[derive(Default)]
struct Count {
    in_use: AtomicU32,
    leaving: AtomicU32,
}

/// Models that are remembered. With one more those without requests are forgotten.
const MOST_MODELS: usize = 256;

/// How long a request for a model that leaves has to wait, for all that anybody knows: it had better go elsewhere.
const UNTIL_GONE: Duration = Duration::from_secs(30);

impl Usage {
    fn of(&self, model: &str) -> Arc<Count> {
        if let Some(count) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(model) {
            return count.clone();
        }
        let mut counts = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MOST_MODELS {
            counts.retain(|_, count| Arc::strong_count(count) > 1);
        }
        counts.entry(model.to_owned()).or_default().clone()
    }

    fn is_leaving(&self, model: &str) -> bool {
        let counts = self.0.read().unwrap_or_else(PoisonError::into_inner);
        counts.get(model).is_some_and(|count| count.leaving.load(Ordering::SeqCst) > 0)
    }

    /// Counts a request for `model`.
    pub(super) fn enter(&self, model: &str) -> Used {
        let count = self.of(model);
        count.in_use.fetch_add(1, Ordering::SeqCst);
        Used(count)
    }
}

/// A request for a model; counted until dropped.
pub(super) struct Used(Arc<Count>);

impl Drop for Used {
    fn drop(&mut self) {
        self.0.in_use.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A model that is about to leave. Until this is dropped no new request begins with it there.
pub struct Leaving {
    entry: Arc<Entry>,
    count: Arc<Count>,
}

impl Leaving {
    /// Requests that it has still.
    pub fn requests(&self) -> u32 {
        self.count.in_use.load(Ordering::SeqCst)
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.count.leaving.fetch_sub(1, Ordering::SeqCst);
        self.entry.free();
    }
}

impl Entry {
    /// From now on no request begins with `model` here: it goes elsewhere or waits.
    pub fn leave(self: &Arc<Self>, model: &str) -> Leaving {
        let count = self.usage.of(model);
        count.leaving.fetch_add(1, Ordering::SeqCst);
        Leaving { entry: self.clone(), count }
    }

    /// Whether `model` is about to leave its memory.
    pub fn is_leaving(&self, model: &str) -> bool {
        self.usage.is_leaving(model)
    }

    pub(super) fn leaves_for(&self, model: &str) -> Duration {
        if self.is_leaving(model) { UNTIL_GONE } else { Duration::ZERO }
    }
}

impl InFlight {
    /// Whether its model is about to leave: it had better not be sent. Asked when it has been counted by
    /// [`InFlight::sends`].
    pub fn is_too_late(&self) -> bool {
        self.used.as_ref().is_some_and(|used| used.0.leaving.load(Ordering::SeqCst) > 0)
    }
}

impl Registry {
    /// `model` of a backend is not in memory any more, as its server says. Who wants it should know before the next check.
    pub fn unloaded(&self, entry: &Arc<Entry>, model: &str) {
        let before = entry.condition();
        let out = |known: &Arc<Model>| {
            if known.id != model || known.residency == Residency::Unknown {
                return known.clone();
            }
            Arc::new(Model { residency: Residency::Unloaded, ..(**known).clone() })
        };
        let models = before.models.iter().map(out).collect();
        self.write(|_| entry.was_told_to_unload(model, Condition { models, ..(*before).clone() }));
        entry.check_now.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{BackendSpec, Kind, Source, Status};

    fn registry() -> (Registry, Arc<Entry>) {
        let registry = Registry::new(Vec::new());
        let url = "http://127.0.0.1:1".parse().expect("literal");
        let entry = registry.add(BackendSpec::new("a", url, Kind::Ollama, Source::Static)).expect("free");
        let model = Arc::new(Model { residency: Residency::Loaded, ..Model::named("m") });
        registry.update(&entry, Condition { status: Status::Healthy, models: vec![model], ..Condition::default() });
        (registry, entry)
    }

    #[test]
    fn requests_are_counted_by_model_until_they_end() {
        let (_registry, entry) = registry();
        let mut request = entry.begin().expect("a slot");
        request.sends(&Arc::new(Model::named("m")));
        assert!(!request.is_too_late());
        let (leaving, other) = (entry.leave("m"), entry.leave("n"));
        assert_eq!((leaving.requests(), other.requests()), (1, 0));
        assert!(request.is_too_late() && entry.is_suspect("m") && !entry.is_taken_for("m").is_zero());
        drop(request);
        assert_eq!(leaving.requests(), 0);
        drop((leaving, other));
        assert!(!entry.is_leaving("m") && !entry.is_suspect("m") && entry.is_taken_for("m").is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_unloaded_is_known_to_be_at_once() {
        let (registry, entry) = registry();
        entry.loaded("m", true);
        registry.unloaded(&entry, "m");
        assert_eq!(entry.residency_now("m"), Residency::Unloaded);
        let snapshot = registry.snapshot();
        assert_eq!(snapshot.offering("m")[0].model.residency, Residency::Unloaded);
    }
}

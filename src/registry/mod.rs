//! The backends of this peer: the one place that knows them. Readers take an immutable snapshot; writers replace it
//! whole under one lock, so no reader ever waits and no two locks are ever held.

mod abroad;
mod breaker;
mod breakers;
mod change;
mod endpoint;
mod entry;
mod knee;
mod lacking;
mod learned;
mod leaving;
mod others;
mod pace;
mod quality;
mod room;
mod served;
mod share;
mod ward;
mod wedge;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::fleet::{BackendSpec, Model, Status};

pub use abroad::{Abroad, Away};
pub use endpoint::{Endpoint, Whereabouts};
pub use entry::{Condition, Entry, Full, InFlight, OnFree, Waiting};
pub use leaving::Leaving;
pub use others::Glance;
pub use pace::Sample;
pub use quality::Quality;

/// The backends of this peer.
pub struct Registry {
    snapshot: ArcSwap<Snapshot>,
    writing: Mutex<()>,
    changed: watch::Sender<u64>,
    here: ArcSwap<Whereabouts>,
    on_free: Arc<OnceLock<OnFree>>,
    quality: Arc<Quality>,
}

/// Every backend at one instant.
#[derive(Default)]
pub struct Snapshot {
    /// Sorted by name.
    pub entries: Vec<Arc<Entry>>,
    by_model: HashMap<String, Vec<Offered>>,
}

/// A model as one backend offers it.
#[derive(Clone)]
pub struct Offered {
    /// The backend.
    pub entry: Arc<Entry>,
    /// The model there.
    pub model: Arc<Model>,
}

/// The name is taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a backend named '{0}' exists already: choose another name or remove it first")]
pub struct Duplicate(pub String);

impl Registry {
    /// No backends yet. What listens at an address of `here` is near.
    pub fn new(here: impl Into<Whereabouts>) -> Self {
        Registry {
            snapshot: ArcSwap::default(),
            writing: Mutex::new(()),
            changed: watch::Sender::new(0),
            here: ArcSwap::from_pointee(here.into()),
            on_free: Arc::default(),
            quality: Arc::default(),
        }
    }

    /// The same, from when on its backends count as bad.
    #[must_use]
    pub fn judging_by(self, quality: Quality) -> Self {
        Registry { quality: Arc::new(quality), ..self }
    }

    /// Every backend, now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Counts up when backends come, go, or change in status or models; not with load.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Where a backend's server is, seen from outside this machine.
    pub fn endpoint(&self, url: &url::Url) -> Endpoint {
        Endpoint::of(url, &self.here.load())
    }

    /// Takes a backend in.
    ///
    /// # Errors
    /// Its name is taken.
    pub fn add(&self, spec: BackendSpec) -> Result<Arc<Entry>, Duplicate> {
        self.write(|entries| {
            if entries.iter().any(|entry| entry.spec.name == spec.name) {
                return Err(Duplicate(spec.name));
            }
            let endpoint = self.endpoint(&spec.url);
            let entry = Arc::new(Entry::new(spec, endpoint, self.on_free.clone(), self.quality.clone()));
            entries.push(entry.clone());
            entries.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
            Ok(entry)
        })
    }

    /// This machine has other addresses now, or may have: what is near is found out anew.
    pub fn moved(&self, here: Whereabouts) {
        if **self.here.load() == here {
            return;
        }
        self.write(|entries| {
            self.here.store(Arc::new(here));
            for entry in entries {
                entry.set_endpoint(self.endpoint(&entry.spec.url));
            }
        });
    }

    /// Lets a backend go. Requests it has are finished.
    pub fn remove(&self, name: &str) -> Option<Arc<Entry>> {
        self.write(|entries| {
            let at = entries.iter().position(|entry| entry.spec.name == name)?;
            let entry = entries.remove(at);
            entry.gone.cancel();
            Some(entry)
        })
    }

    /// Who is told whenever a slot of a backend may have become free. Only the first is.
    pub fn on_free(&self, told: OnFree) {
        let _ = self.on_free.set(told);
    }

    /// Lets exactly this backend go; another one that has its name by now stays.
    pub fn discard(&self, gone: &Arc<Entry>) {
        if !self.has(gone) {
            return;
        }
        self.write(|entries| entries.retain(|entry| !Arc::ptr_eq(entry, gone)));
        gone.gone.cancel();
    }

    /// Whether exactly this backend is still here.
    pub fn has(&self, entry: &Arc<Entry>) -> bool {
        self.snapshot.load().get(&entry.spec.name).is_some_and(|known| Arc::ptr_eq(known, entry))
    }

    /// Notes what a check has found, and tells those who watch if it matters to them.
    pub fn update(&self, entry: &Arc<Entry>, condition: Condition) {
        let before = entry.condition();
        let matters = before.status != condition.status || before.models != condition.models;
        entry.set_condition(condition);
        if matters {
            self.write(|_| ());
        }
        // It may have more slots, or be there again.
        entry.free();
    }

    /// A found backend's announcement was taken back, or came again. Withdrawn, its status is unknown.
    pub fn withdraw(&self, entry: &Arc<Entry>, withdrawn: bool) {
        entry.set_withdrawn(withdrawn);
        if withdrawn {
            self.update(entry, Condition { status: Status::Unknown, ..(*entry.condition()).clone() });
        }
    }

    /// Tells those who watch that a backend's standing has changed.
    pub fn touch(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    fn write<T>(&self, change: impl FnOnce(&mut Vec<Arc<Entry>>) -> T) -> T {
        let guard = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = self.snapshot.load().entries.clone();
        let result = change(&mut entries);
        self.snapshot.store(Arc::new(Snapshot::of(entries)));
        drop(guard);
        self.touch();
        result
    }
}

impl Snapshot {
    fn of(entries: Vec<Arc<Entry>>) -> Self {
        let mut by_model: HashMap<String, Vec<Offered>> = HashMap::new();
        for entry in &entries {
            for model in &entry.condition().models {
                let offered = Offered { entry: entry.clone(), model: model.clone() };
                by_model.entry(model.id.clone()).or_default().push(offered);
            }
        }
        Snapshot { entries, by_model }
    }

    /// Who offers a model, by name of backend.
    pub fn offering(&self, model: &str) -> &[Offered] {
        self.by_model.get(model).map_or(&[], Vec::as_slice)
    }

    /// A backend by name.
    pub fn get(&self, name: &str) -> Option<&Arc<Entry>> {
        self.entries.iter().find(|entry| entry.spec.name == name)
    }

    /// How many answer their checks.
    pub fn healthy(&self) -> usize {
        self.entries.iter().filter(|entry| entry.status() == Status::Healthy).count()
    }
}

#[cfg(test)]
mod tests;

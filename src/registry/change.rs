//! A backend that is changed while it serves: told to drain, or replaced by what it is to be from now on. No request that it
//! has is cut.

use std::sync::Arc;

use super::{Condition, Entry, Registry};
use crate::fleet::BackendSpec;

impl Registry {
    /// Has a backend finish what it has and take no more, or take requests again. `None` where there is none of that name.
    pub fn drain(&self, name: &str, draining: bool) -> Option<Arc<Entry>> {
        let entry = self.write(|entries| {
            let entry = entries.iter().find(|entry| entry.spec.name == name)?;
            entry.set_draining(draining);
            Some(entry.clone())
        })?;
        // Who waits for it looks elsewhere, or has its slots again.
        entry.free();
        Some(entry)
    }

    /// Puts a backend in the place of whatever has its name. What checks have found of the same server still holds, so that
    /// its models are not missing until the next one; requests that the old one has are finished and not counted here.
    pub fn replace(&self, spec: BackendSpec) -> Arc<Entry> {
        self.write(|entries| {
            let endpoint = self.endpoint(&spec.url);
            let fresh = Arc::new(Entry::new(spec, endpoint, self.on_free.clone(), self.quality.clone()));
            if let Some(at) = entries.iter().position(|entry| entry.spec.name == fresh.spec.name) {
                let old = entries.remove(at);
                fresh.set_draining(old.is_draining());
                if is_same_server(&old.spec, &fresh.spec) {
                    fresh.set_condition(Condition::clone(&old.condition()));
                }
                old.gone.cancel();
            }
            entries.push(fresh.clone());
            entries.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
            fresh
        })
    }
}

fn is_same_server(one: &BackendSpec, other: &BackendSpec) -> bool {
    (&one.url, one.kind, &one.key) == (&other.url, other.kind, &other.key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Kind, Model, Source, Status};

    fn spec(url: &str) -> BackendSpec {
        BackendSpec::new("a", url.parse().expect("literal"), Kind::Generic, Source::Static)
    }

    fn healthy(registry: &Registry, entry: &Arc<Entry>) {
        let models = vec![Arc::new(Model::named("m"))];
        registry.update(entry, Condition { status: Status::Healthy, models, ..Condition::default() });
    }

    #[test]
    fn one_that_drains_keeps_what_it_has_whatever_checks_say() {
        let registry = Registry::new(Vec::new());
        let entry = registry.add(spec("http://127.0.0.1:1")).expect("free");
        healthy(&registry, &entry);
        let request = entry.begin().expect("a slot");
        assert!(registry.drain("a", true).is_some() && registry.drain("b", true).is_none());
        healthy(&registry, &entry);
        assert_eq!(
            (entry.status(), entry.about().status, entry.load().in_flight),
            (Status::Draining, Status::Draining, 1)
        );
        assert!(!entry.may_serve() && registry.snapshot().healthy() == 0);
        drop(request);
        registry.drain("a", false);
        assert!(entry.may_serve() && registry.snapshot().healthy() == 1);
    }

    #[test]
    fn one_that_is_replaced_keeps_what_is_known_of_the_same_server() {
        let registry = Registry::new(Vec::new());
        let old = registry.add(spec("http://127.0.0.1:1")).expect("free");
        healthy(&registry, &old);
        let again = registry.replace(BackendSpec { priority: 7, ..spec("http://127.0.0.1:1") });
        assert!(old.gone.is_cancelled() && !registry.has(&old));
        assert_eq!((again.spec.priority, registry.snapshot().offering("m").len()), (7, 1));
        let elsewhere = registry.replace(spec("http://127.0.0.1:2"));
        assert_eq!((elsewhere.status(), registry.snapshot().offering("m").len()), (Status::Unknown, 0));
    }
}

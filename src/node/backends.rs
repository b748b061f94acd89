//! The backends of the configuration, when it is another: which come, go, or are something else now. Those that were added or
//! removed by hand are left alone where the file says nothing new of them.

use tracing::info;

use crate::fleet::BackendSpec;
use crate::registry::Registry;

/// What is different.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) added: Vec<BackendSpec>,
    pub(super) removed: Vec<String>,
    pub(super) changed: Vec<BackendSpec>,
}

impl Changes {
    pub(super) fn between(before: &[BackendSpec], after: &[BackendSpec]) -> Self {
        let mut changes = Changes::default();
        for spec in after {
            match before.iter().find(|known| known.name == spec.name) {
                None => changes.added.push(spec.clone()),
                Some(known) if known != spec => changes.changed.push(spec.clone()),
                Some(_) => {}
            }
        }
        let is_gone = |known: &&BackendSpec| !after.iter().any(|spec| spec.name == known.name);
        changes.removed = before.iter().filter(is_gone).map(|known| known.name.clone()).collect();
        changes
    }

    /// Those that go finish what they have, and so do the old ones of those that are different.
    pub(super) fn put_in_force(&self, registry: &Registry) {
        for name in &self.removed {
            if registry.remove(name).is_some() {
                info!(backend = name.as_str(), "Backend removed: the configuration has it no more");
            }
        }
        for spec in self.added.iter().chain(&self.changed) {
            // What the operator has written down goes before what was found or added by hand under the same name.
            let entry = registry.replace(spec.clone());
            info!(backend = entry.spec.name.as_str(), kind = %entry.spec.kind, "Backend taken from the configuration");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Kind, Source};

    fn spec(name: &str, url: &str) -> BackendSpec {
        BackendSpec::new(name, url.parse().expect("literal"), Kind::Generic, Source::Static)
    }

    #[test]
    fn only_what_is_different_is_touched() {
        let before = [spec("a", "http://h:1"), spec("b", "http://h:2"), spec("c", "http://h:3")];
        let after = [spec("b", "http://h:9"), spec("c", "http://h:3"), spec("d", "http://h:4")];
        let changes = Changes::between(&before, &after);
        let names = |specs: &[BackendSpec]| specs.iter().map(|spec| spec.name.clone()).collect::<Vec<_>>();
        assert_eq!((names(&changes.added), names(&changes.changed)), (vec!["d".to_owned()], vec!["b".to_owned()]));
        assert_eq!(changes.removed, ["a"]);
        assert_eq!(Changes::between(&before, &before), Changes::default());
    }
}

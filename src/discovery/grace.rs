//! Gone, or only quiet? What was announced, under which name it is known, and until when it may be silent: pure.

use std::collections::BTreeMap;

use tokio::time::Instant;

/// Announced instances and the backends they became.
#[derive(Debug, Default)]
pub(super) struct Grace(BTreeMap<String, Known>);

#[derive(Debug)]
struct Known {
    name: String,
    ends: Option<Instant>,
}

impl Grace {
    pub(super) fn found(&mut self, instance: &str, name: &str) {
        self.0.insert(instance.to_owned(), Known { name: name.to_owned(), ends: None });
    }

    pub(super) fn name_of(&self, instance: &str) -> Option<&str> {
        self.0.get(instance).map(|known| known.name.as_str())
    }

    /// It said goodbye: it is kept until `ends`.
    pub(super) fn gone(&mut self, instance: &str, ends: Instant) {
        if let Some(known) = self.0.get_mut(instance) {
            known.ends = Some(ends);
        }
    }

    /// It is announced again. Says whether it had been gone.
    pub(super) fn back(&mut self, instance: &str) -> bool {
        self.0.get_mut(instance).is_some_and(|known| known.ends.take().is_some())
    }

    /// When the next one has been gone for too long.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.0.values().filter_map(|known| known.ends).min()
    }

    /// Forgets those that have been gone for too long, and names their backends.
    pub(super) fn ended(&mut self, now: Instant) -> Vec<String> {
        let is_over = |known: &Known| known.ends.is_some_and(|ends| ends <= now);
        let names = self.0.values().filter(|known| is_over(known)).map(|known| known.name.clone()).collect();
        self.0.retain(|_, known| !is_over(known));
        names
    }
}

//! Gone, or only quiet? What was announced, which backend it became, and until when it may be silent. It looks at no
//! clock and changes no backend.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use crate::registry::Entry;

/// Announced instances and the backends they became.
#[derive(Default)]
pub(super) struct Grace(BTreeMap<String, Known>);

struct Known {
    entry: Arc<Entry>,
    ends: Option<Instant>,
}

impl Grace {
    pub(super) fn found(&mut self, instance: &str, entry: Arc<Entry>) {
        self.0.insert(instance.to_owned(), Known { entry, ends: None });
    }

    pub(super) fn entry_of(&self, instance: &str) -> Option<&Arc<Entry>> {
        self.0.get(instance).map(|known| &known.entry)
    }

    /// How many are known.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Forgets those that `is_here` does not know any more.
    pub(super) fn keep(&mut self, is_here: impl Fn(&Arc<Entry>) -> bool) {
        self.0.retain(|_, known| is_here(&known.entry));
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

    /// Forgets those that have been gone for too long, and hands their backends over.
    pub(super) fn ended(&mut self, now: Instant) -> Vec<Arc<Entry>> {
        let is_over = |known: &Known| known.ends.is_some_and(|ends| ends <= now);
        let over = self.0.values().filter(|known| is_over(known)).map(|known| known.entry.clone()).collect();
        self.0.retain(|_, known| !is_over(known));
        over
    }
}

//! Counters by two names, made when they are first asked for and found without a lock from then on. Names come from
//! outside, so there is a most of them: what comes later is counted together, beside a first name that is known already.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::exchange::text;

/// Pairs of names that are told apart.
pub(super) const MOST: usize = 1_000;

/// What those beyond it are called.
pub(super) const OTHER: &str = "other";

type Pairs<T> = BTreeMap<Arc<str>, BTreeMap<Arc<str>, Arc<T>>>;

type Make<T> = Box<dyn Fn(&str, &str) -> T + Send + Sync>;

/// Counters of type `T` by two names.
pub(super) struct Shelf<T> {
    pairs: ArcSwap<Pairs<T>>,
    making: Mutex<()>,
    make: Make<T>,
}

impl<T> Shelf<T> {
    /// An empty one. `make` makes the counters of two names.
    pub(super) fn new(make: impl Fn(&str, &str) -> T + Send + Sync + 'static) -> Self {
        Shelf { pairs: ArcSwap::from_pointee(Pairs::new()), making: Mutex::default(), make: Box::new(make) }
    }

    /// Those of these names.
    pub(super) fn of(&self, first: &str, second: &str) -> Arc<T> {
        let (first, second) = (shortened(first), shortened(second));
        let found = |pairs: &Pairs<T>, first, second| pairs.get(first)?.get(second).cloned();
        if let Some(known) = found(&self.pairs.load(), first, second) {
            return known;
        }
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let pairs = self.pairs.load();
        let count: usize = pairs.values().map(BTreeMap::len).sum();
        let (first, second) = match pairs.contains_key(first) {
            _ if count < MOST => (first, second),
            true => (first, OTHER),
            false => (OTHER, OTHER),
        };
        // Somebody else may have made it meanwhile.
        if let Some(known) = found(&pairs, first, second) {
            return known;
        }
        let made = Arc::new((self.make)(first, second));
        let mut pairs = Pairs::clone(&pairs);
        pairs.entry(first.into()).or_default().insert(second.into(), made.clone());
        self.pairs.store(Arc::new(pairs));
        made
    }

    /// Those of these names, if there are any.
    pub(super) fn get(&self, first: &str, second: &str) -> Option<Arc<T>> {
        let (first, second) = (shortened(first), shortened(second));
        self.pairs.load().get(first)?.get(second).cloned()
    }

    /// Every one with its names, in order.
    pub(super) fn all(&self) -> Vec<(Arc<str>, Arc<str>, Arc<T>)> {
        let pairs = self.pairs.load();
        let of = |(first, seconds): (&Arc<str>, &BTreeMap<Arc<str>, Arc<T>>)| {
            let first = first.clone();
            let named = |(second, counters): (&Arc<str>, &Arc<T>)| (first.clone(), second.clone(), counters.clone());
            seconds.iter().map(named).collect::<Vec<_>>()
        };
        pairs.iter().flat_map(of).collect()
    }
}

/// Names longer than this are told apart by so many characters.
const MOST_CHARACTERS: usize = 256;

fn shortened(name: &str) -> &str {
    text::cut(name, MOST_CHARACTERS)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn names_without_end_are_counted_together() {
        let shelf: Shelf<AtomicU64> = Shelf::new(|_, _| AtomicU64::new(0));
        for number in 0..3 * MOST {
            shelf.of("backend", &number.to_string()).fetch_add(1, Ordering::Relaxed);
            shelf.of("backend", "0").fetch_add(1, Ordering::Relaxed);
        }
        let count = |first, second| shelf.get(first, second).map(|count| count.load(Ordering::Relaxed));
        assert_eq!(shelf.all().len(), MOST + 1, "the last of them is `other`");
        assert_eq!(count("backend", OTHER), Some(2 * MOST as u64));
        shelf.of("another", "0");
        assert!(shelf.get(OTHER, OTHER).is_some() && shelf.get("another", "0").is_none());
        assert_eq!(count("backend", "0"), Some(3 * MOST as u64 + 1), "who was there first is still told apart");
        assert_eq!(count("backend", "2999"), None);
    }
}

//! Limits that one peer keeps for itself: those of its own backends. Whoever wants a backend comes through its owner.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::bucket::{Bucket, Short};
use crate::fleet::WHOLE;

/// Buckets by name. There are as many as backends with limits.
#[derive(Default)]
pub struct Alone(Mutex<BTreeMap<Arc<str>, Bucket>>);

impl Alone {
    /// Takes `cost` of a limit of so much in a minute.
    ///
    /// # Errors
    /// In how long there will be enough.
    pub fn take(&self, name: &Arc<str>, per_minute: f64, cost: f64) -> Result<(), Duration> {
        let now = Instant::now();
        let mut buckets = self.lock();
        let bucket = buckets.entry(name.clone()).or_insert_with(|| Bucket::begun(per_minute, WHOLE, now));
        bucket.take(per_minute, WHOLE, cost, now).map_err(|short| match short {
            Short::Wait(wait) => wait,
            Short::Share(_) => unreachable!("all of it is here"),
        })
    }

    /// What was taken was more than was thought, or less.
    pub fn correct(&self, name: &str, more: f64) {
        if let Some(bucket) = self.lock().get_mut(name) {
            bucket.correct(more);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Bucket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_taken_comes_back_with_time() {
        let (limits, name) = (Alone::default(), Arc::from("gpu/requests"));
        for _ in 0..6 {
            assert_eq!(limits.take(&name, 60.0, 1.0), Ok(()));
        }
        assert_eq!(limits.take(&name, 60.0, 1.0), Err(Duration::from_secs(1)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(limits.take(&name, 60.0, 1.0), Ok(()));
        limits.correct(&name, -3.0);
        assert!((0..3).all(|_| limits.take(&name, 60.0, 1.0).is_ok()));
    }
}

//! Background work: named, counted, cancelled together. Every loop of a node has an owner, and this is the list of them.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The background work of one node.
#[derive(Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    running: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Tasks {
    /// Nothing running yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `work` until it ends or the node stops.
    pub fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let (stop, counted) = (self.stop.clone(), Counted::new(name, &self.running));
        // A task is moved several times before it runs and once more when it ends: what it does stays where it is.
        let work = Box::pin(work);
        self.tracker.spawn(async move {
            let _counted = counted;
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = work => {}
            }
        });
    }

    /// How many of each are running.
    pub fn running(&self) -> BTreeMap<&'static str, usize> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Cancels everything and waits for nothing: for those who are dropped.
    pub fn cancel(&self) {
        self.stop.cancel();
    }

    /// Cancels everything and waits for it, at most `grace`. Says whether all of it ended.
    pub async fn stop(&self, grace: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(grace, self.tracker.wait()).await.is_ok()
    }
}

struct Counted {
    name: &'static str,
    running: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Counted {
    fn new(name: &'static str, running: &Arc<Mutex<BTreeMap<&'static str, usize>>>) -> Self {
        *running.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += 1;
        Counted { name, running: running.clone() }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = running.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                running.remove(self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_runs_is_counted_and_ends_on_stop() {
        let tasks = Tasks::new();
        tasks.spawn("forever", std::future::pending());
        tasks.spawn("forever", std::future::pending());
        assert_eq!(tasks.running().get("forever"), Some(&2));
        assert!(tasks.stop(Duration::from_secs(5)).await);
        assert!(tasks.running().is_empty());
    }
}

//! The watch over this peer's backends: one independent loop for each, so that a slow backend delays no other.

mod config;
mod others;
mod silence;
mod verdict;

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::backend::{self, Memory};
use crate::env::Env;
use crate::fleet::{Model, Status};
use crate::registry::{Condition, Entry, Registry};

pub use config::Config;
use others::Others;
use verdict::Streak;

/// Watches every backend, now and to come.
pub fn start(config: Config, registry: &Arc<Registry>, env: &Env) {
    let (registry, owned) = (registry.clone(), env.clone());
    env.tasks.spawn("health", async move {
        let mut changed = registry.changed();
        let mut watched: Vec<Weak<Entry>> = Vec::new();
        loop {
            let is_watched = |entry: &Arc<Entry>| watched.iter().any(|known| known.as_ptr() == Arc::as_ptr(entry));
            let snapshot = registry.snapshot();
            let fresh: Vec<_> = snapshot.entries.iter().filter(|entry| !is_watched(entry)).cloned().collect();
            drop(snapshot);
            for entry in fresh {
                watched.push(Arc::downgrade(&entry));
                let (config, registry, env) = (config.clone(), registry.clone(), owned.clone());
                owned.tasks.spawn("health-watch", async move {
                    let gone = entry.gone.clone();
                    tokio::select! {
                        biased;
                        () = gone.cancelled() => {}
                        () = watch(&config, &registry, &entry, &env) => {}
                        () = silence::watch(&entry, &env), if silence::is_watched(&entry) => {}
                    }
                });
            }
            watched.retain(|known| known.strong_count() > 0);
            if changed.changed().await.is_err() {
                return;
            }
        }
    });
}

/// One backend, for as long as it is there.
async fn watch(config: &Config, registry: &Arc<Registry>, entry: &Arc<Entry>, env: &Env) {
    let mut memory = Memory::default();
    let mut streak = Streak::default();
    loop {
        if entry.is_withdrawn() {
            entry.check_now.notified().await;
            continue;
        }
        let found = backend::probe(env.http.as_ref(), &entry.spec, config.timeout(), &mut memory).await;
        if entry.is_withdrawn() {
            continue;
        }
        let before = entry.condition();
        streak.push(found.is_ok());
        let status = streak.verdict(before.status, config.failure_threshold, config.recovery_threshold);
        let (models, slots, last_error) = match found {
            Ok(found) => {
                entry.checked(found.latency);
                let models =
                    found.models.map_or_else(|| before.models.clone(), |models| shared(&before.models, models));
                (models, found.slots, None)
            }
            Err(error) => {
                entry.check_failed();
                (before.models.clone(), before.slots, Some(error.to_string()))
            }
        };
        report(entry, &before, status, last_error.as_deref(), models.len());
        let is_up = last_error.is_none();
        registry.update(entry, Condition { status, models, slots, checked_at: Some(Instant::now()), last_error });
        let mut others = Others { config, entry, env, memory: &mut memory };
        if !is_up {
            others.forget();
        }
        tokio::select! {
            biased;
            () = entry.check_now.notified() => tokio::time::sleep(RECHECK_PAUSE.min(config.interval())).await,
            () = tokio::time::sleep(config.interval()) => {}
            () = others.watch(), if is_up => {}
        }
    }
}

/// Requests that find a backend dead ask for a check at once; a hundred of them are to cause few.
const RECHECK_PAUSE: Duration = Duration::from_millis(500);

/// Keeps what has not changed, so that readers can tell by the pointer.
fn shared(before: &[Arc<Model>], now: Vec<Model>) -> Vec<Arc<Model>> {
    let known = |model: &Model| before.iter().find(|old| ***old == *model).cloned();
    now.into_iter().map(|model| known(&model).unwrap_or_else(|| Arc::new(model))).collect()
}

fn report(entry: &Entry, before: &Condition, status: Status, error: Option<&str>, models: usize) {
    let backend = entry.spec.name.as_str();
    match (before.status == status, status, error) {
        (false, Status::Healthy, _) => info!(backend, models, "Backend is healthy"),
        (false, Status::Unhealthy, error) => warn!(backend, error = error.unwrap_or_default(), "Backend is unhealthy"),
        (_, _, Some(error)) => debug!(backend, error, "Health check failed"),
        _ => debug!(backend, models, "Health check passed"),
    }
}

#[cfg(test)]
mod tests;

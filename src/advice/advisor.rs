//! Keeps the history of this peer, on disk as well, and asks the other peers for theirs when somebody wants advice. It counts on
//! the way of requests, so that part neither waits nor fails.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::Instant;
use tracing::{info, warn};

use super::config::Config;
use super::history::{History, Hour};
use super::recommend::{Held, Place, Recommendation, Sight, advise};
use crate::backend::lifecycle::{can_load, can_pull};
use crate::env::Env;
use crate::exchange::{Objection, ObjectionReason, Order, Outcome};
use crate::fleet::{BackendFacts, PeerState, Status};
use crate::gateway::Record;
use crate::mesh::{Mesh, Peer};
use crate::registry::Registry;

/// The file in the data directory.
const FILE: &str = "history.json";

/// How often it is written, where something is new.
const SAVE_EVERY: Duration = Duration::from_secs(600);

/// How long another peer may take to tell its history.
const PATIENCE: Duration = Duration::from_secs(2);

/// Bytes of a history that goes to another peer: what an answer between peers holds, with room to spare.
const MOST_TOLD: usize = 48 * 1024;

/// Knows what was asked for, and what could be done about it.
pub struct Advisor {
    config: Config,
    registry: Arc<Registry>,
    mesh: Option<Mesh>,
    /// What this peer is called where there is no mesh.
    name: Arc<str>,
    env: Env,
    path: PathBuf,
    kept: Mutex<Kept>,
}

struct Kept {
    history: History,
    is_new: bool,
    /// The file could not be written; that is said once.
    is_stuck: bool,
}

/// What was found, and how much of the mesh it speaks of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Advice {
    /// The surest first.
    pub list: Vec<Recommendation>,
    /// Whole days of history.
    pub days: usize,
    /// Living peers that did not tell theirs.
    pub missing: Vec<String>,
}

impl Advisor {
    /// With what the data directory holds. A file that cannot be read is put aside: counts are not worth a refused start.
    pub fn open(
        config: Config,
        data_dir: &Path,
        registry: Arc<Registry>,
        mesh: Option<Mesh>,
        name: Arc<str>,
        env: &Env,
    ) -> Self {
        let path = data_dir.join(FILE);
        let history = match env.disk.read(&path) {
            Ok(Some(text)) => History::read(&text, hour(env)).unwrap_or_else(|error| {
                warn!(file = %path.display(), "The history of requests begins anew: {error}");
                History::default()
            }),
            Ok(None) => History::default(),
            Err(error) => {
                warn!(file = %path.display(), "The history of requests begins anew: {error}");
                History::default()
            }
        };
        let kept = Mutex::new(Kept { history, is_new: false, is_stuck: false });
        Advisor { config, registry, mesh, name, env: env.clone(), path, kept }
    }

    /// A request has ended. Those that were served are counted where they entered.
    pub fn ended(&self, record: &Record<'_>) {
        if let (Some(model), false, true) = (record.model, record.is_from_peer, record.is_success()) {
            let now = hour(&self.env);
            let mut kept = self.kept();
            kept.history.note(model, now);
            kept.is_new = true;
        }
    }

    /// Whether advice is wanted at all.
    pub fn is_enabled(&self) -> bool {
        self.config.enabled
    }

    /// When advice is looked for again.
    pub fn interval(&self) -> Duration {
        self.config.interval()
    }

    /// The history of this peer, for another one.
    ///
    /// # Errors
    /// The mesh is open: nobody has shown who it is.
    pub fn told(&self) -> Result<Value, Objection> {
        if !self.mesh.as_ref().is_some_and(Mesh::is_keyed) {
            return Err(Objection::new(ObjectionReason::Impossible, "this peer's mesh is open: it tells no history"));
        }
        let history = self.kept().history.clone();
        Ok(serde_json::from_str(&history.write(Some(MOST_TOLD))).unwrap_or_default())
    }

    /// What the history of the whole mesh suggests now; in an open mesh, that of this peer alone. Peers that say nothing within two seconds are left out and named.
    pub async fn advice(&self) -> Advice {
        let now = hour(&self.env);
        let mut history = self.kept().history.clone();
        let mut missing = Vec::new();
        let mut places: Vec<Place> =
            self.registry.snapshot().entries.iter().map(|entry| place(self.name(), entry.facts())).collect();
        // In an open mesh nobody takes orders of others, so advice about them would be idle.
        if let Some(mesh) = self.mesh.as_ref().filter(|mesh| mesh.is_keyed()) {
            let (peers, at) = (mesh.peers(), Instant::now());
            let living = peers.list.iter().filter(|peer| peer.state(at, mesh.config()) == PeerState::Alive);
            let living: Vec<&Arc<Peer>> = living.collect();
            for (peer, theirs) in living.iter().zip(join_all(living.iter().map(|peer| ask(mesh, peer, now))).await) {
                match theirs {
                    Some(theirs) => history.merge(&theirs),
                    None => missing.push(peer.name.clone()),
                }
                places.extend(peer.backends.iter().map(|backend| place(peer.name.as_str().into(), backend.facts(at))));
            }
        }
        let days = history.days(now);
        let list = advise(Sight { history: &history, now, places: &places }, &self.config);
        Advice { list, days, missing }
    }

    /// Writes the history now and then, and says what is new in the advice.
    pub async fn run(self: Arc<Self>) {
        let mut known = BTreeSet::new();
        let mut look_at = Instant::now() + self.interval();
        loop {
            tokio::time::sleep(SAVE_EVERY.min(self.interval())).await;
            self.save();
            if self.config.enabled && Instant::now() >= look_at {
                look_at = Instant::now() + self.interval();
                let found = self.advice().await.list;
                for advice in found.iter().filter(|advice| !known.contains(&advice.id)) {
                    let (id, model, step) = (&advice.id, &*advice.model, advice.step.as_str());
                    let (confidence, reasoning) = (advice.confidence, &advice.reasoning);
                    info!(id, model, step, confidence, "Advice: {reasoning} See `nexus advise`");
                }
                known = found.into_iter().map(|advice| advice.id).collect();
            }
        }
    }

    /// Writes the history, where something is new.
    pub fn save(&self) {
        let text = {
            let mut kept = self.kept();
            if !std::mem::take(&mut kept.is_new) {
                return;
            }
            kept.history.write(None)
        };
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let written =
            self.env.disk.prepare(directory).and_then(|()| self.env.disk.replace(&self.path, text.as_bytes()));
        let mut kept = self.kept();
        match written {
            Ok(()) => kept.is_stuck = false,
            Err(error) => {
                kept.is_new = true;
                if !std::mem::replace(&mut kept.is_stuck, true) {
                    warn!(file = %self.path.display(), "The history of requests cannot be written: {error}");
                }
            }
        }
    }

    fn name(&self) -> Arc<str> {
        self.mesh.as_ref().map_or_else(|| self.name.clone(), Mesh::name)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hour(env: &Env) -> Hour {
    env.clock.unix_seconds() / 3600
}

async fn ask(mesh: &Mesh, peer: &Peer, now: Hour) -> Option<History> {
    match mesh.order(&peer.id, Order::History, PATIENCE).await {
        Ok(Outcome::History { told }) => History::read(told.to_string().as_bytes(), now).ok(),
        _ => None,
    }
}

fn place(peer: Arc<str>, facts: BackendFacts) -> Place {
    let BackendFacts { about, models, load, served, .. } = facts;
    let cold_ms = |id: &str| served.iter().find(|served| served.model == id).and_then(|served| served.pace.cold_ms);
    let held = models.into_iter().map(|model| Held {
        cold_ms: cold_ms(&model.id),
        residency: model.residency,
        bytes: model.weights.bytes,
        id: model.id,
    });
    Place {
        peer,
        can_load: about.status == Status::Healthy && can_load(about.kind),
        can_fetch: can_pull(about.kind),
        backend: about.name,
        priority: about.priority,
        in_flight: load.in_flight,
        models: held.collect(),
    }
}

//! A large mesh as one of its peers sees it: its own backends, those of the others, some of them ill, and counters that have
//! seen every model.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use nexus::dashboard::{MeshSeen, Sample, Seen, WarningSeen};
use nexus::fleet::{BackendAbout, BackendSpec, Kind, Load, Model, PeerId, PeerState, Source, Status, Tier, Zone};
use nexus::gateway::{Record, Witness};
use nexus::mesh::{self, Peer, PeerBackend, Peers};
use nexus::queue::Counts;
use nexus::registry::{Condition, Registry, Whereabouts};
use nexus::telemetry::Counters;
use nexus::telemetry::export::{BackendNow, MeshNow, Now, PeerNow};
use serde_json::json;
use tokio::time::Instant;

pub(crate) const PEERS: usize = 50;
pub(crate) const BACKENDS: usize = 200;
pub(crate) const MODELS: usize = 1_000;

/// Backends of each peer, and models of each backend: every model is on two of them.
const EACH: usize = BACKENDS / PEERS;
const MODELS_EACH: usize = 2 * MODELS / BACKENDS;

/// The mesh, seen from peer 0.
pub(crate) struct Setting {
    /// As if this peer had asked one model of each backend, and as if it had asked every one.
    pub(crate) some: Counters,
    pub(crate) all: Counters,
    registry: Registry,
    peers: Arc<Peers>,
    started: Instant,
}

impl Setting {
    pub(crate) fn new() -> Result<Self> {
        let registry = Registry::new(Whereabouts::default());
        for at in 0..EACH {
            let url = url::Url::parse(&format!("http://127.0.0.1:{}", 11_434 + at))?;
            let mut spec = BackendSpec::new(name(at), url, Kind::Ollama, Source::Static);
            spec.concurrency = Some(4);
            let entry = registry.add(spec).context("names differ")?;
            let models = models(at);
            registry.update(&entry, Condition { status: Status::Healthy, models, ..Condition::default() });
        }
        let peers = (1..PEERS).map(|at| Arc::new(peer(at))).collect();
        let counters = || Counters::new(Box::new(|_| true));
        let (some, all) = (counters(), counters());
        for at in 0..BACKENDS {
            count(&some, at, 1);
            count(&all, at, MODELS_EACH / 2);
        }
        Ok(Setting { some, all, registry, peers: Arc::new(Peers::new(peers, false)), started: Instant::now() })
    }

    /// What the page goes by.
    pub(crate) fn seen(&self) -> Seen {
        let requests = |state: &str, count: usize| (0..count).map(|at| Arc::new(request(state, at))).collect();
        let sample = |at: i32| Sample {
            rate: f64::from(at % 17),
            ttft_ms: (at % 5 != 0).then(|| f64::from(40 + at % 30)),
            tokens_per_second: Some(f64::from(50 + at % 20)),
            in_flight: 3,
        };
        let warning =
            |at: usize| WarningSeen { code: "version_skew", message: format!("peer peer-{at} runs version 0.0.9") };
        let event = |at: usize| {
            let message = format!("Backend '{}' is unhealthy", name(at));
            json!({ "id": format!("1-{at}"), "at": "2026-11-21T07:00:01Z", "kind": "backend_ill", "message": message })
        };
        Seen {
            now: Instant::now(),
            uptime: self.started.elapsed(),
            name: "peer-0".into(),
            draining: false,
            mesh: Some(MeshSeen {
                name: "large".to_owned(),
                keyed: true,
                id: PeerId::from_text("peer-0-id"),
                addresses: vec!["10.0.0.1:8001".to_owned()],
                config: mesh::Config::default(),
            }),
            peers: self.peers.clone(),
            own: self.registry.snapshot(),
            figures: None,
            queue: Counts { depth: 3, max_size: 100, entered: 10, granted: 7, late: 0 },
            warnings: (0..10).map(warning).collect(),
            live: requests("streaming", 100),
            ended: requests("failed", 100),
            events: (0..256).map(event).collect(),
            samples: (0..150).map(sample).collect(),
        }
    }

    /// What `/metrics` goes by. The worst case: as if every backend were this peer's own.
    pub(crate) fn now(&self, counters: &Counters) -> Now {
        let backend = |at: usize| {
            let name = name(at);
            BackendNow { in_flight: 2, counts: counters.backend(&name), name }
        };
        let told = |at: usize| PeerNow { name: format!("peer-{at}"), state: PeerState::Alive, age: Some(0.4) };
        let mesh = MeshNow { peers: (1..PEERS).map(told).collect(), ..MeshNow::default() };
        Now {
            backends: (0..BACKENDS).map(backend).collect(),
            healthy: BACKENDS,
            models: MODELS,
            queue: Counts { depth: 3, max_size: 100, entered: 10, granted: 7, late: 0 },
            mesh: Some(mesh),
            money: None,
            keys_usd: std::collections::BTreeMap::new(),
        }
    }
}

fn name(at: usize) -> String {
    format!("workstation-{at:03}-gpu")
}

fn models(at: usize) -> Vec<Arc<Model>> {
    let mut numbers: Vec<usize> = (0..MODELS_EACH).map(|more| (at * MODELS_EACH + more) % MODELS).collect();
    numbers.sort_unstable();
    numbers.into_iter().map(|number| Arc::new(Model::named(model(number)))).collect()
}

fn model(number: usize) -> String {
    format!("organisation/some-model-{number:04}:70b-q4_K_M")
}

fn load(at: usize) -> Load {
    let part = u32::try_from(at % 7).unwrap_or(0);
    Load {
        in_flight: part,
        queued: u32::from(part == 6),
        concurrency: Some(8),
        latency_ms: Some(20 + part),
        ttft_ms: Some(100 + part),
        tokens_per_second: Some(42.5),
        total: 1_000,
        ..Load::default()
    }
}

fn peer(at: usize) -> Peer {
    let now = Instant::now();
    let backend = |more: usize| {
        let number = at * EACH + more;
        let ill = number.is_multiple_of(10);
        let about = BackendAbout {
            name: name(number),
            kind: Kind::Vllm,
            zone: Zone::Restricted,
            tier: Tier::default(),
            priority: 50,
            status: if ill { Status::Unhealthy } else { Status::Healthy },
            suspect: false,
            endpoint: format!("10.0.0.{at}:{}", 8_000 + more),
            near: true,
            machine: format!("machine-{at}"),
        };
        Arc::new(PeerBackend {
            about,
            models: models(number),
            load: load(number),
            served: Vec::new(),
            breakers: Vec::new(),
            heard_at: now,
            load_heard_at: now,
        })
    };
    Peer {
        id: PeerId::from_text(format!("peer-{at}-identity")),
        name: format!("peer-{at}"),
        version: "0.1.0".to_owned(),
        protocol: 1,
        addresses: vec![std::net::SocketAddr::from(([10, 0, 0, 1], 8_001))],
        draining: false,
        left: false,
        started: 0,
        policies: String::new(),
        rejected: String::new(),
        clock_skew_ms: None,
        heard_at: now,
        confirmed: true,
        rtt: Some(Duration::from_micros(700)),
        reached_at: None,
        unreachable: at.is_multiple_of(9),
        backends: (0..EACH).map(backend).collect(),
        sees: (0..PEERS).map(|other| PeerId::from_text(format!("peer-{other}-identity"))).collect(),
        ledger: None,
        keys: None,
    }
}

/// One request of each of the first models of a backend.
fn count(counters: &Counters, at: usize, models_asked: usize) {
    let backend: Arc<str> = name(at).into();
    for model in models(at).iter().take(models_asked) {
        let model: Arc<str> = model.id.as_str().into();
        counters.ended(&Record {
            asked: &model,
            model: Some(&model),
            backend: Some(&backend),
            backend_type: "vllm",
            status: 200,
            took: Duration::from_millis(800),
            first_byte: Some(Duration::from_millis(120)),
            tokens: Some((100, 200)),
            ..Record::default()
        });
    }
}

fn request(state: &str, at: usize) -> serde_json::Value {
    json!({
        "id": format!("req-{at:026}"), "state": state, "model": model(at), "served_model": model(at),
        "entry": "peer-0", "peer": format!("peer-{}", at % PEERS), "backend": name(at),
        "since": "2026-11-21T07:00:00Z", "elapsed_ms": 1_200, "first_byte_ms": 90, "status_code": 502,
        "error": (state == "failed").then_some("The backend said nothing in time."), "error_type": "timeout",
        "tokens_prompt": 100, "tokens_completion": 200,
    })
}

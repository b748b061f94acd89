//! How each part of a node is set up from the configuration.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use rand::RngExt;

use super::StartError;
use crate::access::Ring;
use crate::api::ClientKeys;
use crate::budget::price::Prices;
use crate::config::{Config, Secrets};
use crate::env::Env;
use crate::fleet::BackendFacts;
use crate::gateway::Manner;
use crate::mesh::{self, Identity, Mesh};
use crate::registry::{Entry, Registry};
use crate::route::Rules;
use crate::telemetry::Counters;
use crate::telemetry::spans::Spans;

/// No machine that runs this program is older: 2024-01-01T00:00:00Z.
const EARLIEST: Duration = Duration::from_secs(1_704_067_200);

pub(super) fn check_clock(env: &Env) -> Result<(), StartError> {
    let now = env.clock.since_epoch();
    if now >= EARLIEST {
        return Ok(());
    }
    let stamp = jiff::Timestamp::from_second(i64::try_from(now.as_secs()).unwrap_or(0));
    Err(StartError::Clock(stamp.map_or_else(|_| "1970".to_owned(), |stamp| stamp.to_string())))
}

/// A `~` that is still there stands for nothing; a directory of that name is not what anybody means.
pub(super) fn check_data_dir(config: &Config) -> Result<(), StartError> {
    let homeless = config.mesh.enabled && Path::new(&config.data_dir).starts_with("~");
    if homeless { Err(StartError::DataDir(config.data_dir.clone())) } else { Ok(()) }
}

pub(super) fn rules(config: &Config) -> Result<Rules, StartError> {
    let rules = Rules::new(&config.routing).map(|rules| rules.penalising(config.quality.ttft_penalty_threshold_ms));
    rules.map_err(|problems| {
        let lines: Vec<String> =
            problems.into_iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
        StartError::Rules(lines.join("; "))
    })
}

pub(super) async fn resolve(env: &Env, host: &str, port: u16) -> Result<SocketAddr, StartError> {
    let bare = host.trim_matches(['[', ']']).to_owned();
    let found = env.net.resolve(bare, port).await.ok();
    found.and_then(|addresses| addresses.first().copied()).ok_or_else(|| StartError::Address(format!("{host}:{port}")))
}

pub(super) fn not_listening(address: SocketAddr, error: &std::io::Error) -> StartError {
    let why = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "the port is in use; stop whoever has it, or choose another with --port".to_owned()
        }
        std::io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        std::io::ErrorKind::PermissionDenied => "not allowed; choose a port above 1023".to_owned(),
        _ => error.to_string(),
    };
    StartError::Listen(address, why)
}

/// Who this node is; `None` where the mesh is off.
pub(super) fn identity(config: &Config, env: &Env) -> Result<Option<Identity>, StartError> {
    let open = || Identity::open(Path::new(&config.data_dir), env);
    Ok(config.mesh.enabled.then(open).transpose()?)
}

pub(super) async fn start_mesh(
    config: &Config,
    http: SocketAddr,
    identity: Identity,
    registry: &Arc<Registry>,
    ring: &Arc<Ring>,
    treasury: &super::money::Slot,
    env: &Env,
) -> Result<Mesh, StartError> {
    let listen = match config.mesh.listen.rsplit_once(':') {
        Some((host, port)) => resolve(env, host, port.parse().unwrap_or(0)).await?,
        None => mesh::Config::usual_listen(http),
    };
    let (mine, ring) = (registry.clone(), ring.clone());
    let setup = mesh::Setup {
        config: config.mesh.clone(),
        listen,
        identity,
        peer_name: peer_name(config, env),
        version: env!("CARGO_PKG_VERSION"),
        policies: policies_hash(config),
        mine: Arc::new(move |keyed| mine.snapshot().entries.iter().filter_map(|entry| offer(entry, keyed)).collect()),
        keys: Arc::new(move || ring.hash()),
        ledger: super::money::told(treasury),
    };
    Ok(Mesh::start(setup, env.clone()).await?)
}

/// What other peers are told of a backend, if anything. The gateway asks the same before it serves them.
pub(super) fn offer(entry: &Entry, keyed: bool) -> Option<BackendFacts> {
    let spec = &entry.spec;
    spec.is_offered(keyed).then(|| {
        let mut facts = entry.facts();
        facts.models.retain(|model| spec.offers(model, keyed));
        let is_offered = |id: &str| facts.models.iter().any(|model| model.id == id);
        facts.breakers.retain(|breaker| breaker.model.as_deref().is_none_or(is_offered));
        facts
    })
}

/// A short hash of what all peers should agree on.
pub(super) fn policies_hash(config: &Config) -> String {
    let text = serde_json::to_string(&(&config.routing.policies, &config.budget)).unwrap_or_default();
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

/// The name of this peer for people: as configured, else that of its host.
pub(super) fn peer_name(config: &Config, env: &Env) -> String {
    match config.mesh.peer_name.trim() {
        "" => env.net.host_name(),
        named => named.to_owned(),
    }
}

/// What this node calls itself towards backends that may turn out to be nodes.
pub(super) fn node_id(mesh: Option<&Mesh>, env: &Env) -> HeaderValue {
    let any = || format!("node-{:032x}", env.seed.fork("node id").random::<u128>());
    let id = mesh.map_or_else(any, |mesh| mesh.id().to_string());
    HeaderValue::try_from(id).expect("ids are visible ASCII")
}

pub(super) fn manner(config: &Config, mesh: Option<&Mesh>, env: &Env) -> Manner {
    Manner {
        patience: config.server.request_timeout(),
        heartbeat: config.server.heartbeat(),
        max_retries: config.routing.max_retries,
        max_concurrent: config.server.max_concurrent_requests,
        queue: config.queue.clone(),
        max_hops: config.mesh.max_hops,
        affinity_by_user: config.routing.affinity_by_user,
        log_prompts: config.logging.enable_content_logging,
        peer_name: match mesh {
            Some(mesh) => mesh.myself().name.into(),
            None => peer_name(config, env).into(),
        },
        merge_variants: config.routing.merge_variants,
        prices: Arc::new(Prices::with_overrides(&config.prices)),
    }
}

pub(super) fn counters(registry: &Arc<Registry>, mesh: Option<&Mesh>, spans: Option<&Spans>) -> Counters {
    let counters = Counters::new(super::joints::is_listed(registry, mesh));
    match spans {
        Some(spans) => counters.and(spans.counts()),
        None => counters,
    }
}

pub(super) fn client_keys(secrets: &Secrets, ring: Arc<Ring>) -> Result<ClientKeys, StartError> {
    ClientKeys::new(secrets.client_keys.clone(), ring)
        .map_err(|error| StartError::Secrets(format!("auth.client_keys: models: {error}")))
}

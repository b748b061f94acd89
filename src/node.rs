//! A node, from its configuration to its graceful end: the one place that knows every part. Parts are started in the
//! order in which they need each other and stopped in reverse.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::HeaderValue;
use rand::RngExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::api::{self, ClientKeys, Guard};
use crate::config::{Config, Lookup, Secrets, Warning};
use crate::discovery::{self, Herald};
use crate::env::Env;
use crate::exchange::{Refusal, RefusalReason, Reply, Request, Serve, visited};
use crate::fleet::{BackendFacts, BackendSpec};
use crate::gateway::{Gateway, Manner};
use crate::health;
use crate::mesh::{self, Identity, Mesh};
use crate::registry::{Entry, Registry, Whereabouts};
use crate::route::Rules;

/// All that a node is made from: the configuration, and what it only names.
#[derive(Clone, Debug)]
pub struct Blueprint {
    /// The checked configuration.
    pub config: Config,
    /// The configured backends, keys looked up.
    pub backends: Vec<BackendSpec>,
    /// Who may ask and who may manage.
    pub secrets: Secrets,
}

impl Blueprint {
    /// Looks up what the configuration names, and says in one line each what is left out.
    ///
    /// # Errors
    /// Something without which the node would be open to those it should be closed to.
    pub fn new(config: Config, lookup: &Lookup<'_>) -> Result<(Self, Vec<Warning>), StartError> {
        let (backends, mut warnings) = config.backend_specs(lookup);
        let (secrets, more) = config.secrets(lookup).map_err(StartError::Secrets)?;
        warnings.extend(more);
        Ok((Blueprint { config, backends, secrets }, warnings))
    }
}

/// Why a node does not start. Each is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The clock cannot be right.
    #[error("the system clock says {0}, which cannot be right: set it, certificates and budgets go by it")]
    Clock(String),
    /// The routing rules contradict themselves.
    #[error("{0}")]
    Rules(String),
    /// The data directory is under a home directory, and nobody says where that is.
    #[error(
        "data_dir: `{0}` is under the home directory, and HOME is not set: name another in data_dir or NEXUS_DATA_DIR"
    )]
    DataDir(String),
    /// Keys that are named cannot be found.
    #[error("{0}")]
    Secrets(String),
    /// An address cannot be understood.
    #[error("cannot listen on '{0}': it is no address")]
    Address(String),
    /// An address is taken, or not ours.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, String),
    /// The identity of this node cannot be had.
    #[error(transparent)]
    Identity(#[from] mesh::IdentityError),
    /// The mesh cannot start.
    #[error(transparent)]
    Mesh(#[from] mesh::StartError),
}

/// A running node.
pub struct Node {
    http: SocketAddr,
    mesh: Option<Mesh>,
    registry: Arc<Registry>,
    gateway: Arc<Gateway>,
    accepting: CancellationToken,
    env: Env,
}

/// No machine that runs this program is older: 2024-01-01T00:00:00Z.
const EARLIEST: Duration = Duration::from_secs(1_704_067_200);

/// Starts a node.
///
/// # Errors
/// One line that says what to do; nothing is left running and nothing is damaged.
pub async fn start(blueprint: Blueprint, env: Env) -> Result<Node, StartError> {
    match assemble(blueprint, &env).await {
        Ok(node) => Ok(node),
        Err(error) => {
            env.tasks.stop(Duration::from_secs(1)).await;
            Err(error)
        }
    }
}

async fn assemble(blueprint: Blueprint, env: &Env) -> Result<Node, StartError> {
    let Blueprint { config, backends, secrets } = blueprint;
    check_clock(env)?;
    check_data_dir(&config)?;
    let rules = rules(&config)?;

    let address = resolve(env, &config.server.host, config.server.port).await?;
    let listener = env.net.listen(address).await.map_err(|error| not_listening(address, &error))?;
    let http = listener.local_addr().map_err(|error| not_listening(address, &error))?;

    let registry = Arc::new(Registry::new(Whereabouts::of(&*env.net)));
    for spec in backends {
        if let Err(duplicate) = registry.add(spec) {
            warn!("{duplicate}");
        }
    }

    let mesh = start_mesh(&config, http, &registry, env).await?;
    let node = node_id(mesh.as_ref(), env);
    let gateway =
        Arc::new(Gateway::new(rules, manner(&config, mesh.as_ref(), env), registry.clone(), mesh.clone(), env));
    if let Some(mesh) = &mesh {
        mesh.serve_with(Arc::new(Door { gateway: Arc::downgrade(&gateway), node: node.clone() }));
    }

    env.tasks.spawn("whereabouts", look_around(registry.clone(), env.clone()));
    health::start(config.health_check.clone(), &registry, env);
    let (herald, heralded) = watch::channel(mesh.as_ref().filter(|_| config.mesh.mdns).map(herald_of));
    let mut seen = discovery::start(config.discovery.clone(), &registry, env, http.port(), heralded);
    if let Some(mesh) = mesh.clone() {
        env.tasks.spawn("discovery-peers", async move {
            while let Some(peer) = seen.recv().await {
                mesh.hint(mesh::PeerHint { id: Some(peer.id), addresses: peer.addresses });
            }
        });
    }

    let membership = Arc::new(Member { mesh: mesh.clone(), herald, mdns: config.mesh.mdns });
    let router = api::router(
        api::Parts {
            gateway: gateway.clone(),
            registry: registry.clone(),
            mesh: mesh.clone(),
            client_keys: client_keys(&secrets)?,
            node,
            guard: Guard::new(secrets.admin_token.as_deref()),
            membership,
            max_body: config.server.max_body(),
            checks_health: config.health_check.enabled,
        },
        env,
    );
    let accepting = CancellationToken::new();
    env.tasks.spawn("http", api::serve(listener, router, accepting.clone(), env.clone()));
    info!(address = %http, backends = registry.snapshot().entries.len(), "Node started");
    Ok(Node { http, mesh, registry, gateway, accepting, env: env.clone() })
}

impl Node {
    /// Where clients come in.
    pub fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// The other peers, unless the mesh is off.
    pub fn mesh(&self) -> Option<&Mesh> {
        self.mesh.as_ref()
    }

    /// This peer's backends.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Takes no new work, finishes what there is within `grace`, says goodbye to the mesh and ends every task.
    pub async fn stop(self, grace: Duration) {
        let end = tokio::time::Instant::now() + grace;
        if let Some(mesh) = &self.mesh {
            mesh.set_draining(true);
        }
        self.accepting.cancel();
        let idle = self.wait_until_idle();
        if tokio::time::timeout_at(end, idle).await.is_err() {
            let mut left = String::new();
            for (name, count) in self.env.tasks.running() {
                let _ = write!(left, "{name}: {count} ");
            }
            warn!(left = left.trim(), "Stopping with requests under way: they are cut");
            self.gateway.cut();
            let _ = tokio::time::timeout(LEAVING, self.wait_until_idle()).await;
        }
        if let Some(mesh) = &self.mesh {
            mesh.leave(end.saturating_duration_since(tokio::time::Instant::now()).min(LEAVING)).await;
        }
        self.env.tasks.stop(LEAVING).await;
        info!("Node stopped");
    }

    async fn wait_until_idle(&self) {
        // Nobody signals the last connection's end; a stopping node may look now and then.
        while UNDER_WAY.iter().any(|name| self.env.tasks.running().contains_key(name)) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Tasks that carry requests.
const UNDER_WAY: [&str; 2] = ["connection", "mesh-serve"];
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What saying goodbye may take beyond the grace for requests.
const LEAVING: Duration = Duration::from_millis(500);

fn check_clock(env: &Env) -> Result<(), StartError> {
    let now = env.clock.since_epoch();
    if now >= EARLIEST {
        return Ok(());
    }
    let stamp = jiff::Timestamp::from_second(i64::try_from(now.as_secs()).unwrap_or(0));
    Err(StartError::Clock(stamp.map_or_else(|_| "1970".to_owned(), |stamp| stamp.to_string())))
}

/// A `~` that is still there stands for nothing; a directory of that name is not what anybody means.
fn check_data_dir(config: &Config) -> Result<(), StartError> {
    let homeless = config.mesh.enabled && Path::new(&config.data_dir).starts_with("~");
    if homeless { Err(StartError::DataDir(config.data_dir.clone())) } else { Ok(()) }
}

fn rules(config: &Config) -> Result<Rules, StartError> {
    Rules::new(&config.routing).map_err(|problems| {
        let lines: Vec<String> =
            problems.into_iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
        StartError::Rules(lines.join("; "))
    })
}

/// Machines get addresses late, and other ones: no system tells all programs of that in one way.
const LOOK_AROUND_EVERY: Duration = Duration::from_secs(10);

async fn look_around(registry: Arc<Registry>, env: Env) {
    loop {
        tokio::time::sleep(LOOK_AROUND_EVERY).await;
        registry.moved(Whereabouts::of(&*env.net));
    }
}

async fn resolve(env: &Env, host: &str, port: u16) -> Result<SocketAddr, StartError> {
    let bare = host.trim_matches(['[', ']']).to_owned();
    let found = env.net.resolve(bare, port).await.ok();
    found.and_then(|addresses| addresses.first().copied()).ok_or_else(|| StartError::Address(format!("{host}:{port}")))
}

fn not_listening(address: SocketAddr, error: &std::io::Error) -> StartError {
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

async fn start_mesh(
    config: &Config,
    http: SocketAddr,
    registry: &Arc<Registry>,
    env: &Env,
) -> Result<Option<Mesh>, StartError> {
    if !config.mesh.enabled {
        return Ok(None);
    }
    let listen = match config.mesh.listen.rsplit_once(':') {
        Some((host, port)) => resolve(env, host, port.parse().unwrap_or(0)).await?,
        None => mesh::Config::usual_listen(http),
    };
    let mine = registry.clone();
    let setup = mesh::Setup {
        config: config.mesh.clone(),
        listen,
        identity: Identity::open(Path::new(&config.data_dir), env)?,
        peer_name: peer_name(config, env),
        version: env!("CARGO_PKG_VERSION"),
        policies: policies_hash(config),
        mine: Arc::new(move |keyed| mine.snapshot().entries.iter().filter_map(|entry| offer(entry, keyed)).collect()),
    };
    Ok(Some(Mesh::start(setup, env.clone()).await?))
}

/// What other peers are told of a backend, if anything. The gateway asks the same before it serves them.
fn offer(entry: &Entry, keyed: bool) -> Option<BackendFacts> {
    let spec = &entry.spec;
    spec.is_offered(keyed).then(|| {
        let mut facts = entry.facts();
        facts.models.retain(|model| spec.offers(model, keyed));
        facts
    })
}

/// A short hash of what all peers should agree on.
fn policies_hash(config: &Config) -> String {
    let text = serde_json::to_string(&(&config.routing.policies, &config.budget)).unwrap_or_default();
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

/// The name of this peer for people: as configured, else that of its host.
fn peer_name(config: &Config, env: &Env) -> String {
    match config.mesh.peer_name.trim() {
        "" => env.net.host_name(),
        named => named.to_owned(),
    }
}

/// What this node calls itself towards backends that may turn out to be nodes.
fn node_id(mesh: Option<&Mesh>, env: &Env) -> HeaderValue {
    let any = || format!("node-{:032x}", env.seed.fork("node id").random::<u128>());
    let id = mesh.map_or_else(any, |mesh| mesh.id().to_string());
    HeaderValue::try_from(id).expect("ids are visible ASCII")
}

fn manner(config: &Config, mesh: Option<&Mesh>, env: &Env) -> Manner {
    Manner {
        patience: config.server.request_timeout(),
        heartbeat: config.server.heartbeat(),
        max_retries: config.routing.max_retries,
        max_concurrent: config.server.max_concurrent_requests,
        queue: config.queue.clone(),
        max_hops: config.mesh.max_hops,
        log_prompts: config.logging.enable_content_logging,
        peer_name: match mesh {
            Some(mesh) => mesh.myself().name.into(),
            None => peer_name(config, env).into(),
        },
    }
}

fn herald_of(mesh: &Mesh) -> Herald {
    Herald { announcement: mesh.announcement(), id: mesh.myself().id, tag: mesh.mesh_tag() }
}

fn client_keys(secrets: &Secrets) -> Result<Option<ClientKeys>, StartError> {
    if secrets.client_keys.is_empty() {
        return Ok(None);
    }
    let keys = secrets.client_keys.iter().map(|key| (key.name.clone(), key.sha256, key.models.clone())).collect();
    let keys =
        ClientKeys::new(keys).map_err(|error| StartError::Secrets(format!("auth.client_keys: models: {error}")))?;
    Ok(Some(keys))
}

/// The way from the mesh into the gateway. The gateway holds the mesh; were it held in turn, neither would ever go, nor
/// the port and the data directory with them.
struct Door {
    gateway: Weak<Gateway>,
    node: HeaderValue,
}

impl Serve for Door {
    fn serve(&self, mut request: Request) -> BoxFuture<'_, Result<Reply, Refusal>> {
        let refused = |reason, message: &str| Err(Refusal { reason, message: message.to_owned(), load: None });
        Box::pin(async move {
            if visited::enter(&mut request.headers, &self.node).is_err() {
                return refused(RefusalReason::Loop, "a backend leads back to this peer");
            }
            match self.gateway.upgrade() {
                Some(gateway) => gateway.serve(request).await,
                None => refused(RefusalReason::Draining, "this peer has stopped"),
            }
        })
    }
}

/// The running node's way into another mesh.
struct Member {
    mesh: Option<Mesh>,
    herald: watch::Sender<Option<Herald>>,
    mdns: bool,
}

impl api::Membership for Member {
    fn join(&self, membership: mesh::Membership) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let Some(mesh) = &self.mesh else { return Err("the mesh is off on this node".to_owned()) };
            mesh.rejoin(membership).await.map_err(|error| error.to_string())?;
            if self.mdns {
                self.herald.send_replace(Some(herald_of(mesh)));
            }
            Ok(())
        })
    }
}

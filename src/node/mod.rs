//! A node, from its configuration to its graceful end: the one place that knows every part. Parts are started in the
//! order in which they need each other and stopped in reverse.

mod backends;
mod blueprint;
mod joints;
mod keys;
mod lookout;
mod money;
mod orders;
mod parts;
mod reload;
mod settings;
mod witnesses;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::access::Ring;
use crate::advice::Advisor;
use crate::api::{self, Guard};
use crate::budget::Treasury;
use crate::dashboard::Pulse;
use crate::discovery;
use crate::env::Env;
use crate::gateway::Gateway;
use crate::health;
use crate::lifecycle::Lifecycle;
use crate::mesh::{self, Mesh};
use crate::registry::{Registry, Whereabouts};
use crate::telemetry::audit::By;
use crate::telemetry::events::Events;
use crate::telemetry::spans::Spans;

pub use blueprint::{Blueprint, StartError};

use joints::{Door, Member, herald_of, look_around};
use keys::Sharing;
use orders::{ManagedSlot, Orders};
use reload::{Now, Reload};
use settings::Steward;
use witnesses::Witnesses;

/// A running node.
pub struct Node {
    http: SocketAddr,
    mesh: Option<Mesh>,
    registry: Arc<Registry>,
    gateway: Arc<Gateway>,
    treasury: Option<Arc<Treasury>>,
    advisor: Arc<Advisor>,
    reload: Arc<Reload>,
    spans: Option<Arc<Spans>>,
    _managed: Arc<api::Managed>,
    accepting: CancellationToken,
    env: Env,
}

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
    let Blueprint { config, backends, secrets, origin, levels } = blueprint;
    parts::check_clock(env)?;
    parts::check_data_dir(&config)?;
    let rules = parts::rules(&config)?;

    let address = parts::resolve(env, &config.server.host, config.server.port).await?;
    let listener = env.net.listen(address).await.map_err(|error| parts::not_listening(address, &error))?;
    let http = listener.local_addr().map_err(|error| parts::not_listening(address, &error))?;

    let registry = Arc::new(Registry::new(Whereabouts::of(&*env.net)).judging_by(config.quality.clone()));
    for spec in backends.clone() {
        if let Err(duplicate) = registry.add(spec) {
            warn!("{duplicate}");
        }
    }

    let identity = parts::identity(&config, env)?;
    let ring = Arc::new(Ring::open(Path::new(&config.data_dir), identity.is_some(), env)?);
    let slot = money::Slot::default();
    let mesh = match identity.clone() {
        Some(identity) => Some(parts::start_mesh(&config, http, identity, &registry, &ring, &slot, env).await?),
        None => None,
    };
    let has_limited_keys = config.auth.client_keys.iter().any(|key| key.limits().is_any()) || !ring.is_empty();
    let treasury = money::open(&config, money::Owner { identity, mesh: mesh.as_ref(), has_limited_keys }, env)?;
    if let Some(treasury) = &treasury {
        let _ = slot.set(Arc::downgrade(treasury));
    }
    if mesh.as_ref().is_some_and(Mesh::is_keyed) {
        ring.await_mesh();
    }
    let node = parts::node_id(mesh.as_ref(), env);
    let name: Arc<str> = parts::peer_name(&config, env).into();
    let spans = secrets.collector.clone().map(|target| Spans::start(target, &name, env));
    let counters = Arc::new(parts::counters(&registry, mesh.as_ref(), spans.as_deref()));
    let gateway = Gateway::new(
        rules,
        parts::manner(&config, mesh.as_ref(), env),
        registry.clone(),
        mesh.clone(),
        treasury.clone(),
        env,
    );
    let data_dir = Path::new(&config.data_dir);
    let advisor = Advisor::open(config.fleet.clone(), data_dir, registry.clone(), mesh.clone(), name.clone(), env);
    let advisor = Arc::new(advisor);
    let witnesses = Witnesses { counters: counters.clone(), advisor: advisor.clone() };
    let gateway = Arc::new(gateway.witnessed_by(Arc::new(witnesses)).traced_by(joints::traces(spans.as_ref())));
    if let Some(mesh) = &mesh {
        mesh.serve_with(Arc::new(Door { gateway: Arc::downgrade(&gateway), node: node.clone() }));
    }

    let answers = Arc::new(api::Answers::default());
    let managed_slot = ManagedSlot::default();
    let lifecycle = Lifecycle::new(config.lifecycle.clone(), registry.clone(), mesh.clone(), name.clone(), env);
    if let Some(mesh) = &mesh {
        let sharing = Arc::new(Sharing {
            ring: ring.clone(),
            mesh: mesh.clone(),
            treasury: treasury.as_ref().map(Arc::downgrade).unwrap_or_default(),
        });
        let orders = Orders {
            managed: managed_slot.clone(),
            lifecycle: lifecycle.downgrade(),
            keys: Arc::downgrade(&sharing),
            gateway: Arc::downgrade(&gateway),
            answers: answers.clone(),
            treasury: treasury.as_ref().map(Arc::downgrade).unwrap_or_default(),
            advisor: Arc::downgrade(&advisor),
        };
        mesh.obey_with(Arc::new(orders));
        if let Some(treasury) = &treasury {
            treasury.lend_with(Arc::new(money::Errand(mesh.clone())));
            env.tasks.spawn("treasury", money::listen(Arc::downgrade(treasury), mesh.clone()));
            env.tasks.spawn("treasury-claims", money::tend(Arc::downgrade(treasury)));
        }
        env.tasks.spawn("keys", sharing.run());
    }

    env.tasks.spawn("advisor", advisor.clone().run());
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

    let membership = Arc::new(Member {
        mesh: mesh.clone(),
        ring: ring.clone(),
        herald,
        mdns: config.mesh.mdns,
        treasury: treasury.clone(),
    });
    let events = Arc::new(Events::new(env.clock.clone()));
    let watched = lookout::Watched {
        registry: registry.clone(),
        mesh: mesh.clone(),
        ring: ring.clone(),
        treasury: treasury.as_ref().map(Arc::downgrade).unwrap_or_default(),
        gateway: gateway.clone(),
        name: name.clone(),
    };
    env.tasks.spawn("events", watched.run(events.clone()));
    let accepting = CancellationToken::new();
    let clients = Arc::new(parts::client_keys(&secrets, ring)?);
    let reload = Arc::new(Reload {
        registry: registry.clone(),
        gateway: gateway.clone(),
        mesh: mesh.clone(),
        clients: clients.clone(),
        treasury: treasury.clone(),
        levels: levels.clone(),
        events: events.clone(),
        env: env.clone(),
        now: Mutex::new(Now::new(
            &config,
            backends,
            origin.as_ref().and_then(|origin| origin.text().map(str::to_owned)),
        )),
        started: config.clone(),
        origin,
    });
    if reload.has_a_file() {
        env.tasks.spawn("config-watch", reload.clone().watch());
    }
    let (router, managed) = api::router(
        api::Parts {
            gateway: gateway.clone(),
            registry: registry.clone(),
            mesh: mesh.clone(),
            client_keys: clients,
            settings: Arc::new(Steward::new(reload.clone())),
            levels,
            name,
            node,
            guard: Guard::new(secrets.admin_token.as_deref()),
            lifecycle,
            membership,
            treasury: treasury.clone(),
            counters,
            pulse: Pulse::start(registry.clone(), mesh.clone(), env),
            advisor: advisor.clone(),
            events,
            answers,
            closing: accepting.clone(),
            max_body: config.server.max_body(),
            checks_health: config.health_check.enabled,
        },
        env,
    );
    let managed = Arc::new(managed);
    let _ = managed_slot.set(Arc::downgrade(&managed));
    env.tasks.spawn("http", api::serve(listener, router, accepting.clone(), env.clone()));
    info!(address = %http, backends = registry.snapshot().entries.len(), "Node started");
    Ok(Node {
        http,
        mesh,
        registry,
        gateway,
        treasury,
        advisor,
        reload,
        spans,
        _managed: managed,
        accepting,
        env: env.clone(),
    })
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

    /// This peer's money, where any may be spent.
    pub fn treasury(&self) -> Option<&Arc<Treasury>> {
        self.treasury.as_ref()
    }

    /// This peer's backends.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Reads its configuration again, as a signal demands.
    pub fn reload(&self) {
        self.reload.on_word(&By::new("SIGHUP", "whoever may signal the process"));
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
        if let Some(treasury) = &self.treasury {
            let _ = tokio::time::timeout(LEAVING, treasury.flush()).await;
        }
        self.advisor.save();
        if let Some(spans) = &self.spans {
            spans.flush(LEAVING).await;
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

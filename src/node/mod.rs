//! A node, from its configuration to its graceful end: the one place that knows every part. Parts are started in the
//! order in which they need each other and stopped in reverse.

mod blueprint;
mod joints;
mod parts;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::api::{self, Guard};
use crate::discovery;
use crate::env::Env;
use crate::gateway::Gateway;
use crate::health;
use crate::lifecycle::Lifecycle;
use crate::mesh::{self, Mesh};
use crate::registry::{Registry, Whereabouts};

pub use blueprint::{Blueprint, StartError};

use joints::{Door, Member, herald_of, look_around};

/// A running node.
pub struct Node {
    http: SocketAddr,
    mesh: Option<Mesh>,
    registry: Arc<Registry>,
    gateway: Arc<Gateway>,
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
    let Blueprint { config, backends, secrets } = blueprint;
    parts::check_clock(env)?;
    parts::check_data_dir(&config)?;
    let rules = parts::rules(&config)?;

    let address = parts::resolve(env, &config.server.host, config.server.port).await?;
    let listener = env.net.listen(address).await.map_err(|error| parts::not_listening(address, &error))?;
    let http = listener.local_addr().map_err(|error| parts::not_listening(address, &error))?;

    let registry = Arc::new(Registry::new(Whereabouts::of(&*env.net)).judging_by(config.quality.clone()));
    for spec in backends {
        if let Err(duplicate) = registry.add(spec) {
            warn!("{duplicate}");
        }
    }

    let mesh = parts::start_mesh(&config, http, &registry, env).await?;
    let node = parts::node_id(mesh.as_ref(), env);
    let gateway =
        Arc::new(Gateway::new(rules, parts::manner(&config, mesh.as_ref(), env), registry.clone(), mesh.clone(), env));
    if let Some(mesh) = &mesh {
        mesh.serve_with(Arc::new(Door { gateway: Arc::downgrade(&gateway), node: node.clone() }));
    }

    let name = parts::peer_name(&config, env).into();
    let lifecycle = Lifecycle::new(config.lifecycle.clone(), registry.clone(), mesh.clone(), name, env);
    if let Some(mesh) = &mesh {
        mesh.obey_with(Arc::new(lifecycle.downgrade()));
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
            client_keys: parts::client_keys(&secrets)?,
            node,
            guard: Guard::new(secrets.admin_token.as_deref()),
            lifecycle,
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

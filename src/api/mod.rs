//! The HTTP face: routes, who may use them, and how replies and errors look. Handlers are thin: take apart, ask one
//! owner, put together.

mod auth;
mod backends;
mod config;
mod explain;
mod health;
mod mesh;
mod models;
mod openai;
mod path;
mod patient;
mod respond;
mod serve;

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post};
use tokio::time::Instant;

use crate::env::Env;
use crate::gateway::Gateway;
use crate::mesh::Mesh;
use crate::registry::Registry;

pub use auth::{ClientKeys, Guard, digest};
pub use config::{Auth, ClientKey, Config};
pub use serve::{Source, serve};

/// What the handlers speak to.
pub struct Parts {
    /// Answers requests.
    pub gateway: Arc<Gateway>,
    /// Knows this peer's backends.
    pub registry: Arc<Registry>,
    /// Knows the other peers.
    pub mesh: Option<Mesh>,
    /// Knows the clients' keys; `None` where every client may ask.
    pub client_keys: Option<ClientKeys>,
    /// Knows who may manage.
    pub guard: Guard,
    /// Is told what a running node is to do about its mesh.
    pub membership: Arc<dyn Membership>,
    /// What this node calls itself in [`crate::exchange::visited::VISITED`].
    pub node: http::HeaderValue,
    /// Largest request body, in bytes.
    pub max_body: usize,
    /// Whether backends are checked; without checks those of unknown health count.
    pub checks_health: bool,
}

/// Changes the mesh that a running node is a peer of.
pub trait Membership: Send + Sync + 'static {
    /// Leaves the mesh it is in and joins another.
    fn join(&self, membership: crate::mesh::Membership) -> futures_util::future::BoxFuture<'_, Result<(), String>>;
}

#[derive(Clone)]
struct Inference {
    gateway: Arc<Gateway>,
    keys: Option<Arc<ClientKeys>>,
    node: http::HeaderValue,
    max_body: usize,
}

#[derive(Clone)]
struct View {
    registry: Arc<Registry>,
    mesh: Option<Mesh>,
    started: Instant,
    /// When this node began to serve, in seconds since 1970: no backend says when its models were made.
    created: u64,
    checks_health: bool,
}

#[derive(Clone)]
struct Manage {
    registry: Arc<Registry>,
    mesh: Option<Mesh>,
    http: Arc<dyn crate::env::HttpExchange>,
    membership: Arc<dyn Membership>,
}

/// Every route.
pub fn router(parts: Parts, env: &Env) -> Router {
    let inference = Inference {
        gateway: parts.gateway,
        keys: parts.client_keys.map(Arc::new),
        node: parts.node,
        max_body: parts.max_body,
    };
    let view = View {
        registry: parts.registry.clone(),
        mesh: parts.mesh.clone(),
        started: Instant::now(),
        created: env.clock.unix_seconds(),
        checks_health: parts.checks_health,
    };
    let manage =
        Manage { registry: parts.registry, mesh: parts.mesh, http: env.http.clone(), membership: parts.membership };
    Router::new()
        .merge(
            Router::new()
                .route("/v1/chat/completions", post(openai::chat_completions))
                .route("/v1/completions", post(openai::completions))
                .route("/v1/embeddings", post(openai::embeddings))
                .route("/nexus/v1/explain", post(explain::explain))
                .with_state(inference),
        )
        .merge(
            Router::new()
                .route("/v1/models", get(models::list))
                .route("/v1/models/{*id}", get(models::one))
                .route("/health", get(health::health))
                .route("/nexus/v1/mesh", get(mesh::status))
                .route("/nexus/v1/backends", get(backends::list))
                .with_state(view),
        )
        .merge(
            Router::new()
                .route("/nexus/v1/backends", post(backends::add))
                .route("/nexus/v1/backends/{*id}", delete(backends::remove))
                .route("/nexus/v1/mesh/join", post(mesh::join))
                .route_layer(axum::middleware::from_fn_with_state(Arc::new(parts.guard), auth::check))
                .with_state(manage),
        )
        .fallback(respond::no_such_path)
        .method_not_allowed_fallback(respond::no_such_method)
}

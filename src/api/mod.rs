//! The HTTP face: routes, who may use them, and how replies and errors look. Handlers are thin: take apart, ask one
//! owner, put together.

mod auth;
mod backends;
mod config;
mod explain;
mod foreign;
mod health;
mod infer;
mod lifecycle;
mod mesh;
mod models;
mod ollama;
mod path;
mod patient;
mod respond;
mod serve;

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post};
use tokio::time::Instant;

use crate::env::Env;
use crate::exchange::Endpoint;
use crate::gateway::Gateway;
use crate::lifecycle::Lifecycle;
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
    /// Loads and unloads models.
    pub lifecycle: Lifecycle,
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
    let guard = Arc::new(parts.guard);
    let manage =
        Manage { registry: parts.registry, mesh: parts.mesh, http: env.http.clone(), membership: parts.membership };
    Router::new()
        .merge(
            Router::new()
                .route("/v1/chat/completions", infer::ask(Endpoint::ChatCompletions))
                .route("/v1/completions", infer::ask(Endpoint::Completions))
                .route("/v1/embeddings", infer::ask(Endpoint::Embeddings))
                .route("/v1/responses", infer::ask(Endpoint::Responses))
                .route("/v1/messages", infer::ask(Endpoint::Messages))
                .route("/v1/messages/count_tokens", infer::ask(Endpoint::CountTokens))
                .route("/v1/rerank", infer::ask(Endpoint::Rerank))
                .route("/v1/audio/transcriptions", infer::ask(Endpoint::Transcriptions))
                .route("/v1/audio/translations", infer::ask(Endpoint::Translations))
                .route("/v1/audio/speech", infer::ask(Endpoint::Speech))
                .route("/v1/images/generations", infer::ask(Endpoint::Images))
                .route("/v1/images/edits", infer::ask(Endpoint::ImageEdits))
                .route("/api/chat", infer::ask(Endpoint::OllamaChat))
                .route("/api/generate", infer::ask(Endpoint::OllamaGenerate))
                .route("/api/embed", infer::ask(Endpoint::OllamaEmbed))
                .route("/api/embeddings", infer::ask(Endpoint::OllamaEmbeddings))
                .route("/v1/models/{*id}", post(infer::google))
                .route("/v1beta/models/{*id}", post(infer::google))
                .route("/nexus/v1/explain", post(explain::explain))
                .with_state(inference),
        )
        .merge(
            Router::new()
                .route("/v1/models", get(models::list))
                .route("/v1/models/{*id}", get(models::one))
                .route("/v1beta/models", get(foreign::google_list))
                .route("/v1beta/models/{*id}", get(foreign::google_one))
                .route("/", get(ollama::greeting))
                .route("/api/version", get(ollama::version))
                .route("/api/tags", get(ollama::tags))
                .route("/api/ps", get(ollama::running))
                .route("/api/show", post(ollama::show))
                .route("/api/pull", post(ollama::not_here))
                .route("/api/push", post(ollama::not_here))
                .route("/api/create", post(ollama::not_here))
                .route("/api/copy", post(ollama::not_here))
                .route("/api/delete", delete(ollama::not_here))
                .route("/health", get(health::health))
                .route("/nexus/v1/mesh", get(mesh::status))
                .route("/nexus/v1/backends", get(backends::list))
                .with_state(view),
        )
        .merge(
            Router::new()
                .route("/v1/models/load", post(lifecycle::load))
                .route("/v1/models/migrate", post(lifecycle::migrate))
                .route("/v1/models/{*id}", delete(lifecycle::unload))
                .route("/v1/operations", get(lifecycle::list))
                .route("/v1/operations/{id}", get(lifecycle::one))
                .route_layer(axum::middleware::from_fn_with_state(guard.clone(), auth::check))
                .with_state(parts.lifecycle),
        )
        .merge(
            Router::new()
                .route("/nexus/v1/backends", post(backends::add))
                .route("/nexus/v1/backends/{*id}", delete(backends::remove))
                .route("/nexus/v1/mesh/join", post(mesh::join))
                .route_layer(axum::middleware::from_fn_with_state(guard, auth::check))
                .with_state(manage),
        )
        .fallback(respond::no_such_path)
        .method_not_allowed_fallback(respond::no_such_method)
}

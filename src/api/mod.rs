//! The HTTP face: routes, who may use them, and how replies and errors look. Handlers are thin: take apart, ask one
//! owner, put together.

mod advice;
mod audit;
mod auth;
mod backends;
mod budget;
mod config;
mod drain;
mod ends;
mod events;
mod explain;
mod far;
mod foreign;
mod gate;
mod gathered;
mod health;
mod infer;
mod joining;
mod keys;
mod lifecycle;
mod live;
mod log;
mod mesh;
mod metrics;
mod models;
mod ollama;
mod page;
mod path;
mod patient;
mod query;
mod recent;
mod requests;
mod respond;
mod serve;
mod settings;
mod spending;
mod stats;
mod sums;
mod watchers;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, patch, post};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::advice::Advisor;
use crate::budget::Treasury;
use crate::dashboard::Pulse;
use crate::env::{Clock, Env};
use crate::exchange::Endpoint;
use crate::gateway::Gateway;
use crate::lifecycle::Lifecycle;
use crate::mesh::{Mesh, Warning, rejected};
use crate::registry::Registry;
use crate::telemetry::events::Events;
use crate::telemetry::{Counters, Levels};

pub use crate::fleet::key_digest as digest;
pub use auth::{ClientKeys, ConfiguredKey};
pub use config::{Auth, ClientKey, Config};
pub use far::Managed;
pub use gate::Guard;
pub use serve::{Source, serve};
pub use settings::{Backends, Declined, Edit, Reloaded, Saved, Settings, TurnedBudget};
pub use sums::Answers;

use drain::Drain;
use settings::routing;

/// What the handlers speak to.
pub struct Parts {
    /// Answers requests.
    pub gateway: Arc<Gateway>,
    /// Knows this peer's backends.
    pub registry: Arc<Registry>,
    /// Knows the other peers.
    pub mesh: Option<Mesh>,
    /// Knows the clients' keys.
    pub client_keys: Arc<ClientKeys>,
    /// What this peer is called where there is no mesh.
    pub name: Arc<str>,
    /// Knows who may manage.
    pub guard: Guard,
    /// Loads and unloads models.
    pub lifecycle: Lifecycle,
    /// Reads the configuration again, and writes into it.
    pub settings: Arc<dyn Settings>,
    /// How much is logged.
    pub levels: Levels,
    /// Is told what a running node is to do about its mesh.
    pub membership: Arc<dyn Membership>,
    /// Knows the money; `None` where none can be spent.
    pub treasury: Option<Arc<Treasury>>,
    /// What became of requests.
    pub counters: Arc<Counters>,
    /// How the mesh went of late.
    pub pulse: Arc<Pulse>,
    /// Knows what would be worth doing.
    pub advisor: Arc<Advisor>,
    /// What has happened.
    pub events: Arc<Events>,
    /// Cancelled when this node stops: then nobody is followed any longer.
    pub closing: CancellationToken,
    /// Where other peers' questions are answered from.
    pub answers: Arc<Answers>,
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
    /// `made_here` says that its key was just made on this node.
    fn join(
        &self,
        membership: crate::mesh::Membership,
        made_here: bool,
    ) -> futures_util::future::BoxFuture<'_, Result<(), String>>;
}

#[derive(Clone)]
struct Inference {
    gateway: Arc<Gateway>,
    keys: Arc<ClientKeys>,
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
    treasury: budget::Money,
    /// What this peer is called where there is no mesh.
    name: Arc<str>,
    settings: settings::Owner,
}

impl View {
    /// What people should know of the mesh; where there is none, of this peer.
    fn warnings(&self) -> Vec<Warning> {
        let alone = || self.settings.rejected().and_then(|place| rejected(&self.name, &place)).into_iter().collect();
        self.mesh.as_ref().map_or_else(alone, Mesh::warnings)
    }
}

/// What is counted, beside what there is to see.
struct Watch {
    name: Arc<str>,
    view: View,
    counters: Arc<Counters>,
    gateway: Arc<Gateway>,
    keys: Arc<ClientKeys>,
    clock: Arc<dyn Clock>,
    /// The last sum of all peers.
    sum: recent::Recent<(), Arc<serde_json::Value>>,
}

#[derive(Clone)]
struct Manage {
    registry: Arc<Registry>,
    mesh: Option<Mesh>,
    http: Arc<dyn crate::env::HttpExchange>,
}

#[derive(Clone)]
struct Keys {
    clients: Arc<ClientKeys>,
    mesh: Option<Mesh>,
    name: Arc<str>,
    clock: Arc<dyn Clock>,
    treasury: budget::Money,
}

/// What takes the whole mesh to answer is good for a second, for all who ask.
const SHARED: Duration = Duration::from_secs(1);

fn one_second<T: Clone + Default + Send + 'static>(env: &Env) -> recent::Recent<(), T> {
    recent::Recent::new(env.tasks.clone(), SHARED)
}

/// Every route, and those of them that other peers may take by an order.
pub fn router(parts: Parts, env: &Env) -> (Router, Managed) {
    let clients = parts.client_keys;
    let drain = Drain {
        registry: parts.registry.clone(),
        gateway: parts.gateway.clone(),
        mesh: parts.mesh.clone(),
        name: parts.name.clone(),
    };
    let keys = Keys {
        clients: clients.clone(),
        mesh: parts.mesh.clone(),
        name: parts.name.clone(),
        clock: env.clock.clone(),
        treasury: parts.treasury.clone(),
    };
    let guard = Arc::new(parts.guard);
    let pages = page::Parts {
        view: View {
            registry: parts.registry.clone(),
            mesh: parts.mesh.clone(),
            started: Instant::now(),
            created: env.clock.unix_seconds(),
            checks_health: parts.checks_health,
            treasury: parts.treasury.clone(),
            name: parts.name.clone(),
            settings: parts.settings.clone(),
        },
        gateway: parts.gateway.clone(),
        asked: Arc::new(gathered::Asked::new(parts.gateway.clone(), parts.mesh.clone(), &env.tasks)),
        name: parts.name.clone(),
        clients: clients.clone(),
        guard: guard.clone(),
        pulse: parts.pulse,
        node: parts.node.clone(),
        events: parts.events.clone(),
    };
    let view = pages.view.clone();
    let (gateway, watched) = (parts.gateway.clone(), clients.clone());
    let seen = pages.asked.clone();
    let watchers = Arc::new(watchers::Watchers::new(parts.closing));
    let follow = events::Seen { events: parts.events, watchers: watchers.clone() };
    let inference = Inference { gateway: parts.gateway, keys: clients, node: parts.node, max_body: parts.max_body };
    let (counters, clock) = (parts.counters, env.clock.clone());
    let fleet = advice::Fleet { advisor: parts.advisor, clock: env.clock.clone(), advice: Arc::new(one_second(env)) };
    let hub = live::Hub::new(view.clone(), gateway.clone(), watchers, env.tasks.clone(), &*env.clock);
    let hub = Arc::new(hub);
    let watch = Arc::new(Watch {
        name: parts.name.clone(),
        view: view.clone(),
        counters,
        gateway,
        keys: watched,
        clock,
        sum: one_second(env),
    });
    parts.answers.are_given_by(&watch);
    let gate = Arc::new(gate::Gate { guard, mesh: parts.mesh.clone(), name: parts.name, tasks: env.tasks.clone() });
    let doorway = joining::Doorway {
        mesh: parts.mesh.clone(),
        membership: parts.membership,
        settings: parts.settings.clone(),
        seed: env.seed.clone(),
    };
    let manage = Manage { registry: parts.registry, mesh: parts.mesh, http: env.http.clone() };
    let managed = managed(&manage, drain, parts.settings, parts.levels);
    let api = Router::new()
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
            Router::new().route("/metrics", get(metrics::show)).route("/v1/stats", get(stats::show)).with_state(watch),
        )
        .merge(Router::new().route("/v1/fleet/recommendations", get(advice::show)).with_state(fleet))
        .merge(
            Router::new()
                .route("/v1/history", get(requests::history))
                .route("/nexus/v1/requests", get(requests::list))
                .route("/nexus/v1/requests/{*id}", get(requests::one))
                .with_state(seen),
        )
        .merge(Router::new().route("/ws", get(live::connect)).with_state(hub))
        .merge(Router::new().route("/nexus/v1/events", get(events::show)).with_state(follow))
        .merge(
            Router::new()
                .route("/v1/models/load", post(lifecycle::load))
                .route("/v1/models/migrate", post(lifecycle::migrate))
                .route("/v1/models/{*id}", delete(lifecycle::unload))
                .route("/v1/operations", get(lifecycle::list))
                .route("/v1/operations/{id}", get(lifecycle::one))
                .route_layer(from_fn(query::check))
                .route_layer(from_fn_with_state(gate.clone(), gate::check))
                .with_state(parts.lifecycle),
        )
        .merge(
            managed
                .clone()
                .route_layer(from_fn_with_state(gate.clone(), far::carry))
                .route_layer(from_fn_with_state(gate.clone(), gate::check)),
        )
        .merge(
            Router::new()
                .route("/nexus/v1/mesh/invite", post(joining::invite))
                .route("/nexus/v1/mesh/join", post(joining::join))
                .route_layer(from_fn(query::check))
                .route_layer(from_fn_with_state(gate.clone(), gate::check))
                .with_state(doorway),
        )
        .merge(
            Router::new()
                .route("/nexus/v1/keys", get(keys::list).post(keys::add))
                .route("/nexus/v1/keys/{*name}", delete(keys::revoke))
                .route_layer(from_fn(query::check))
                .route_layer(from_fn_with_state(gate.clone(), gate::check))
                .with_state(keys),
        )
        .merge(
            Router::new()
                .route("/nexus/v1/budget/found", post(budget::found))
                .route("/nexus/v1/mesh/forget", post(budget::forget))
                .route_layer(from_fn(query::check))
                .route_layer(from_fn_with_state(gate.clone(), gate::check))
                .route("/nexus/v1/budget", get(budget::show))
                .with_state(parts.treasury.clone()),
        );
    let router = api
        .clone()
        .merge(page::router(pages, api, env))
        .fallback(respond::no_such_path)
        .method_not_allowed_fallback(respond::no_such_method);
    let managed = managed.fallback(respond::no_such_path).method_not_allowed_fallback(respond::no_such_method);
    (router, Managed { router: managed, gate })
}

/// What managers change at this peer, from here or from another one.
fn managed(manage: &Manage, drain: Drain, settings: settings::Owner, levels: Levels) -> Router {
    let backends = backends::Own { manage: manage.clone(), settings: settings.clone() };
    Router::new()
        .route("/nexus/v1/backends", post(backends::add))
        .route("/nexus/v1/backends/{*id}", delete(backends::remove))
        .with_state(backends)
        .merge(
            Router::new()
                .route("/nexus/v1/drain", get(drain::show).post(drain::begin).delete(drain::end))
                .route(
                    "/nexus/v1/drain/{*backend}",
                    get(drain::show_backend).post(drain::begin_backend).delete(drain::end_backend),
                )
                .with_state(drain),
        )
        .merge(Router::new().route("/nexus/v1/log", get(log::show).put(log::set)).with_state(levels))
        .merge(
            Router::new()
                .route("/nexus/v1/config/reload", post(settings::reload))
                .route("/nexus/v1/aliases", get(routing::aliases))
                .route(
                    "/nexus/v1/aliases/{*name}",
                    get(routing::alias).put(routing::set_alias).delete(routing::remove_alias),
                )
                .route("/nexus/v1/fallbacks", get(routing::fallbacks))
                .route(
                    "/nexus/v1/fallbacks/{*name}",
                    get(routing::fallback).put(routing::set_fallback).delete(routing::remove_fallback),
                )
                .route("/nexus/v1/budget", patch(routing::change_budget))
                .route("/nexus/v1/policies", get(routing::policies))
                .route(
                    "/nexus/v1/policies/{*pattern}",
                    get(routing::policy)
                        .put(routing::set_policy)
                        .patch(routing::change_policy)
                        .delete(routing::remove_policy),
                )
                .with_state(settings),
        )
        .route_layer(from_fn(query::check))
}

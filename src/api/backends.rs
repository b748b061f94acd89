//! `/nexus/v1/backends`: every backend of the mesh, and those of this peer to add and remove.

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;
use tracing::info;

use super::path::Rest;
use super::query::{asks_for, is_dry_run};
use super::settings::{self, Edit, Saved};
use super::{Manage, View, audit, respond};
use crate::backend::{self, Detected};
use crate::dialect::Fault;
use crate::fleet::{
    BackendFacts, BackendSpec, Breaker, Kind, Load, Locality, Model, NAME_LIMIT, PeerState, Source, Tier, Zone,
    is_fit_name, root_url,
};
use crate::mesh::{Mesh, Peer};
use crate::registry::{Duplicate, Entry};

/// A backend as the command line and dashboards see it.
#[derive(Serialize)]
pub(super) struct BackendView {
    id: String,
    name: String,
    url: String,
    backend_type: Kind,
    r#type: Kind,
    status: &'static str,
    models: Vec<ModelView>,
    priority: u32,
    pending_requests: u32,
    queued_requests: u32,
    /// From others than its peer, as far as its server tells.
    foreign_requests: u32,
    total_requests: u64,
    avg_latency_ms: Option<u32>,
    discovery_source: String,
    peer: String,
    zone: &'static str,
    tier: u8,
    concurrency: Option<u32>,
    ttft_ms: Option<u32>,
    tokens_per_second: Option<f32>,
    /// Its breakers that are not closed.
    breakers: Vec<BreakerView>,
    last_check_seconds_ago: Option<u64>,
    last_error: Option<String>,
}

#[derive(Serialize)]
struct ModelView {
    id: String,
    name: String,
    context_length: u64,
    supports_vision: bool,
    supports_tools: bool,
    supports_json_mode: bool,
    max_output_tokens: Option<u64>,
    /// Whether it can answer at once; `null` where nobody knows.
    loaded: Option<bool>,
}

/// A breaker that is not closed.
#[derive(Serialize)]
struct BreakerView {
    /// `null` where it guards every model.
    model: Option<String>,
    kind: &'static str,
    state: &'static str,
    /// `null` where that is no matter of time.
    seconds_until_probe: Option<u64>,
    reason: String,
}

impl BreakerView {
    fn of(breaker: &Breaker) -> Self {
        BreakerView {
            model: breaker.model.clone(),
            kind: breaker.trouble.as_str(),
            state: breaker.state(),
            seconds_until_probe: breaker.seconds_until_probe(),
            reason: breaker.to_string(),
        }
    }
}

impl ModelView {
    fn of(model: &Model) -> Self {
        ModelView {
            id: model.id.clone(),
            name: model.id.clone(),
            context_length: model.context_length.unwrap_or(Model::DISPLAY_CONTEXT),
            supports_vision: model.vision.is_yes(),
            supports_tools: model.tools.is_yes(),
            supports_json_mode: model.json_mode.is_yes(),
            max_output_tokens: model.max_output_tokens,
            loaded: model.residency.is_loaded(),
        }
    }
}

impl BackendView {
    fn of(facts: &BackendFacts, url: String, source: String, peer: &str) -> Self {
        let BackendFacts { about, models, load, breakers, .. } = facts;
        let Load { in_flight, queued, foreign, total, concurrency, latency_ms, ttft_ms, tokens_per_second, .. } = *load;
        BackendView {
            id: about.name.clone(),
            name: about.name.clone(),
            url,
            backend_type: about.kind,
            r#type: about.kind,
            status: about.status.as_str(),
            models: models.iter().map(ModelView::of).collect(),
            priority: about.priority,
            pending_requests: in_flight,
            queued_requests: queued,
            foreign_requests: foreign,
            total_requests: total,
            avg_latency_ms: latency_ms,
            discovery_source: source,
            peer: peer.to_owned(),
            zone: about.zone.as_str(),
            tier: about.tier.get(),
            concurrency,
            ttft_ms,
            tokens_per_second,
            breakers: breakers.iter().map(BreakerView::of).collect(),
            last_check_seconds_ago: None,
            last_error: None,
        }
    }

    /// One of another peer.
    pub(super) fn of_peer(facts: &BackendFacts, peer: &Peer) -> Self {
        let url = format!("http://{}", facts.about.endpoint);
        BackendView::of(facts, url, format!("peer:{}", peer.name), &peer.name)
    }

    /// One of this peer.
    pub(super) fn own(entry: &Entry) -> Self {
        let condition = entry.condition();
        let url = entry.spec.url.as_str().trim_end_matches('/').to_owned();
        BackendView {
            last_check_seconds_ago: condition.checked_at.map(|at| at.elapsed().as_secs()),
            last_error: condition.last_error.clone(),
            breakers: entry.breakers().iter().map(BreakerView::of).collect(),
            ..BackendView::of(&entry.facts(), url, entry.spec.source.as_str().to_owned(), "self")
        }
    }
}

pub(super) async fn list(State(view): State<View>) -> Response {
    let mut backends: Vec<BackendView> =
        view.registry.snapshot().entries.iter().map(|entry| BackendView::own(entry)).collect();
    if let Some(mesh) = &view.mesh {
        let (now, config) = (Instant::now(), mesh.config());
        for peer in mesh.peers().list.iter().filter(|peer| peer.state(now, config) != PeerState::Dead) {
            for backend in &peer.backends {
                backends.push(BackendView::of_peer(&backend.facts(now), peer));
            }
        }
    }
    respond::json(StatusCode::OK, &json!({ "backends": backends }))
}

/// What `nexus backends add` sends.
#[derive(Deserialize)]
struct Addition {
    url: String,
    name: Option<String>,
    #[serde(alias = "backend_type")]
    r#type: Option<String>,
    priority: Option<i64>,
    zone: Option<Zone>,
    tier: Option<Tier>,
    /// Write it into the configuration file as well.
    #[serde(default)]
    save: bool,
}

/// This peer's backends, and the file that may name them.
#[derive(Clone)]
pub(super) struct Own {
    pub(super) manage: Manage,
    pub(super) settings: settings::Owner,
}

/// The largest body of a management call.
const BODY_LIMIT: usize = 64 << 10;

pub(super) async fn add(State(Own { manage, settings }): State<Own>, request: Request) -> Response {
    let added = async {
        let dry_run = is_dry_run(request.uri());
        let (_, body) = respond::whole_body_of(request, BODY_LIMIT).await?;
        let addition: Addition =
            serde_json::from_slice(&body).map_err(|error| Fault::bad_request(format!("Invalid request: {error}")))?;
        let (save, zone, tier, priority) = (addition.save, addition.zone, addition.tier, addition.priority);
        let spec = read(addition, &manage).await?;
        let name = spec.name.clone();
        if save || dry_run {
            let duplicate = || Fault::conflict(Duplicate(name.clone()).to_string());
            manage.registry.snapshot().get(&name).map_or(Ok(()), |_| Err(duplicate()))?;
        }
        if save {
            let priority = priority.map(|_| spec.priority);
            let saved = Saved { url: spec.url.to_string(), kind: spec.kind, priority, zone, tier };
            let edit = Edit::Backend { name: name.clone(), backend: Some(saved) };
            settings.write(edit, None, dry_run).await.map_err(|declined| declined.fault())?;
        }
        if dry_run {
            return Ok(Err(would_add(&spec, save)));
        }
        if save {
            let taken = manage.registry.snapshot().get(&name).cloned();
            let taken =
                taken.ok_or_else(|| Fault::conflict(format!("backend '{name}' is written, but was not taken up")));
            return taken.map(Ok);
        }
        manage.registry.add(spec).map(Ok).map_err(|duplicate| Fault::conflict(duplicate.to_string()))
    };
    match added.await {
        Ok(Err(foreseen)) => respond::json(StatusCode::OK, &foreseen),
        Ok(Ok(entry)) => {
            info!(backend = entry.spec.name.as_str(), kind = %entry.spec.kind, "Backend added");
            let mut response = respond::json(StatusCode::CREATED, &json!({ "backend": BackendView::own(&entry) }));
            audit::deed(&mut response, "backend_added", entry.spec.name.as_str());
            response
        }
        Err(fault) => respond::fault(&fault),
    }
}

/// A backend as it would be.
fn would_add(spec: &BackendSpec, save: bool) -> serde_json::Value {
    json!({
        "dry_run": true,
        "would_add": {
            "name": spec.name,
            "url": spec.url.as_str().trim_end_matches('/'),
            "type": spec.kind,
            "zone": spec.zone.as_str(),
            "tier": spec.tier.get(),
            "priority": spec.priority,
            "save": save,
        },
    })
}

async fn read(addition: Addition, manage: &Manage) -> Result<BackendSpec, Fault> {
    let url = root_url(&addition.url).map_err(|error| Fault::bad_request(error.to_string()))?;
    let name = addition.name.unwrap_or_else(|| url.host_str().unwrap_or("backend").to_owned());
    if !is_fit_name(&name) {
        let rule = format!("Invalid name: use 1 to {NAME_LIMIT} visible characters");
        return Err(Fault::bad_request(rule));
    }
    let kind = match addition.r#type {
        Some(named) => named.parse::<Kind>().map_err(|error| Fault::bad_request(error.to_string()))?,
        None => match backend::detect(manage.http.as_ref(), &url).await {
            Detected::Backend(kind) => kind,
            Detected::Nothing => Kind::Generic,
            Detected::Nexus => {
                let instead = "That is a Nexus node, not a backend: use `nexus mesh join` to make it a peer.";
                return Err(Fault::bad_request(instead.to_owned()));
            }
        },
    };
    if kind.locality() == Locality::Cloud {
        let instead =
            format!("A backend of type {kind} needs a key: put it into the configuration with `api_key_env`.");
        return Err(Fault::bad_request(instead));
    }
    let mut spec = BackendSpec::new(name, url, kind, Source::Manual);
    spec.zone = addition.zone.unwrap_or(spec.zone);
    spec.tier = addition.tier.unwrap_or(spec.tier);
    if let Some(priority) = addition.priority {
        spec.priority = u32::try_from(priority.max(0)).unwrap_or(u32::MAX);
    }
    Ok(spec)
}

pub(super) async fn remove(State(Own { manage, settings }): State<Own>, Rest(name): Rest, uri: http::Uri) -> Response {
    let snapshot = manage.registry.snapshot();
    let Some(entry) = snapshot.get(&name) else { return respond::fault(&not_found(&name)) };
    let (save, dry_run) = (asks_for(&uri, "save"), is_dry_run(&uri));
    if save {
        let edit = Edit::Backend { name: name.clone(), backend: None };
        if let Err(declined) = settings.write(edit, None, dry_run).await {
            return respond::fault(&declined.fault());
        }
    }
    if dry_run {
        return respond::json(StatusCode::OK, &foreseen(entry, &manage));
    }
    manage.registry.discard(entry);
    info!(backend = entry.spec.name.as_str(), "Backend removed");
    let mut response = respond::json(StatusCode::OK, &json!({ "removed": entry.spec.name }));
    audit::deed(&mut response, "backend_removed", entry.spec.name.as_str());
    response
}

pub(super) fn not_found(name: &str) -> Fault {
    Fault::not_found(format!("backend not found: {name}"))
}

/// What would become of requests and models without a backend.
fn foreseen(gone: &Entry, manage: &Manage) -> serde_json::Value {
    let snapshot = manage.registry.snapshot();
    let (peers, now) = (manage.mesh.as_ref().map(Mesh::peers).unwrap_or_default(), Instant::now());
    let is_elsewhere = |model: &Model| {
        let here = snapshot.offering(&model.id).iter().any(|offered| offered.entry.name != gone.name);
        let lives = |peer: &Peer| {
            let config = manage.mesh.as_ref().map(Mesh::config);
            config.is_some_and(|config| peer.state(now, config) != PeerState::Dead)
        };
        here || peers.offering(&model.id).any(|(peer, ..)| lives(peer))
    };
    let condition = gone.condition();
    let lost = condition.models.iter().filter(|model| !is_elsewhere(model)).map(|model| &model.id);
    let load = gone.load();
    json!({
        "dry_run": true,
        "would_remove": gone.spec.name,
        "in_flight": load.in_flight,
        "queued": load.queued,
        "models_lost": lost.collect::<Vec<_>>(),
    })
}

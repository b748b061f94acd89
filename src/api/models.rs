//! `GET /v1/models`: what can be asked for, here and on every other peer.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use tokio::time::Instant;

use super::foreign;
use super::path::Rest;
use super::{View, respond};
use crate::dialect::Fault;
use crate::fleet::{BackendAbout, Model, PeerState, Server, Status};
use crate::mesh::Mesh;
use crate::registry;

#[derive(Serialize)]
struct Listing {
    object: &'static str,
    data: Vec<Entry>,
}

/// A model as one backend offers it.
#[derive(Clone, Serialize)]
pub(super) struct Entry {
    pub(super) id: String,
    object: &'static str,
    created: u64,
    owned_by: String,
    context_length: u64,
    capabilities: Capabilities,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<Arc<str>>,
}

#[derive(Clone, Serialize)]
struct Capabilities {
    vision: bool,
    tools: bool,
    json_mode: bool,
}

impl Entry {
    fn new(model: &Model, created: u64, backend: &str, peer: Option<Arc<str>>) -> Self {
        Entry {
            id: model.id.clone(),
            object: "model",
            created,
            owned_by: backend.to_owned(),
            context_length: model.context_length.unwrap_or(Model::DISPLAY_CONTEXT),
            capabilities: Capabilities {
                vision: model.vision.is_yes(),
                tools: model.tools.is_yes(),
                json_mode: model.json_mode.is_yes(),
            },
            peer,
        }
    }
}

pub(super) async fn list(State(view): State<View>, headers: HeaderMap, uri: http::Uri) -> Response {
    if let Some(response) = foreign::list(&view, &headers) {
        return response;
    }
    let mut data = all(&view);
    if asks_for_unique(uri.query().unwrap_or_default()) {
        data.dedup_by(|later, first| later.id == first.id);
        for entry in &mut data {
            entry.owned_by = "nexus".to_owned();
            entry.peer = None;
        }
    }
    respond::json(StatusCode::OK, &Listing { object: "list", data })
}

/// `?unique=true`: one entry for each model, whoever has it.
fn asks_for_unique(query: &str) -> bool {
    query.split('&').any(|pair| matches!(pair, "unique" | "unique=true" | "unique=1"))
}

pub(super) async fn one(State(view): State<View>, headers: HeaderMap, Rest(id): Rest) -> Response {
    if let Some(response) = foreign::one(&view, &headers, &id) {
        return response;
    }
    match all(&view).into_iter().find(|entry| entry.id == id) {
        Some(entry) => respond::json(StatusCode::OK, &entry),
        None => {
            let mut available: Vec<String> = all(&view).into_iter().map(|entry| entry.id).collect();
            available.dedup();
            respond::fault(&Fault::model_not_found(&id, available.iter().map(String::as_str)))
        }
    }
}

/// A model that somebody can serve.
pub(super) struct Seen {
    pub(super) model: Arc<Model>,
    pub(super) backend: String,
    /// The name of its peer, where that is another one.
    pub(super) peer: Option<Arc<str>>,
}

/// Every model that somebody can serve, as entries of a list.
pub(super) fn all(view: &View) -> Vec<Entry> {
    let entry = |seen: Seen| Entry::new(&seen.model, view.created, &seen.backend, seen.peer);
    seen(view).into_iter().map(entry).collect()
}

/// How many models can be asked for, whoever has them.
pub(super) fn count(view: &View) -> usize {
    let mut ids: Vec<String> = seen(view).into_iter().map(|seen| seen.model.id.clone()).collect();
    ids.dedup();
    ids.len()
}

/// Every model that somebody can serve, sorted by id, then by backend. A server that two peers reach is listed once.
pub(super) fn seen(view: &View) -> Vec<Seen> {
    let (snapshot, peers) = (view.registry.snapshot(), view.mesh.as_ref().map(Mesh::peers).unwrap_or_default());
    let about = |entry: &Arc<registry::Entry>| {
        let mut about = entry.about();
        if !about.near {
            about.machine = peers.machine_at(&about.endpoint).unwrap_or_default().to_owned();
        }
        about
    };
    let abouts: Vec<BackendAbout> = snapshot.entries.iter().map(about).collect();
    let mut seen: Vec<(Server<'_>, Seen)> = Vec::new();
    for (backend, about) in snapshot.entries.iter().zip(&abouts) {
        let condition = backend.condition();
        let usable = match backend.status() {
            Status::Healthy => true,
            Status::Unknown => !view.checks_health && !backend.is_withdrawn(),
            _ => false,
        };
        for model in condition.models.iter().filter(|_| usable) {
            let (model, backend) = (model.clone(), backend.spec.name.clone());
            seen.push((about.server(None), Seen { model, backend, peer: None }));
        }
    }
    let own = seen.len();
    if let Some(mesh) = &view.mesh {
        let (now, config) = (Instant::now(), mesh.config());
        for peer in &peers.list {
            if !matches!(peer.state(now, config), PeerState::Alive | PeerState::Suspect) {
                continue;
            }
            for backend in peer.backends.iter().filter(|backend| backend.about.status == Status::Healthy) {
                let server = backend.about.server(Some(&peer.id));
                let is_own = |id: &str| seen[..own].iter().any(|(at, own)| *at == server && own.model.id == id);
                let far: Vec<_> = backend.models.iter().filter(|model| !is_own(&model.id)).collect();
                for model in far {
                    let (model, backend) = (model.clone(), backend.about.name.clone());
                    seen.push((server, Seen { model, backend, peer: Some(peer.name.as_str().into()) }));
                }
            }
        }
    }
    let id = |seen: &Seen| seen.model.id.clone();
    seen.sort_by(|(at_a, a), (at_b, b)| (id(a), at_a, &a.peer, &a.backend).cmp(&(id(b), at_b, &b.peer, &b.backend)));
    seen.dedup_by(|(at_b, b), (at_a, a)| a.model.id == b.model.id && at_a == at_b && a.peer != b.peer);
    let mut all: Vec<Seen> = seen.into_iter().map(|(_, seen)| seen).collect();
    all.sort_by(|a, b| (&a.model.id, &a.backend, &a.peer).cmp(&(&b.model.id, &b.backend, &b.peer)));
    all
}

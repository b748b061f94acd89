//! `GET /v1/models`: what can be asked for, here and on every other peer.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use tokio::time::Instant;

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

pub(super) async fn list(State(view): State<View>, uri: http::Uri) -> Response {
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

pub(super) async fn one(State(view): State<View>, Rest(id): Rest) -> Response {
    match all(&view).into_iter().find(|entry| entry.id == id) {
        Some(entry) => respond::json(StatusCode::OK, &entry),
        None => {
            let mut available: Vec<String> = all(&view).into_iter().map(|entry| entry.id).collect();
            available.dedup();
            respond::fault(&Fault::model_not_found(&id, available.iter().map(String::as_str)))
        }
    }
}

/// Every model that somebody can serve, sorted by id, then by backend. A server that two peers reach is listed once.
pub(super) fn all(view: &View) -> Vec<Entry> {
    let (snapshot, peers) = (view.registry.snapshot(), view.mesh.as_ref().map(Mesh::peers).unwrap_or_default());
    let about = |entry: &Arc<registry::Entry>| {
        let mut about = entry.about();
        if !about.near {
            about.machine = peers.machine_at(&about.endpoint).unwrap_or_default().to_owned();
        }
        about
    };
    let abouts: Vec<BackendAbout> = snapshot.entries.iter().map(about).collect();
    let mut seen: Vec<(Server<'_>, Entry)> = Vec::new();
    for (backend, about) in snapshot.entries.iter().zip(&abouts) {
        let condition = backend.condition();
        let usable = match condition.status {
            Status::Healthy => true,
            Status::Unknown => !view.checks_health && !backend.is_withdrawn(),
            _ => false,
        };
        for model in condition.models.iter().filter(|_| usable) {
            seen.push((about.server(None), Entry::new(model, view.created, &backend.spec.name, None)));
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
                let is_own = |id: &str| seen[..own].iter().any(|(at, entry)| *at == server && entry.id == id);
                let far: Vec<_> = backend.models.iter().filter(|model| !is_own(&model.id)).collect();
                for model in far {
                    let entry = Entry::new(model, view.created, &backend.about.name, Some(peer.name.as_str().into()));
                    seen.push((server, entry));
                }
            }
        }
    }
    seen.sort_by(|(at_a, a), (at_b, b)| (&a.id, at_a, &a.peer, &a.owned_by).cmp(&(&b.id, at_b, &b.peer, &b.owned_by)));
    seen.dedup_by(|(at_b, b), (at_a, a)| a.id == b.id && at_a == at_b && a.peer != b.peer);
    let mut data: Vec<Entry> = seen.into_iter().map(|(_, entry)| entry).collect();
    data.sort_by(|a, b| (&a.id, &a.owned_by, &a.peer).cmp(&(&b.id, &b.owned_by, &b.peer)));
    data
}

//! `/nexus/v1/drain`: this peer, or one of its backends, finishes what it has and takes no more, until told otherwise.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{StatusCode, Uri};
use serde_json::{Value, json};
use tracing::info;

use super::path::Rest;
use super::query::is_dry_run;
use super::{audit, respond};
use crate::gateway::Gateway;
use crate::mesh::Mesh;
use crate::registry::{Entry, Registry};

/// What can drain.
#[derive(Clone)]
pub(super) struct Drain {
    pub(super) registry: Arc<Registry>,
    pub(super) gateway: Arc<Gateway>,
    pub(super) mesh: Option<Mesh>,
    /// What this peer is called where there is no mesh.
    pub(super) name: Arc<str>,
}

impl Drain {
    fn peer(&self) -> Arc<str> {
        self.mesh.as_ref().map_or_else(|| self.name.clone(), Mesh::name)
    }

    /// How far it is. What other peers have forwarded here is among what is under way.
    fn standing(&self) -> Value {
        let under_way = self.gateway.under_way();
        json!({
            "peer": self.peer(),
            "draining": self.gateway.is_draining(),
            "in_flight": under_way,
            "queued": self.gateway.queue_counts().depth,
            "idle": under_way == 0,
        })
    }

    fn standing_of(&self, entry: &Entry) -> Value {
        let load = entry.load();
        json!({
            "backend": entry.spec.name,
            "peer": self.peer(),
            "draining": entry.is_draining(),
            "in_flight": load.in_flight,
            "queued": load.queued,
            "idle": load.in_flight == 0,
        })
    }

    /// The mesh is told first that nobody should come, and last that anybody may.
    fn set(&self, draining: bool) {
        let tell = || self.mesh.iter().for_each(|mesh| mesh.set_draining(draining));
        if draining {
            tell();
        }
        self.gateway.set_draining(draining);
        if !draining {
            tell();
        }
        info!(draining, "This peer {}", if draining { "drains" } else { "takes requests again" });
    }
}

pub(super) async fn show(State(drain): State<Drain>) -> Response {
    respond::json(StatusCode::OK, &drain.standing())
}

pub(super) async fn begin(State(drain): State<Drain>, uri: Uri) -> Response {
    change(&drain, true, "peer_drained", &uri)
}

pub(super) async fn end(State(drain): State<Drain>, uri: Uri) -> Response {
    change(&drain, false, "peer_undrained", &uri)
}

fn change(drain: &Drain, draining: bool, action: &'static str, uri: &Uri) -> Response {
    if is_dry_run(uri) {
        return foreseen(drain.standing());
    }
    drain.set(draining);
    let mut response = respond::json(StatusCode::OK, &drain.standing());
    audit::deed(&mut response, action, &*drain.peer());
    response
}

/// How it stands, where nothing was to be done.
fn foreseen(mut standing: Value) -> Response {
    standing["dry_run"] = true.into();
    respond::json(StatusCode::OK, &standing)
}

pub(super) async fn begin_backend(State(drain): State<Drain>, Rest(name): Rest, uri: Uri) -> Response {
    change_backend(&drain, &name, true, "backend_drained", &uri)
}

pub(super) async fn end_backend(State(drain): State<Drain>, Rest(name): Rest, uri: Uri) -> Response {
    change_backend(&drain, &name, false, "backend_undrained", &uri)
}

fn change_backend(drain: &Drain, name: &str, draining: bool, action: &'static str, uri: &Uri) -> Response {
    if is_dry_run(uri) {
        return match drain.registry.snapshot().get(name) {
            Some(entry) => foreseen(drain.standing_of(entry)),
            None => respond::fault(&super::backends::not_found(name)),
        };
    }
    match drain.registry.drain(name, draining) {
        Some(entry) => {
            let mut response = respond::json(StatusCode::OK, &drain.standing_of(&entry));
            audit::deed(&mut response, action, entry.spec.name.as_str());
            response
        }
        None => respond::fault(&super::backends::not_found(name)),
    }
}

pub(super) async fn show_backend(State(drain): State<Drain>, Rest(name): Rest) -> Response {
    match drain.registry.snapshot().get(&name) {
        Some(entry) => respond::json(StatusCode::OK, &drain.standing_of(entry)),
        None => respond::fault(&super::backends::not_found(&name)),
    }
}

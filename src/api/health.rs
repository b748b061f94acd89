//! `GET /health`: how this peer is. Always 200; it reads snapshots and waits for nobody.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use tokio::time::Instant;

use super::{View, models, respond};
use crate::fleet::PeerState;

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
    uptime_seconds: u64,
    backends: Backends,
    models: usize,
    mesh: Option<MeshSize>,
}

#[derive(Serialize)]
struct Backends {
    total: usize,
    healthy: usize,
    unhealthy: usize,
}

#[derive(Serialize)]
struct MeshSize {
    name: String,
    peer: String,
    keyed: bool,
    size: usize,
}

pub(super) async fn health(State(view): State<View>) -> Response {
    let snapshot = view.registry.snapshot();
    let (total, healthy) = (snapshot.entries.len(), snapshot.healthy());
    let status = match (healthy, total) {
        (healthy, total) if healthy == total => "healthy",
        (0, _) => "unhealthy",
        _ => "degraded",
    };
    let health = Health {
        status,
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: view.started.elapsed().as_secs(),
        backends: Backends { total, healthy, unhealthy: total - healthy },
        models: models::count(&view),
        mesh: mesh_size(&view),
    };
    respond::json(StatusCode::OK, &health)
}

fn mesh_size(view: &View) -> Option<MeshSize> {
    let mesh = view.mesh.as_ref()?;
    let (now, config) = (Instant::now(), mesh.config());
    let peers = mesh.peers();
    let living = peers.list.iter().filter(|peer| peer.state(now, config) != PeerState::Dead).count();
    let myself = mesh.myself();
    Some(MeshSize { name: myself.mesh_name, peer: myself.name, keyed: mesh.is_keyed(), size: living + 1 })
}

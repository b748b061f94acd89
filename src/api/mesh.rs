//! `/nexus/v1/mesh`: who is in the mesh, as this peer sees it.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;

use super::{View, budget, respond};
use crate::fleet::{BackendFacts, PeerState};
use crate::mesh::{Mesh, Peer};

#[derive(Serialize)]
struct PeerView {
    id: String,
    name: String,
    state: &'static str,
    addresses: Vec<String>,
    rtt_ms: Option<f64>,
    fact_age_ms: Option<u64>,
    version: String,
    draining: bool,
    backends: Vec<BackendView>,
    in_flight: u32,
    queued: u32,
}

#[derive(Serialize)]
struct BackendView {
    name: String,
    r#type: &'static str,
    zone: &'static str,
    tier: u8,
    status: &'static str,
    models: Vec<String>,
    in_flight: u32,
    queued: u32,
    concurrency: Option<u32>,
    avg_latency_ms: Option<u32>,
    ttft_ms: Option<u32>,
    tokens_per_second: Option<f32>,
    fact_age_ms: Option<u64>,
}

impl BackendView {
    fn of(facts: &BackendFacts, age: Option<Duration>) -> Self {
        let BackendFacts { about, models, load, .. } = facts;
        BackendView {
            name: about.name.clone(),
            r#type: about.kind.as_str(),
            zone: about.zone.as_str(),
            tier: about.tier.get(),
            status: about.status.as_str(),
            models: models.iter().map(|model| model.id.clone()).collect(),
            in_flight: load.in_flight,
            queued: load.queued,
            concurrency: load.concurrency,
            avg_latency_ms: load.latency_ms,
            ttft_ms: load.ttft_ms,
            tokens_per_second: load.tokens_per_second,
            fact_age_ms: age.map(millis),
        }
    }
}

pub(super) async fn status(State(view): State<View>) -> Response {
    let of_mesh = view
        .warnings()
        .into_iter()
        .map(|warning| json!({ "code": warning.code, "message": warning.message, "peer": warning.peer }));
    let Some(mesh) = &view.mesh else {
        let warnings: Vec<_> = of_mesh.collect();
        return respond::json(
            StatusCode::OK,
            &json!({ "mesh": null, "self": null, "peers": [], "budget": null, "warnings": warnings }),
        );
    };
    let now = Instant::now();
    let config = mesh.config();
    let peers = mesh.peers();
    let others: Vec<PeerView> = peers.list.iter().map(|peer| other(peer, now, config)).collect();
    let of_budget = view.treasury.iter().flat_map(|treasury| treasury.warnings());
    let of_budget = of_budget.map(|message| json!({ "code": "budget", "message": message, "peer": null }));
    let warnings: Vec<_> = of_mesh.chain(of_budget).collect();
    let living = others.iter().filter(|peer| peer.state != PeerState::Dead.as_str()).count();
    respond::json(
        StatusCode::OK,
        &json!({
            "mesh": { "name": mesh.membership().name, "keyed": mesh.is_keyed(), "size": living + 1 },
            "self": myself(&view, mesh),
            "peers": others,
            "budget": view.treasury.as_ref().map(|treasury| budget::in_short(&treasury.figures())),
            "warnings": warnings,
        }),
    )
}

fn myself(view: &View, mesh: &Mesh) -> PeerView {
    let backends: Vec<_> =
        view.registry.snapshot().entries.iter().map(|entry| BackendView::of(&entry.facts(), None)).collect();
    let myself = mesh.myself();
    PeerView {
        id: myself.id.to_string(),
        name: myself.name,
        state: PeerState::Myself.as_str(),
        addresses: myself.addresses.iter().map(ToString::to_string).collect(),
        rtt_ms: None,
        fact_age_ms: None,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        draining: myself.draining,
        in_flight: backends.iter().map(|backend| backend.in_flight).sum(),
        queued: backends.iter().map(|backend| backend.queued).sum(),
        backends,
    }
}

fn other(peer: &Peer, now: Instant, config: &crate::mesh::Config) -> PeerView {
    let backends: Vec<_> = peer
        .backends
        .iter()
        .map(|backend| BackendView::of(&backend.facts(now), Some(now.saturating_duration_since(backend.heard_at))))
        .collect();
    PeerView {
        id: peer.id.to_string(),
        name: peer.name.clone(),
        state: peer.state(now, config).as_str(),
        addresses: peer.addresses.iter().map(ToString::to_string).collect(),
        rtt_ms: peer.rtt.map(|rtt| (rtt.as_secs_f64() * 1e6).round() / 1e3),
        fact_age_ms: Some(millis(now.saturating_duration_since(peer.heard_at))),
        version: peer.version.clone(),
        draining: peer.draining,
        in_flight: backends.iter().map(|backend| backend.in_flight).sum(),
        queued: backends.iter().map(|backend| backend.queued).sum(),
        backends,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

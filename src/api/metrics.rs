//! `GET /metrics`: what Prometheus reads. What is counted and how it looks is the telemetry's.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, header};
use tokio::time::Instant;

use super::{Watch, models, spending};
use crate::mesh::{Forwards, Mesh, Peer};
use crate::registry::Entry;
use crate::telemetry::export::{self, BackendNow, MeshNow, PeerNow};

pub(super) async fn show(State(watch): State<Arc<Watch>>) -> Response {
    let mut response = Response::new(Body::from(export::text(&watch.counters, &now(&watch))));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(export::CONTENT_TYPE));
    response
}

fn now(watch: &Watch) -> export::Now {
    let snapshot = watch.view.registry.snapshot();
    let money = watch.view.treasury.as_ref().map(|treasury| (treasury.figures(), treasury.events()));
    export::Now {
        backends: snapshot.entries.iter().map(|entry| backend(watch, entry)).collect(),
        healthy: snapshot.healthy(),
        models: models::count(&watch.view),
        queue: watch.gateway.queue_counts(),
        mesh: watch.view.mesh.as_ref().map(of_mesh),
        keys_usd: money.as_ref().map(|(figures, _)| spending::by_name(&watch.keys, figures)).unwrap_or_default(),
        money,
    }
}

fn backend(watch: &Watch, entry: &Entry) -> BackendNow {
    BackendNow {
        name: entry.spec.name.clone(),
        in_flight: entry.load().in_flight,
        counts: watch.counters.backend(&entry.name),
    }
}

fn of_mesh(mesh: &Mesh) -> MeshNow {
    let (peers, counters, now) = (mesh.peers(), mesh.counters(), Instant::now());
    let mut forwards: BTreeMap<String, Forwards> = BTreeMap::new();
    for (id, counted) in counters.forwards() {
        // One that is heard of no more has no name any more.
        let peer = peers.list.iter().find(|peer| peer.id == id);
        forwards
            .entry(peer.map_or_else(|| id.short().to_owned(), |peer| peer.name.clone()))
            .or_default()
            .absorb(&counted);
    }
    let told = |peer: &Arc<Peer>| PeerNow {
        name: peer.name.clone(),
        state: peer.state(now, mesh.config()),
        age: peer.confirmed.then(|| now.saturating_duration_since(peer.heard_at).as_secs_f64()),
    };
    MeshNow {
        peers: peers.list.iter().map(told).collect(),
        gossip_sent: counters.gossip_sent(),
        gossip_received: counters.gossip_received(),
        forwards,
    }
}

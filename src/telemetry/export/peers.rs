//! How the mesh stands, as this peer sees it: who is there, how old the news are, and what was forwarded to whom.

use prometheus::proto::MetricFamily;

use super::MeshNow;
use super::family::{counter, gauge, histogram};
use super::fleet::real;
use crate::fleet::PeerState;

/// Every state has a sample, so that an alert on one of them sees its 0.
const STATES: [PeerState; 4] = [PeerState::Alive, PeerState::Suspect, PeerState::Dead, PeerState::Draining];

pub(super) fn families(now: &MeshNow) -> Vec<MetricFamily> {
    let by_state = STATES.map(|state| {
        let there = now.peers.iter().filter(|peer| peer.state == state).count();
        (vec![state.as_str().to_owned()], real(there))
    });
    let ages = now.peers.iter().filter_map(|peer| Some((vec![peer.name.clone()], peer.age?)));
    let of_peers = |list: fn(&crate::mesh::Forwards) -> Vec<(&'static str, u64)>| {
        let of = move |(peer, forwards): (&String, &crate::mesh::Forwards)| {
            let peer = peer.clone();
            list(forwards).into_iter().map(move |(what, count)| (vec![peer.clone(), what.to_owned()], count))
        };
        now.forwards.iter().flat_map(of)
    };
    let gossip = [("sent", now.gossip_sent), ("received", now.gossip_received)];
    let took = now.forwards.iter().map(|(peer, forwards)| (peer.as_str(), &forwards.answered));
    [
        gauge("nexus_mesh_peers", "Other peers of the mesh, by how they are.", &["state"], by_state),
        gauge("nexus_mesh_fact_age_seconds", "Seconds since a peer was last heard of.", &["peer"], ages),
        counter(
            "nexus_mesh_forwards_total",
            "Requests sent to a peer, by how that ended.",
            &["peer", "result"],
            of_peers(|forwards| forwards.by_result()),
        ),
        counter(
            "nexus_mesh_refusals_total",
            "Requests that a peer refused, by the reason it gave.",
            &["peer", "reason"],
            of_peers(|forwards| forwards.by_reason()),
        ),
        counter(
            "nexus_mesh_gossip_bytes_total",
            "Bytes of gossip, before encryption.",
            &["direction"],
            gossip.map(|(direction, bytes)| (vec![direction.to_owned()], bytes)),
        ),
        vec![histogram(
            "nexus_mesh_forward_duration_seconds",
            "Seconds from sending a request to a peer to the head of its reply.",
            "peer",
            took,
        )],
    ]
    .concat()
}

//! Peers as rows of a table: this one first, then the others by name.

use std::time::Duration;

use super::rows::{Cut, Standing};
use super::seen::Seen;
use super::words::{NOTHING, Name, age, or_dash};
use crate::fleet::PeerState;
use crate::mesh::Peer;

/// One peer.
#[derive(Clone, Debug)]
pub struct PeerRow {
    /// What it is called.
    pub name: Name,
    /// Enough of its id to tell it from others.
    pub id: String,
    /// How it is.
    pub standing: Standing,
    /// How old the news of it are, or for how long nothing was heard.
    pub heard: String,
    /// Whether it is this one.
    pub own: bool,
    /// Round trip of the connection to it.
    pub rtt: String,
    /// Its version of Nexus.
    pub version: Name,
    /// Where it can be dialled first.
    pub address: Name,
    /// How many backends it offers.
    pub backends: usize,
    /// Requests that they have.
    pub in_flight: u32,
    /// Requests that wait for them.
    pub queued: u32,
}

/// How a peer is, in the words of every other view.
pub(super) fn standing(state: PeerState) -> Standing {
    let class = match state {
        PeerState::Myself | PeerState::Alive => "good",
        PeerState::Suspect => "waning",
        PeerState::Dead => "away",
        PeerState::Draining => "plain",
    };
    let word = if state == PeerState::Myself { "this peer" } else { state.as_str() };
    Standing { word, class }
}

/// What is said of the age of its news.
pub(super) fn heard(state: PeerState, silence: Duration) -> String {
    match state {
        PeerState::Myself => "now".to_owned(),
        PeerState::Suspect | PeerState::Dead => format!("last heard {} ago", age(silence)),
        _ => format!("heard {} ago", age(silence)),
    }
}

/// Every peer, the first `limit` of them.
pub(super) fn rows(seen: &Seen, limit: usize) -> Cut<PeerRow> {
    let mut others = Cut::of(&seen.peers.list, limit.saturating_sub(1), |peer| other(seen, peer));
    others.shown.insert(0, myself(seen));
    others
}

fn myself(seen: &Seen) -> PeerRow {
    let loads: Vec<_> = seen.own.entries.iter().map(|entry| entry.load()).collect();
    let standing = if seen.draining {
        Standing { word: "this peer, draining", class: "plain" }
    } else {
        standing(PeerState::Myself)
    };
    PeerRow {
        name: Name::of(&seen.name),
        id: seen.mesh.as_ref().map_or_else(|| NOTHING.to_owned(), |mesh| mesh.id.short().to_owned()),
        standing,
        heard: heard(PeerState::Myself, Duration::ZERO),
        own: true,
        rtt: NOTHING.to_owned(),
        version: Name::of(env!("CARGO_PKG_VERSION")),
        address: Name::of(&or_dash(seen.mesh.as_ref().and_then(|mesh| mesh.addresses.first().cloned()))),
        backends: loads.len(),
        in_flight: loads.iter().map(|load| load.in_flight).sum(),
        queued: loads.iter().map(|load| load.queued).sum(),
    }
}

fn other(seen: &Seen, peer: &Peer) -> PeerRow {
    let state = seen.state(peer);
    PeerRow {
        name: Name::of(&peer.name),
        id: peer.id.short().to_owned(),
        standing: standing(state),
        heard: heard(state, seen.now.saturating_duration_since(peer.heard_at)),
        own: false,
        rtt: or_dash(peer.rtt.map(|rtt| format!("{:.1} ms", rtt.as_secs_f64() * 1e3))),
        version: Name::of(&peer.version),
        address: Name::of(&or_dash(peer.addresses.first().map(ToString::to_string))),
        backends: peer.backends.len(),
        in_flight: peer.backends.iter().fold(0, |sum, backend| sum.saturating_add(backend.load.in_flight)),
        queued: peer.backends.iter().fold(0, |sum, backend| sum.saturating_add(backend.load.queued)),
    }
}

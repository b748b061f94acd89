//! What people should know of their mesh that nobody would notice otherwise. Pure: a snapshot in, lines out.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::Config;
use super::peers::{Peer, Peers};
use crate::fleet::{PeerId, PeerState};

/// Clocks further apart than this are worth a warning: budgets and logs go by them.
const MAX_CLOCK_SKEW_MS: u64 = 2_000;

/// One thing that people should know.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Warning {
    /// What it is, for programs: `version_skew`, `policy_mismatch`, `clock_skew` or `unseen_peer`.
    pub code: &'static str,
    /// What it is, for people.
    pub message: String,
    /// The name of the peer it is about.
    pub peer: Option<String>,
}

/// What this node runs, to compare others with.
pub(super) struct Ours<'a> {
    pub(super) id: &'a PeerId,
    pub(super) version: &'a str,
    pub(super) policies: &'a str,
}

/// Every warning, by peer in the order of the list.
pub(super) fn warnings(peers: &Peers, ours: &Ours<'_>, now: Instant, config: &Config) -> Vec<Warning> {
    let is_here = |peer: &Peer| peer.state(now, config) != PeerState::Dead;
    let here: Vec<&Peer> = peers.list.iter().map(|peer| &**peer).filter(|peer| is_here(peer)).collect();
    let mut warnings: Vec<Warning> = here.iter().flat_map(|peer| about(peer, ours)).collect();
    warnings.extend(unseen(peers, &here, ours));
    warnings
}

fn about(peer: &Peer, ours: &Ours<'_>) -> Vec<Warning> {
    let warning = |code, message| Warning { code, message, peer: Some(peer.name.clone()) };
    let mut found = Vec::new();
    if peer.version != ours.version {
        let message = format!("peer {} runs version {}, this one {}", peer.name, peer.version, ours.version);
        found.push(warning("version_skew", message));
    }
    if peer.policies != ours.policies {
        let message = format!("peer {} runs under other policies than this one; the stricter wins", peer.name);
        found.push(warning("policy_mismatch", message));
    }
    if let Some(skew) = peer.clock_skew_ms.filter(|skew| skew.unsigned_abs() > MAX_CLOCK_SKEW_MS) {
        let (by, side) = (skew.unsigned_abs() as f64 / 1_000.0, if skew > 0 { "ahead of" } else { "behind" });
        found.push(warning("clock_skew", format!("the clock of peer {} is {by:.1} s {side} this one's", peer.name)));
    }
    found
}

/// Peers that others hear of and we do not, each once.
fn unseen(peers: &Peers, here: &[&Peer], ours: &Ours<'_>) -> Vec<Warning> {
    let mut witnesses: BTreeMap<&PeerId, Vec<&str>> = BTreeMap::new();
    for peer in here {
        for id in peer.sees.iter().filter(|id| *id != ours.id && !here.iter().any(|known| known.id == **id)) {
            witnesses.entry(id).or_default().push(&peer.name);
        }
    }
    let lines = witnesses.into_iter().map(|(id, witnesses)| {
        let name = peers.get(id).map_or_else(|| id.short().to_owned(), |peer| peer.name.clone());
        let message = format!("peer {name} is heard by {} and not by this one", witnesses.join(", "));
        Warning { code: "unseen_peer", message, peer: Some(name) }
    });
    lines.collect()
}

//! What people should know of their mesh that nobody would notice otherwise. Pure: a snapshot in, lines out.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::config::{Config, Configured};
use super::peers::{Peer, Peers};
use crate::fleet::{PeerId, PeerState};

/// Clocks further apart than this are worth a warning: budgets and logs go by them.
const MAX_CLOCK_SKEW_MS: u64 = 2_000;

/// One thing that people should know.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Warning {
    /// What it is, for programs: `version_skew`, `policy_mismatch`, `config_rejected`, `clock_skew` or
    /// `unseen_peer`.
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
    pub(super) name: &'a str,
    pub(super) configured: &'a Configured,
}

/// Every warning, by peer in the order of the list.
pub(super) fn warnings(peers: &Peers, ours: &Ours<'_>, now: Instant, config: &Config) -> Vec<Warning> {
    let is_here = |peer: &Peer| peer.state(now, config) != PeerState::Dead;
    let here: Vec<&Peer> = peers.list.iter().map(|peer| &**peer).filter(|peer| is_here(peer)).collect();
    let mut warnings: Vec<Warning> = rejected(ours.name, &ours.configured.rejected).into_iter().collect();
    warnings.extend(here.iter().flat_map(|peer| about(peer, ours)));
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
    if peer.policies != ours.configured.policies {
        let message = format!("peer {} runs under other policies than this one; the stricter wins", peer.name);
        found.push(warning("policy_mismatch", message));
    }
    found.extend(rejected(&peer.name, &peer.rejected));
    if let Some(skew) = peer.clock_skew_ms.filter(|skew| skew.unsigned_abs() > MAX_CLOCK_SKEW_MS) {
        let (by, side) = (skew.unsigned_abs() as f64 / 1_000.0, if skew > 0 { "ahead of" } else { "behind" });
        found.push(warning("clock_skew", format!("the clock of peer {} is {by:.1} s {side} this one's", peer.name)));
    }
    found
}

/// A configuration that its peer could not take: it goes by an older one than its operator thinks.
///
/// `place` says where the file is wrong; where it is empty, nothing is.
pub fn rejected(peer: &str, place: &str) -> Option<Warning> {
    let message = || {
        format!(
            "peer {peer} could not take its changed configuration ({place}) and goes by the one it had; mend the file: \
             `nexus config reload --dry-run` there says what is wrong"
        )
    };
    (!place.is_empty()).then(|| Warning { code: "config_rejected", message: message(), peer: Some(peer.to_owned()) })
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn peer(name: &str) -> Peer {
        Peer {
            id: PeerId::from_text(format!("id-{name}")),
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            protocol: 1,
            addresses: Vec::new(),
            draining: false,
            left: false,
            started: 0,
            policies: "p".to_owned(),
            rejected: String::new(),
            clock_skew_ms: None,
            heard_at: Instant::now(),
            confirmed: true,
            rtt: None,
            reached_at: None,
            unreachable: false,
            backends: Vec::new(),
            sees: Vec::new(),
            ledger: None,
            keys: None,
        }
    }

    fn codes(list: Vec<Peer>) -> Vec<(&'static str, Option<String>)> {
        let peers = Peers::new(list.into_iter().map(Arc::new).collect(), false);
        let me = PeerId::from_text("id-me");
        let configured = Configured { policies: "p".to_owned(), rejected: String::new() };
        let ours = Ours { id: &me, version: "1.0.0", name: "me", configured: &configured };
        let found = warnings(&peers, &ours, Instant::now(), &Config::default());
        found.into_iter().map(|warning| (warning.code, warning.peer)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_differs_is_named() {
        let seen = |name: &str| Some(name.to_owned());
        assert_eq!(codes(vec![peer("a"), Peer { clock_skew_ms: Some(-2_000), ..peer("b") }]), []);
        let odd = vec![
            Peer { version: "2.0.0".to_owned(), ..peer("a") },
            Peer { policies: "q".to_owned(), ..peer("b") },
            Peer { clock_skew_ms: Some(-2_001), ..peer("c") },
            Peer { rejected: "routing.weights".to_owned(), ..peer("d") },
            Peer { confirmed: false, version: "3.0.0".to_owned(), ..peer("dead") },
        ];
        let found = [
            ("version_skew", seen("a")),
            ("policy_mismatch", seen("b")),
            ("clock_skew", seen("c")),
            ("config_rejected", seen("d")),
        ];
        assert_eq!(codes(odd), found);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_only_others_hear_is_named_once() {
        let sees = ["id-me", "id-b", "id-dead", "nobody-we-know"].map(PeerId::from_text);
        let witness = |name: &str| Peer { sees: sees.to_vec(), ..peer(name) };
        let found = codes(vec![witness("a"), witness("b"), Peer { left: true, ..peer("dead") }]);
        assert_eq!(found, [("unseen_peer", Some("dead".to_owned())), ("unseen_peer", Some("nobody-w".to_owned())),]);
    }
}

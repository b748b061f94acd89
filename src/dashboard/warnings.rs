//! What needs somebody, and what to do about it.

use super::rows::Cut;
use super::seen::{Place, Seen};
use super::words::Name;
use crate::fleet::{PeerState, Status};

/// One thing that needs somebody.
#[derive(Clone, Debug)]
pub struct WarningRow {
    /// What it is.
    pub what: Name,
    /// What to do.
    pub advice: &'static str,
}

/// The longest of them, in characters.
const LONGEST: usize = 400;

/// The first `limit` of them: peers, then backends, then what the mesh and the budget say.
pub(super) fn rows(seen: &Seen, places: &[Place], limit: usize) -> Cut<WarningRow> {
    let mut all: Vec<(String, &'static str)> = Vec::new();
    all.extend(seen.mesh.as_ref().filter(|mesh| !mesh.keyed).map(|_| {
        let open = "This mesh is open: any peer on this network may join, and see models and prompts.".to_owned();
        (open, "Close it: run `nexus mesh invite` on one peer, and what it prints on the others.")
    }));
    if seen.draining {
        let what =
            format!("This peer, {}, is draining: clients and other peers are sent elsewhere.", Name::of(&seen.name));
        all.push((what, "When it may take requests again: Undrain on the page Manage, or `nexus mesh undrain`."));
    }
    for peer in &seen.peers.list {
        let state = seen.state(peer);
        if state == PeerState::Suspect || (state == PeerState::Dead && !peer.left && peer.confirmed) {
            let silence = super::words::age(seen.now.saturating_duration_since(peer.heard_at));
            let what = format!("Peer {} was last heard {silence} ago.", Name::of(&peer.name));
            all.push((
                what,
                "See that it runs and that the network lets UDP through; what it alone has is out of reach.",
            ));
        }
    }
    for place in places.iter().filter(|place| place.peer_state != PeerState::Dead) {
        all.extend(of_backend(place));
    }
    all.extend(seen.warnings.iter().map(|warning| (sentence(&warning.message), advice(warning.code))));
    Cut::of(&all, limit, |(what, advice)| WarningRow { what: Name::within(what, LONGEST), advice })
}

fn of_backend(place: &Place) -> Option<(String, &'static str)> {
    let (name, peer) = (Name::of(&place.about.name), Name::of(&place.peer));
    if place.about.status == Status::Unhealthy {
        let why = place.last_error.as_deref().map(|why| format!(": {}", Name::within(why, 200))).unwrap_or_default();
        let what = format!("Backend {name} of peer {peer} is unhealthy{why}");
        return Some((what, "See that its server runs and answers at its URL; it is tried again with every check."));
    }
    let is_left_alone = place.about.suspect && place.about.status == Status::Healthy;
    is_left_alone.then(|| {
        let what = format!("Backend {name} of peer {peer} is left alone: requests to it came to grief.");
        (what, "Its card says why; it is probed by itself, and used again as soon as it answers.")
    })
}

/// Ends what others began: warnings are phrases where they stand in tables.
fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().collect::<String>()).unwrap_or_default();
    format!("{first}{}", letters.as_str())
}

fn advice(code: &str) -> &'static str {
    match code {
        "version_skew" => "Run one version everywhere: what only the newer one knows, the older passes over.",
        "policy_mismatch" => {
            "Give all peers the same `[routing.policies]` and `[budget]`; until then the stricter wins."
        }
        "config_rejected" => "Until then it is not as its file says: see Events for when.",
        "clock_skew" => "Let both machines keep time by NTP: budgets and logs go by their clocks.",
        "unseen_peer" => {
            "The network between this peer and that one is cut one way: look at firewalls and at `mesh.advertise`."
        }
        _ => "",
    }
}

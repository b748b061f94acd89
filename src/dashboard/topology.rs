//! The peers in a circle and the links between them, as numbers of an SVG. A table beside it says the same in words.

use std::f64::consts::{FRAC_PI_2, TAU};
use std::time::Duration;

use super::peers;
use super::rows::Standing;
use super::seen::Seen;
use super::words::{Name, age};
use crate::fleet::{PeerId, PeerState};

/// Peers that are drawn. The table has the others.
const DRAWN: usize = 40;

/// Up to so many peers the links between others are drawn, and every link says how old its news are.
const CROWD: usize = 12;

/// The drawing.
#[derive(Clone, Debug)]
pub struct Topology {
    /// Its size.
    pub width: u32,
    /// Its size.
    pub height: u32,
    /// The links, under the peers.
    pub links: Vec<Link>,
    /// The peers.
    pub nodes: Vec<Node>,
    /// How many are not drawn.
    pub more: usize,
    /// All of it in a sentence.
    pub told: String,
}

/// One peer.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it is.
    pub x: i32,
    /// Where it is.
    pub y: i32,
    /// Where its name stands.
    pub label_y: i32,
    /// Where its name begins, ends or has its middle.
    pub label_x: i32,
    /// `start`, `middle` or `end`.
    pub anchor: &'static str,
    /// What it is called.
    pub name: Name,
    /// How it is.
    pub standing: Standing,
    /// What is said under its name.
    pub note: String,
    /// Whether it is this one.
    pub own: bool,
    /// How many backends it has.
    pub backends: usize,
}

/// A link between two peers.
#[derive(Clone, Debug)]
pub struct Link {
    /// Its ends.
    pub from: (i32, i32),
    /// Its ends.
    pub to: (i32, i32),
    /// `good`, `waning`, `away` or `theirs`.
    pub class: &'static str,
    /// How old the news over it are.
    pub age: String,
    /// Where that is written.
    pub middle: (i32, i32),
}

/// A circle that grows with what stands on it.
struct Circle {
    middle: (f64, f64),
    radius: (f64, f64),
    count: usize,
}

impl Circle {
    fn of(count: usize) -> (Self, u32, u32) {
        let width = 560_u32;
        let height = u32::try_from(count.div_ceil(2) * 26 + 120).unwrap_or(u32::MAX).clamp(210, 700);
        let middle = (f64::from(width) / 2.0, f64::from(height) / 2.0);
        (Circle { middle, radius: (130.0, middle.1 - 58.0), count }, width, height)
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "pixels")]
    fn place(&self, at: usize) -> (i32, i32) {
        if self.count == 1 {
            return (self.middle.0 as i32, self.middle.1 as i32);
        }
        let angle = TAU * at as f64 / self.count as f64 - FRAC_PI_2;
        let (x, y) = (self.middle.0 + self.radius.0 * angle.cos(), self.middle.1 + self.radius.1 * angle.sin());
        (x.round() as i32, y.round() as i32)
    }
}

/// The drawing of what was seen; this peer is at the top.
pub(super) fn of(seen: &Seen) -> Topology {
    let drawn: Vec<_> = seen.peers.list.iter().take(DRAWN).collect();
    let (circle, width, height) = Circle::of(drawn.len() + 1);
    let middle = i32::try_from(width / 2).unwrap_or(0);
    let mut nodes =
        vec![node(circle.place(0), middle, &seen.name, PeerState::Myself, Duration::ZERO, seen.own.entries.len())];
    let mut links = Vec::new();
    let is_small = drawn.len() <= CROWD;
    for (at, peer) in drawn.iter().enumerate() {
        let (state, silence) = (seen.state(peer), seen.now.saturating_duration_since(peer.heard_at));
        let place = circle.place(at + 1);
        nodes.push(node(place, middle, &peer.name, state, silence, peer.backends.len()));
        let age = if is_small && !peer.left { age(silence) } else { String::new() };
        links.push(link(circle.place(0), place, peers::standing(state).class, age));
    }
    if is_small {
        links.splice(0..0, theirs(seen, &drawn.iter().map(|peer| &peer.id).collect::<Vec<_>>(), &circle));
    }
    let told = told(seen);
    Topology { width, height, links, nodes, more: seen.peers.list.len() - drawn.len(), told }
}

/// Links between two others that both live, where one says that it hears the other.
fn theirs(seen: &Seen, drawn: &[&PeerId], circle: &Circle) -> Vec<Link> {
    let mut links = Vec::new();
    let lives = |at: usize| matches!(seen.state(&seen.peers.list[at]), PeerState::Alive | PeerState::Draining);
    for one in 0..drawn.len() {
        for other in one + 1..drawn.len() {
            let hears = |a: usize, b: usize| seen.peers.list[a].sees.contains(drawn[b]);
            if lives(one) && lives(other) && (hears(one, other) || hears(other, one)) {
                links.push(link(circle.place(one + 1), circle.place(other + 1), "theirs", String::new()));
            }
        }
    }
    links
}

fn link(from: (i32, i32), to: (i32, i32), class: &'static str, age: String) -> Link {
    Link { from, to, class, age, middle: (i32::midpoint(from.0, to.0), i32::midpoint(from.1, to.1) + 4) }
}

fn node(place: (i32, i32), middle: i32, name: &str, state: PeerState, silence: Duration, backends: usize) -> Node {
    let (x, y) = place;
    // Beside it where there is room at that side; above or below it at the top and the bottom.
    let (label_x, label_y, anchor) = match x - middle {
        -20..=20 if y < 115 => (x, y - 32, "middle"),
        -20..=20 => (x, y + 30, "middle"),
        side if side > 0 => (x + 16, y - 1, "start"),
        _ => (x - 16, y - 1, "end"),
    };
    let standing = peers::standing(state);
    let note = match state {
        PeerState::Suspect | PeerState::Dead => peers::heard(state, silence),
        _ => standing.word.to_owned(),
    };
    Node {
        x,
        y,
        label_x,
        label_y,
        anchor,
        name: Name::within(name, if anchor == "middle" { 40 } else { 13 }),
        standing,
        note,
        own: state == PeerState::Myself,
        backends,
    }
}

fn told(seen: &Seen) -> String {
    let states = [PeerState::Alive, PeerState::Suspect, PeerState::Dead, PeerState::Draining];
    let count = |state| seen.peers.list.iter().filter(|peer| seen.state(peer) == state).count();
    let parts: Vec<String> = states
        .into_iter()
        .map(|state| (count(state), state.as_str()))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    match parts.as_slice() {
        [] => "This peer, alone.".to_owned(),
        parts => format!("This peer and {}. The table of peers says the same.", parts.join(", ")),
    }
}

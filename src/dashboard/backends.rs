//! Backends as cards: what is ill comes first, then ours, then those of the others.

use super::rows::{Cut, Standing};
use super::seen::Place;
use super::words::{Name, age, brief, millis, or_dash};
use crate::fleet::{Breaker, PeerState, Status};

/// Models that a card names.
const MODELS_SHOWN: usize = 6;

/// Breakers that it tells of.
const TROUBLES_SHOWN: usize = 3;

/// One backend.
#[derive(Clone, Debug)]
pub struct Card {
    /// What it is called.
    pub name: Name,
    /// Its peer.
    pub peer: Name,
    /// Whether that is this one.
    pub own: bool,
    /// Its type.
    pub kind: &'static str,
    /// Where its prompts may be read.
    pub zone: &'static str,
    /// How capable it is.
    pub tier: u8,
    /// How it is.
    pub standing: Standing,
    /// What more there is to say of that.
    pub troubles: Vec<Name>,
    /// Its models.
    pub models: Cut<Name>,
    /// Requests that it has.
    pub in_flight: u32,
    /// Requests from others than its peer.
    pub foreign: u32,
    /// How many it may have at once; empty where there is no limit.
    pub slots: String,
    /// How full it is, in percent; `None` where there is no limit.
    pub full: Option<u32>,
    /// Requests that wait for it.
    pub queued: u32,
    /// Requests that it has had since its peer started.
    pub total: u64,
    /// Its latency.
    pub latency: String,
    /// Its time to the first byte.
    pub ttft: String,
    /// Its speed.
    pub speed: String,
    /// How old all this is.
    pub heard: String,
}

/// How a backend is. What a silent peer said of it last is no news.
pub(super) fn standing(place: &Place) -> Standing {
    let (word, class) = match (place.peer_state, place.about.status) {
        (PeerState::Dead, _) => ("out of reach", "away"),
        (PeerState::Suspect, Status::Healthy) => ("healthy when last heard", "waning"),
        (_, Status::Healthy) if place.about.suspect => ("left alone", "waning"),
        (_, Status::Healthy) => ("healthy", "good"),
        (_, Status::Unhealthy) => ("unhealthy", "bad"),
        (_, Status::Draining) => ("draining", "plain"),
        (_, Status::Unknown | Status::Unrecognised) => ("unknown", "plain"),
    };
    Standing { word, class }
}

/// The first `limit` of all backends.
pub(super) fn cards(places: &[Place], limit: usize) -> Cut<Card> {
    let mut order: Vec<&Place> = places.iter().collect();
    order.sort_by_key(|place| rank(place));
    Cut::of(&order, limit, |place| card(place))
}

/// What needs somebody first; a sort that keeps the order of equals does the rest.
fn rank(place: &Place) -> u8 {
    match standing(place).class {
        "bad" => 0,
        "waning" => 1,
        "away" => 3,
        _ => 2,
    }
}

fn card(place: &Place) -> Card {
    let (about, load) = (&place.about, &place.load);
    Card {
        name: Name::of(&about.name),
        peer: Name::of(&place.peer),
        own: place.own,
        kind: about.kind.as_str(),
        zone: about.zone.as_str(),
        tier: about.tier.get(),
        standing: standing(place),
        troubles: troubles(place),
        models: Cut::of(&place.models, MODELS_SHOWN, |model| Name::within(&model.id, 32)),
        in_flight: load.in_flight,
        foreign: load.foreign,
        slots: load.concurrency.map(|slots| slots.to_string()).unwrap_or_default(),
        full: load.concurrency.map(|slots| (load.at_work().saturating_mul(100) / slots.max(1)).min(100)),
        queued: load.queued,
        total: load.total,
        latency: or_dash(load.latency_ms.map(|ms| millis(ms.into()))),
        ttft: or_dash(load.ttft_ms.map(|ms| millis(ms.into()))),
        speed: or_dash(load.tokens_per_second.map(|speed| format!("{}/s", brief(speed.into())))),
        heard: place.age.map_or_else(|| "now".to_owned(), |old| format!("{} old", age(old))),
    }
}

/// What is wrong with it, and for whom.
fn troubles(place: &Place) -> Vec<Name> {
    let ill = place.about.status == Status::Unhealthy;
    let told = place.last_error.as_deref().filter(|_| ill).map(|error| Name::within(error, 160));
    let breaker = |breaker: &Breaker| match &breaker.model {
        Some(model) => Name::within(&format!("{}: {breaker}", Name::within(model, 40)), 200),
        None => Name::within(&breaker.to_string(), 160),
    };
    let mut lines: Vec<Name> =
        told.into_iter().chain(place.breakers.iter().take(TROUBLES_SHOWN).map(breaker)).collect();
    let more = place.breakers.len().saturating_sub(TROUBLES_SHOWN);
    if more > 0 {
        lines.push(Name::of(&format!("and {more} more models are left alone")));
    }
    lines
}

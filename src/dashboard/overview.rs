//! The whole page in words: what the templates write, made of what was seen.

use super::backends::{self, Card};
use super::events::{self, EventRow};
use super::models::{self, ModelRow};
use super::money::{self, Budget};
use super::peers::{self, PeerRow};
use super::requests::{self, ErrorRow, RequestRow};
use super::rows::{Cut, Standing};
use super::seen::{Place, Seen};
use super::spark::{self, Spark};
use super::topology::{self, Topology};
use super::warnings::{self, WarningRow};
use super::words::{Name, age, count, usd};
use crate::fleet::{PeerState, Status};

/// How long each list may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Peers.
    pub peers: usize,
    /// Backends.
    pub backends: usize,
    /// Models.
    pub models: usize,
    /// Requests under way, and those that have ended.
    pub requests: usize,
    /// Warnings, and holders of rights.
    pub others: usize,
}

impl Limits {
    /// The page at a glance.
    pub const GLANCE: Limits = Limits { peers: 60, backends: 24, models: 40, requests: 12, others: 12 };

    /// The longest that a list gets where all of it is asked for.
    pub const ALL: usize = 2_000;

    /// The same with all of one list: `peers`, `backends`, `models`, `requests` or `others`.
    #[must_use]
    pub fn with_all_of(self, list: &str) -> Self {
        let Limits { peers, backends, models, requests, others } = self;
        let all = |name, limit| if name == list { Self::ALL } else { limit };
        Limits {
            peers: all("peers", peers),
            backends: all("backends", backends),
            models: all("models", models),
            requests: all("requests", requests),
            others: all("others", others),
        }
    }
}

/// One figure at the top.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What it is.
    pub label: &'static str,
    /// How much.
    pub value: String,
    /// What belongs to it.
    pub note: String,
}

/// The whole page.
#[derive(Clone, Debug)]
pub struct Overview {
    /// How it all stands.
    pub standing: Standing,
    /// The same in a sentence.
    pub verdict: String,
    /// The name of the mesh, where there is one.
    pub mesh: Option<Name>,
    /// `keyed`, `open` or `no mesh`.
    pub door: &'static str,
    /// This peer.
    pub me: Name,
    /// Its version of Nexus.
    pub version: &'static str,
    /// For how long it has run.
    pub uptime: String,
    /// Figures.
    pub figures: Vec<Figure>,
    /// Lines.
    pub sparks: Vec<Spark>,
    /// The drawing.
    pub topology: Topology,
    /// Peers.
    pub peers: Cut<PeerRow>,
    /// Backends.
    pub backends: Cut<Card>,
    /// Models.
    pub models: Cut<ModelRow>,
    /// Requests under way.
    pub live: Cut<RequestRow>,
    /// The last that ended.
    pub ended: Cut<RequestRow>,
    /// What went wrong of late.
    pub errors: Cut<ErrorRow>,
    /// Requests that wait at this peer.
    pub waiting: usize,
    /// How many may.
    pub room: usize,
    /// How many had to, were given a slot, and gave up.
    pub waited: (u64, u64, u64),
    /// Backends that requests wait for.
    pub lines: Vec<Card>,
    /// Money.
    pub budget: Option<Budget>,
    /// What has happened, newest first.
    pub events: Cut<EventRow>,
    /// What needs somebody.
    pub warnings: Cut<WarningRow>,
}

impl Overview {
    /// What was seen, in words.
    pub fn of(seen: &Seen, limits: Limits) -> Self {
        let places = seen.places();
        let warnings = warnings::rows(seen, &places, limits.others);
        let (models, models_count) = models::rows(&places, limits.models);
        let (standing, verdict) = verdict(seen, &places, models_count);
        let budget = seen.figures.as_ref().and_then(|figures| money::of(figures, limits.others));
        let backends = backends::cards(&places, limits.backends);
        Overview {
            standing,
            verdict,
            mesh: seen.mesh.as_ref().map(|mesh| Name::of(&mesh.name)),
            door: seen.mesh.as_ref().map_or("no mesh", |mesh| if mesh.keyed { "keyed" } else { "open" }),
            me: Name::of(&seen.name),
            version: env!("CARGO_PKG_VERSION"),
            uptime: age(seen.uptime),
            figures: figures(seen, &places, models_count),
            sparks: spark::of(&seen.samples),
            topology: topology::of(seen),
            peers: peers::rows(seen, limits.peers),
            lines: backends.shown.iter().filter(|card| card.queued > 0).cloned().collect(),
            backends,
            models,
            live: requests::rows(&seen.live, limits.requests),
            ended: requests::rows(&seen.ended, limits.requests),
            errors: requests::errors(&seen.ended),
            waiting: seen.queue.depth,
            room: seen.queue.max_size,
            waited: (seen.queue.entered, seen.queue.granted, seen.queue.late),
            budget,
            events: events::rows(&seen.events, limits.others),
            warnings,
        }
    }
}

fn here(seen: &Seen, state: PeerState) -> usize {
    seen.peers.list.iter().filter(|peer| seen.state(peer) == state && !peer.left).count()
}

/// Whether all is well, and what is not.
fn verdict(seen: &Seen, places: &[Place], models: usize) -> (Standing, String) {
    let lost =
        seen.peers.list.iter().filter(|peer| seen.state(peer) == PeerState::Dead && !peer.left && peer.confirmed);
    let (suspect, dead) = (here(seen, PeerState::Suspect), lost.count());
    let there = || places.iter().filter(|place| place.peer_state != PeerState::Dead);
    let unhealthy = there().filter(|place| place.about.status == Status::Unhealthy).count();
    let alone = there().filter(|place| place.about.status == Status::Healthy && place.about.suspect).count();
    let mut parts = Vec::new();
    let mut say = |number: usize, one: &str, what: &str| {
        if number > 0 {
            parts.push(format!("{} {} {what}", count(number, one), if number == 1 { "is" } else { "are" }));
        }
    };
    say(dead, "peer", "dead");
    say(suspect, "peer", "suspect");
    say(unhealthy, "backend", "unhealthy");
    say(alone, "backend", "left alone");
    let ready = there().filter(|place| place.may_serve()).count();
    if places.is_empty() {
        return (
            Standing { word: "empty", class: "plain" },
            "No backend yet: start a model server, or add one.".to_owned(),
        );
    }
    if ready == 0 {
        return (Standing { word: "down", class: "bad" }, "No backend answers: nothing can be served.".to_owned());
    }
    if seen.draining {
        let but = if parts.is_empty() { String::new() } else { format!(" {}.", parts.join(", ")) };
        let verdict = format!("This peer is draining: it finishes what it has and takes no more.{but}");
        return (Standing { word: "draining", class: "waning" }, verdict);
    }
    if !parts.is_empty() {
        let mut verdict = parts.join(", ");
        verdict.push_str("; the rest serves.");
        return (Standing { word: "degraded", class: "waning" }, verdict);
    }
    (Standing { word: "well", class: "good" }, format!("All is well. {} can be asked for.", count(models, "model")))
}

fn figures(seen: &Seen, places: &[Place], models: usize) -> Vec<Figure> {
    let there: Vec<&Place> = places.iter().filter(|place| place.peer_state != PeerState::Dead).collect();
    let ready = there.iter().filter(|place| place.may_serve()).count();
    let in_flight = there.iter().fold(0_u32, |sum, place| sum.saturating_add(place.load.in_flight));
    let queued = there.iter().fold(0_u32, |sum, place| sum.saturating_add(place.load.queued));
    let alive = here(seen, PeerState::Alive) + here(seen, PeerState::Draining) + 1;
    let others = seen.peers.list.iter().filter(|peer| !peer.left && peer.confirmed).count() + 1;
    let mut figures = vec![
        Figure { label: "Peers", value: alive.to_string(), note: format!("of {others} known") },
        Figure { label: "Backends", value: ready.to_string(), note: format!("of {} healthy", places.len()) },
        Figure { label: "Models", value: models.to_string(), note: "can be asked for".to_owned() },
        Figure { label: "In flight", value: in_flight.to_string(), note: "requests now".to_owned() },
        Figure { label: "Waiting", value: queued.to_string(), note: "for a slot".to_owned() },
    ];
    if let Some(figures_) =
        seen.figures.as_ref().filter(|figures| figures.limit_usd.is_some() || figures.spent_usd > 0.0)
    {
        let note =
            figures_.limit_usd.map_or_else(|| "this month".to_owned(), |limit| format!("of {} this month", usd(limit)));
        figures.push(Figure { label: "Spent", value: usd(figures_.spent_usd), note });
    }
    figures
}

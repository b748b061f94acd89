//! Sees what happens and publishes it: the world is looked at whenever something has changed and every so often, and what is
//! otherwise than at the last look is an event. So no part of the node knows that anybody follows it.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::access::Ring;
use crate::budget::{self, Treasury};
use crate::fleet::{Breaker, KeyRecord, PeerId, PeerState, Status};
use crate::gateway::Gateway;
use crate::mesh::{Mesh, Peer};
use crate::registry::Registry;
use crate::telemetry::events::{Event, Events};

/// What is never told, as breakers and money, is looked at so often.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Between two looks, however much is going on.
const LEAST_PAUSE: Duration = Duration::from_millis(100);

/// What is watched.
pub(super) struct Watched {
    pub(super) registry: Arc<Registry>,
    pub(super) mesh: Option<Mesh>,
    pub(super) ring: Arc<Ring>,
    pub(super) treasury: Weak<Treasury>,
    pub(super) gateway: Arc<Gateway>,
    /// What this peer is called where there is no mesh.
    pub(super) name: Arc<str>,
}

/// A backend: the peer that owns it, where that is another one, and its name.
type Named = (Option<PeerId>, String);

/// The world at one look.
#[derive(Default)]
struct Look {
    /// What this peer is called, and whether it drains.
    myself: (Arc<str>, bool),
    peers: BTreeMap<PeerId, (String, PeerState, bool)>,
    /// Places in the configurations of other peers that they could not take.
    rejected: BTreeMap<PeerId, String>,
    backends: BTreeMap<Named, Backend>,
    money: budget::Events,
    keys_hash: Option<Arc<str>>,
    keys: BTreeMap<String, (String, bool)>,
}

struct Backend {
    status: Status,
    /// By what is troubled and how: the sentence.
    breakers: BTreeMap<(Option<String>, &'static str), String>,
}

impl Backend {
    fn new(status: Status, breakers: impl Iterator<Item = Breaker>) -> Self {
        let told = |breaker: Breaker| ((breaker.model.clone(), breaker.trouble.as_str()), breaker.to_string());
        Backend { status, breakers: breakers.map(told).collect() }
    }
}

impl Watched {
    /// Publishes what happens, for as long as it is polled.
    pub(super) async fn run(self, events: Arc<Events>) {
        let mut backends = self.registry.changed();
        let mut peers = self.mesh.as_ref().map(Mesh::changed);
        let mut before = self.look(Look::default());
        before.peers.clear();
        loop {
            sleep(LEAST_PAUSE).await;
            let changed = async {
                tokio::select! {
                    biased;
                    _ = backends.changed() => {}
                    _ = async { peers.as_mut().expect("there is a mesh").changed().await }, if peers.is_some() => {}
                }
            };
            let _ = timeout(LOOK_EVERY, changed).await;
            let now = self.look_again(&before);
            for event in between(&before, &now) {
                events.publish(event);
            }
            before = now;
        }
    }

    fn look_again(&self, before: &Look) -> Look {
        self.look(Look { keys_hash: before.keys_hash.clone(), keys: before.keys.clone(), ..Look::default() })
    }

    /// The world now; `known` is what need not be read again where it is the same.
    fn look(&self, known: Look) -> Look {
        let mut look = known;
        let name = self.mesh.as_ref().map_or_else(|| self.name.clone(), Mesh::name);
        look.myself = (name, self.gateway.is_draining());
        for entry in &self.registry.snapshot().entries {
            let seen = Backend::new(entry.status(), entry.breakers().into_iter());
            look.backends.insert((None, entry.spec.name.clone()), seen);
        }
        if let Some(mesh) = &self.mesh {
            let (now, config) = (Instant::now(), mesh.config());
            for peer in &mesh.peers().list {
                let state = peer.state(now, config);
                look.peers.insert(peer.id.clone(), (peer.name.clone(), state, peer.left));
                if state != PeerState::Dead {
                    look.backends.extend(backends_of(peer, now));
                    if !peer.rejected.is_empty() {
                        look.rejected.insert(peer.id.clone(), peer.rejected.clone());
                    }
                }
            }
        }
        if let Some(treasury) = self.treasury.upgrade() {
            look.money = treasury.events();
        }
        let hash = self.ring.hash();
        if hash != look.keys_hash {
            let of = |key: KeyRecord| (key.id.clone(), (key.name.clone(), key.is_active()));
            look.keys = self.ring.list().into_iter().map(of).collect();
            look.keys_hash = hash;
        }
        look
    }
}

fn backends_of(peer: &Peer, now: Instant) -> impl Iterator<Item = (Named, Backend)> {
    peer.backends.iter().map(move |backend| {
        let name = (Some(peer.id.clone()), backend.about.name.clone());
        (name, Backend::new(backend.about.status, backend.breakers(now)))
    })
}

/// What has happened between two looks.
fn between(before: &Look, now: &Look) -> Vec<Event> {
    let mut events = Vec::new();
    myself(before, now, &mut events);
    peers(before, now, &mut events);
    configurations(before, now, &mut events);
    backends(before, now, &mut events);
    money(before, now, &mut events);
    keys(before, now, &mut events);
    events
}

/// Others hear of it as they hear of any peer.
fn myself(before: &Look, now: &Look, events: &mut Vec<Event>) {
    let (name, draining) = &now.myself;
    if before.myself.1 != *draining {
        let (kind, what) = if *draining { DRAINS } else { DRAINS_NO_MORE };
        events.push(Event::new(kind, format!("Peer '{name}' {what}")).about("peer", &**name));
    }
}

const DRAINS: (&str, &str) = ("peer_draining", "takes no more work");
const DRAINS_NO_MORE: (&str, &str) = ("peer_well", "takes requests again");

/// What peers could not take of their changed configurations, and that they can again. This peer's own is told where it is read.
fn configurations(before: &Look, now: &Look, events: &mut Vec<Event>) {
    for (id, (name, state, _)) in &now.peers {
        let (was, is) = (before.rejected.get(id), now.rejected.get(id));
        // Of one that is gone nothing is known.
        if was == is || *state == PeerState::Dead {
            continue;
        }
        let (kind, what) = match is {
            Some(place) => ("config_rejected", rejected(place)),
            None => ("config_mended", "has a good configuration file again".to_owned()),
        };
        events.push(Event::new(kind, format!("Peer '{name}' {what}")).about("peer", name.as_str()));
    }
}

/// What is said of a peer whose configuration is wrong at `place`.
pub(super) fn rejected(place: &str) -> String {
    format!("could not take its changed configuration ({place}) and goes by the one it had")
}

fn peers(before: &Look, now: &Look, events: &mut Vec<Event>) {
    for (id, (name, state, left)) in &now.peers {
        let was = before.peers.get(id).map(|(_, state, _)| *state);
        if was == Some(*state) {
            continue;
        }
        let (kind, what) = match (was, state) {
            (None | Some(PeerState::Dead), PeerState::Alive | PeerState::Suspect) => ("peer_joined", "joined the mesh"),
            (Some(PeerState::Draining), PeerState::Alive) => DRAINS_NO_MORE,
            (_, PeerState::Alive | PeerState::Myself) => ("peer_well", "is well again"),
            (_, PeerState::Suspect) => ("peer_suspect", "was not heard of for a while"),
            (_, PeerState::Draining) => DRAINS,
            // One that others remember was never here.
            (None, PeerState::Dead) => continue,
            (_, PeerState::Dead) if *left => ("peer_left", "left the mesh"),
            (_, PeerState::Dead) => ("peer_dead", "was not heard of for long, and counts as gone"),
        };
        events.push(Event::new(kind, format!("Peer '{name}' {what}")).about("peer", name.as_str()));
    }
    for (id, (name, state, _)) in &before.peers {
        if !now.peers.contains_key(id) && *state != PeerState::Dead {
            events.push(Event::new("peer_left", format!("Peer '{name}' left the mesh")).about("peer", name.as_str()));
        }
    }
}

fn backends(before: &Look, now: &Look, events: &mut Vec<Event>) {
    // What a peer has that was not there before came with it.
    let is_there = |look: &Look, owner: &Option<PeerId>| {
        owner.as_ref().is_none_or(|id| look.peers.get(id).is_some_and(|(_, state, _)| *state != PeerState::Dead))
    };
    let add = |events: &mut Vec<Event>, kind: &'static str, named: &Named, model: Option<&str>, what: &str| {
        let (owner, name) = named;
        let peer = owner.as_ref().and_then(|id| Some(&now.peers.get(id).or(before.peers.get(id))?.0));
        let of = peer.map(|peer| format!(" of peer '{peer}'")).unwrap_or_default();
        let of_model = model.map(|model| format!(", model '{model}',")).unwrap_or_default();
        let mut event = Event::new(kind, format!("Backend '{name}'{of}{of_model} {what}"));
        event = event.about("backend", name.as_str());
        if let Some(peer) = peer {
            event = event.about("peer", peer.as_str());
        }
        if let Some(model) = model {
            event = event.about("model", model);
        }
        events.push(event);
    };
    for (named, backend) in &now.backends {
        let Some(old) = before.backends.get(named) else {
            if is_there(before, &named.0) {
                add(events, "backend_added", named, None, "was added");
            }
            continue;
        };
        if old.status != backend.status {
            let (kind, what) = match backend.status {
                Status::Healthy => ("backend_well", "is healthy"),
                Status::Unhealthy => ("backend_ill", "is unhealthy"),
                Status::Draining => ("backend_draining", "takes no more work"),
                _ => ("backend_unknown", "is in doubt"),
            };
            add(events, kind, named, None, what);
        }
        for ((model, trouble), sentence) in &backend.breakers {
            if !old.breakers.contains_key(&(model.clone(), *trouble)) {
                add(events, "breaker_opened", named, model.as_deref(), &format!("is {sentence}"));
            }
        }
        for (model, trouble) in old.breakers.keys() {
            if !backend.breakers.contains_key(&(model.clone(), *trouble)) {
                add(events, "breaker_closed", named, model.as_deref(), &format!("is used again ({trouble})"));
            }
        }
    }
    for named in before.backends.keys().filter(|named| !now.backends.contains_key(*named)) {
        if is_there(now, &named.0) {
            add(events, "backend_removed", named, None, "was removed");
        }
    }
}

fn money(before: &Look, now: &Look, events: &mut Vec<Event>) {
    let (before, now) = (before.money, now.money);
    for (kind, was, is, message) in [
        ("budget_month", before.month_rollover, now.month_rollover, "A month began: the budget is whole again"),
        (
            "budget_soft_limit",
            before.soft_limit_reached,
            now.soft_limit_reached,
            "The soft limit of the budget is reached",
        ),
        ("budget_hard_limit", before.hard_limit_reached, now.hard_limit_reached, "The limit of the budget is reached"),
    ] {
        if is > was {
            events.push(Event::new(kind, message));
        }
    }
}

fn keys(before: &Look, now: &Look, events: &mut Vec<Event>) {
    for (id, (name, active)) in &now.keys {
        let was = before.keys.get(id).map(|(_, active)| *active);
        let (kind, what) = match (was, active) {
            (None, true) => ("key_added", "was made"),
            (Some(true), false) => ("key_revoked", "was revoked"),
            _ => continue,
        };
        events.push(Event::new(kind, format!("The client key '{name}' {what}")).about("key", name.as_str()));
    }
}

#[cfg(test)]
mod tests;

//! Who else there is: an immutable snapshot of what was heard of the other peers. Hearsay: what this node itself knows
//! is not in it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Config;
use crate::fleet::{BackendAbout, BackendFacts, Breaker, LedgerFacts, Load, Model, ModelFacts, PeerId, PeerState};

/// Every other peer that was heard of, at one instant.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    /// Sorted by name, then id.
    pub list: Vec<Arc<Peer>>,
    /// Whether a living one of them goes by the name of this node.
    pub namesake: bool,
    pub(super) by_model: Arc<BTreeMap<String, Vec<Place>>>,
}

/// Where in the list a model is offered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    peer: usize,
    backend: usize,
    model: usize,
}

/// Another Nexus node, as it tells of itself.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Who it is.
    pub id: PeerId,
    /// For people: as it calls itself, with [`PeerId::short`] behind it where a living peer goes by the same name.
    pub name: String,
    /// Of Nexus.
    pub version: String,
    /// Of the protocols between peers.
    pub protocol: u32,
    /// Where it can be dialled, best first.
    pub addresses: Vec<SocketAddr>,
    /// Finishes what it has, takes no more.
    pub draining: bool,
    /// Has stopped on purpose.
    pub left: bool,
    /// When it started, in milliseconds since 1970 by its own clock.
    pub started: u64,
    /// Hash of the policies it runs under.
    pub policies: String,
    /// Where the configuration is wrong that it could not take; empty where it could.
    pub rejected: String,
    /// How far its clock is ahead of ours, in milliseconds, where that was seen.
    pub clock_skew_ms: Option<i64>,
    /// When its news last advanced here. Until they have once, when it was first heard of.
    pub heard_at: Instant,
    /// Whether its news have advanced since it was first heard of. What others remember of a dead peer never does.
    pub confirmed: bool,
    /// Round trip of our connection to it, where there is one.
    pub rtt: Option<Duration>,
    /// Where the other end of that connection is.
    pub reached_at: Option<IpAddr>,
    /// Our last attempt to reach it failed.
    pub unreachable: bool,
    /// What it offers, sorted by name.
    pub backends: Vec<Arc<PeerBackend>>,
    /// The peers it hears of itself.
    pub sees: Vec<PeerId>,
    /// What it tells of its ledger.
    pub ledger: Option<Arc<LedgerFacts>>,
    /// A hash of the clients' keys that it knows, where it knows any.
    pub keys: Option<Arc<str>>,
}

/// A backend of another peer.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerBackend {
    /// What it is and how it is.
    pub about: BackendAbout,
    /// The models it offers, sorted by id.
    pub models: Vec<Arc<Model>>,
    /// Roughly how busy it was.
    pub load: Load,
    /// What serving has taught its peer, by model; sorted by it.
    pub served: Vec<ModelFacts>,
    /// Its breakers that are not closed, and when each was heard of.
    pub breakers: Vec<(Breaker, Instant)>,
    /// When any of this last changed here.
    pub heard_at: Instant,
    /// When its load was heard.
    pub load_heard_at: Instant,
}

impl Peer {
    /// How the peer is at `now`, by the age of its news and by what it says of itself.
    pub fn state(&self, now: Instant, config: &Config) -> PeerState {
        let silence = now.saturating_duration_since(self.heard_at);
        if self.left || !self.confirmed || silence >= config.dead_after() {
            PeerState::Dead
        } else if self.draining {
            PeerState::Draining
        } else if self.unreachable || silence >= config.suspect_after() {
            PeerState::Suspect
        } else {
            PeerState::Alive
        }
    }
}

impl PeerBackend {
    /// What serving `model` has taught its peer.
    pub fn served(&self, model: &str) -> Option<&ModelFacts> {
        self.served.binary_search_by(|known| known.model.as_str().cmp(model)).ok().map(|at| &self.served[at])
    }

    /// Its breakers that are not closed, as they stand at `now` as far as is known.
    pub fn breakers(&self, now: Instant) -> impl Iterator<Item = Breaker> {
        self.breakers.iter().map(move |(breaker, heard_at)| breaker.after(now.saturating_duration_since(*heard_at)))
    }

    /// Whether requests for `model` had better go elsewhere.
    pub fn keeps_away(&self, model: &str, now: Instant) -> bool {
        self.breakers(now).any(|breaker| breaker.guards(model) && breaker.keeps_away())
    }

    /// All that is known of it, as its peer would tell it at `now`.
    pub fn facts(&self, now: Instant) -> BackendFacts {
        BackendFacts {
            about: self.about.clone(),
            models: self.models.iter().map(|model| (**model).clone()).collect(),
            load: self.load,
            served: self.served.clone(),
            breakers: self.breakers(now).collect(),
        }
    }
}

impl Peers {
    /// The peers of `list`, in any order. `namesake`: whether a living one of them goes by the name of this node.
    pub fn new(mut list: Vec<Arc<Peer>>, namesake: bool) -> Self {
        list.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
        let mut by_model: BTreeMap<String, Vec<Place>> = BTreeMap::new();
        for (at, peer) in list.iter().enumerate() {
            for (backend_at, backend) in peer.backends.iter().enumerate() {
                for (model_at, model) in backend.models.iter().enumerate() {
                    let place = Place { peer: at, backend: backend_at, model: model_at };
                    match by_model.get_mut(&model.id) {
                        Some(places) => places.push(place),
                        None => drop(by_model.insert(model.id.clone(), vec![place])),
                    }
                }
            }
        }
        Peers { list, namesake, by_model: Arc::new(by_model) }
    }

    /// The same peers with the same offers in the same places, of which only news, load and state have changed.
    pub(super) fn with(&self, list: Vec<Arc<Peer>>, namesake: bool) -> Self {
        Peers { list, namesake, by_model: self.by_model.clone() }
    }

    /// Tells peers of one name apart: whoever shares its name with a living one, us among them, is shown with its id.
    /// Says whether one of them has our name.
    pub(super) fn tell_apart(list: &mut [Peer], our_name: &str, now: Instant, config: &Config) -> bool {
        let mut living: BTreeMap<String, usize> = BTreeMap::from([(our_name.to_owned(), 1)]);
        let lives = |peer: &Peer| peer.state(now, config) != PeerState::Dead;
        for peer in list.iter().filter(|peer| lives(peer)) {
            *living.entry(peer.name.clone()).or_default() += 1;
        }
        for peer in list.iter_mut() {
            let others = living.get(&peer.name).copied().unwrap_or(0) - usize::from(lives(peer));
            if others > 0 {
                peer.name = distinct(&peer.name, &peer.id);
            }
        }
        living.get(our_name).is_some_and(|count| *count > 1)
    }

    /// Whether the same is offered in the same places as in `others`, as far as that is seen at a glance.
    pub fn offers_as(&self, others: &Peers) -> bool {
        Arc::ptr_eq(&self.by_model, &others.by_model)
    }

    /// Who offers `model`, and on which backend, in the order of the list. Whether they can be used is not asked.
    pub fn offering(&self, model: &str) -> impl Iterator<Item = (&Arc<Peer>, &Arc<PeerBackend>, &Arc<Model>)> {
        self.by_model.get(model).into_iter().flatten().filter_map(|place| {
            let peer = self.list.get(place.peer)?;
            let backend = peer.backends.get(place.backend)?;
            Some((peer, backend, backend.models.get(place.model)?))
        })
    }

    /// The machine at the address of `endpoint`, where we ourselves are connected to one peer of one machine there. What
    /// a peer says of its addresses is no proof: private ones are the same on many machines.
    pub fn machine_at(&self, endpoint: &str) -> Option<&str> {
        let ip = endpoint.parse::<SocketAddr>().ok()?.ip();
        let there = self.list.iter().filter(|peer| peer.reached_at == Some(ip));
        let mut machines = there.flat_map(|peer| &peer.backends).map(|backend| &backend.about);
        let mut known = machines.by_ref().filter(|about| about.near && !about.machine.is_empty());
        let first = known.next()?.machine.as_str();
        known.all(|about| about.machine == first).then_some(first)
    }

    /// The peer of this id.
    pub fn get(&self, id: &PeerId) -> Option<&Arc<Peer>> {
        self.list.iter().find(|peer| peer.id == *id)
    }
}

/// The name of a peer that is not the only one of its name.
pub(super) fn distinct(name: &str, id: &PeerId) -> String {
    format!("{name}-{}", id.short())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Kind, Status, Tier, Zone};

    fn peer(name: &str, reached_at: Option<&str>, near: bool, machine: &str) -> Arc<Peer> {
        let about = BackendAbout {
            name: "gpu".to_owned(),
            kind: Kind::Ollama,
            zone: Zone::Open,
            tier: Tier::default(),
            priority: 50,
            status: Status::Healthy,
            suspect: false,
            endpoint: "192.168.1.5:11434".to_owned(),
            near,
            machine: machine.to_owned(),
        };
        let now = Instant::now();
        let backend = PeerBackend {
            about,
            models: Vec::new(),
            load: Load::default(),
            served: Vec::new(),
            heard_at: now,
            load_heard_at: now,
            breakers: Vec::new(),
        };
        Arc::new(Peer {
            id: PeerId::from_text(name),
            name: name.to_owned(),
            version: String::new(),
            protocol: 1,
            addresses: vec!["192.168.1.5:8001".parse().expect("literal")],
            draining: false,
            left: false,
            started: 0,
            policies: String::new(),
            rejected: String::new(),
            clock_skew_ms: None,
            heard_at: Instant::now(),
            confirmed: true,
            rtt: None,
            reached_at: reached_at.map(|ip| ip.parse().expect("literal")),
            unreachable: false,
            backends: vec![Arc::new(backend)],
            sees: Vec::new(),
            ledger: None,
            keys: None,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_is_known_by_a_connection_and_not_by_what_is_said() {
        let at = Some("192.168.1.5");
        for (list, machine) in [
            (vec![peer("a", at, true, "m1")], Some("m1")),
            (vec![peer("a", at, true, "m1"), peer("b", at, true, "m1")], Some("m1")),
            (vec![peer("a", at, true, "m1"), peer("b", at, true, "m2")], None),
            (vec![peer("a", None, true, "m1")], None),
            (vec![peer("a", Some("10.0.0.1"), true, "m1")], None),
            (vec![peer("a", at, true, "")], None),
            (vec![peer("a", at, false, "m1")], None),
        ] {
            let peers = Peers::new(list, false);
            assert_eq!(peers.machine_at("192.168.1.5:11434"), machine, "{:?}", peers.list);
            assert_eq!(peers.machine_at("gpu.lan:11434"), None);
        }
    }
}

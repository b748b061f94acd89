//! Who else there is: an immutable snapshot of what was heard of the other peers. Hearsay: what this node itself knows
//! is not in it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Config;
use crate::fleet::{BackendAbout, Load, Model, PeerId, PeerState};

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
    /// How far its clock is ahead of ours, in milliseconds, where that was seen.
    pub clock_skew_ms: Option<i64>,
    /// When its news last advanced here. Until they have once, when it was first heard of.
    pub heard_at: Instant,
    /// Whether its news have advanced since it was first heard of. What others remember of a dead peer never does.
    pub confirmed: bool,
    /// Round trip of our connection to it, where there is one.
    pub rtt: Option<Duration>,
    /// Our last attempt to reach it failed.
    pub unreachable: bool,
    /// What it offers, sorted by name.
    pub backends: Vec<Arc<PeerBackend>>,
    /// The peers it hears of itself.
    pub sees: Vec<PeerId>,
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
    /// When any of this last changed here.
    pub heard_at: Instant,
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

impl Peers {
    pub(super) fn new(mut list: Vec<Arc<Peer>>, namesake: bool) -> Self {
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

    /// Who offers `model`, and on which backend, in the order of the list. Whether they can be used is not asked.
    pub fn offering(&self, model: &str) -> impl Iterator<Item = (&Arc<Peer>, &Arc<PeerBackend>, &Arc<Model>)> {
        self.by_model.get(model).into_iter().flatten().filter_map(|place| {
            let peer = self.list.get(place.peer)?;
            let backend = peer.backends.get(place.backend)?;
            Some((peer, backend, backend.models.get(place.model)?))
        })
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

//! All that routing may know at one instant. The gateway lays it out from its own backends and from what peers told;
//! routing asks nobody else.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::money::Fee;
use crate::fleet::{Kind, Load, Model, Pace, PeerId, Residency, Status, Tier, Zone};

/// Who offers the models of one chain.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// One offer for each model of the chain that anyone has.
    pub offers: Vec<Offer>,
}

/// Who offers one model.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The model, by the name it has in the chain.
    pub model: Arc<str>,
    /// The places that have it, in any order.
    pub candidates: Vec<Candidate>,
}

/// A place that may serve a model, and what is known of it.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Where it is.
    pub place: Place,
    /// What it is.
    pub kind: Kind,
    /// Where prompts sent to it may be read.
    pub zone: Zone,
    /// How capable it is.
    pub tier: Tier,
    /// Lower wins.
    pub priority: u32,
    /// How it is.
    pub status: Status,
    /// Requests to it failed lately, or its peer was not heard of lately: used only where nothing else is left.
    pub suspect: bool,
    /// What is known of the model as it has it.
    pub model: Arc<Model>,
    /// How busy it is.
    pub load: Load,
    /// How fast it is with this model.
    pub pace: Pace,
    /// Whether the model is in memory.
    pub residency: Residency,
    /// How much of the prompt it has read lately, in bytes of canonical text.
    pub held: u64,
    /// It has had this conversation.
    pub knows: bool,
    /// What it is in rendezvous hashing, see [`super::seat`].
    pub seat: u64,
    /// How old the news of it are; `None` = our own.
    pub fact_age: Option<Duration>,
    /// Whether restricted prompts may be put on the wire to it. A peer of an open mesh has proved nothing.
    pub trusted: bool,
    /// What the call may cost there.
    pub fee: Fee,
}

/// Where a backend is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// At this peer.
    Here {
        /// The name of the backend.
        backend: Arc<str>,
    },
    /// At another peer.
    There {
        /// The peer.
        peer: PeerId,
        /// Its name, for people.
        peer_name: Arc<str>,
        /// The name of the backend there.
        backend: Arc<str>,
    },
}

impl Place {
    /// The name of the backend.
    pub fn backend(&self) -> &Arc<str> {
        match self {
            Place::Here { backend } | Place::There { backend, .. } => backend,
        }
    }

    /// The name of the other peer, if it is at one.
    pub fn peer_name(&self) -> Option<&Arc<str>> {
        match self {
            Place::Here { .. } => None,
            Place::There { peer_name, .. } => Some(peer_name),
        }
    }

    /// Whether it is at this peer.
    pub fn is_here(&self) -> bool {
        matches!(self, Place::Here { .. })
    }

    fn peer(&self) -> Option<&PeerId> {
        match self {
            Place::Here { .. } => None,
            Place::There { peer, .. } => Some(peer),
        }
    }

    /// By name, then this peer before others, then by peer: the same order on every run.
    pub(super) fn in_order(&self, other: &Place) -> Ordering {
        self.backend().cmp(other.backend()).then_with(|| self.peer().cmp(&other.peer()))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Here { backend } => write!(f, "backend '{backend}'"),
            Place::There { peer_name, backend, .. } => write!(f, "backend '{backend}' of peer '{peer_name}'"),
        }
    }
}

impl Candidate {
    /// Where a prompt sent to this model may be read: a model that its server passes on to somebody's cloud is open,
    /// whatever the server is.
    pub fn effective_zone(&self) -> Zone {
        if self.model.leaves_the_machine() { Zone::Open } else { self.zone }
    }

    /// Requests it has and requests that wait for it.
    pub(super) fn pending(&self) -> u32 {
        self.load.in_flight.saturating_add(self.load.queued)
    }
}

impl World {
    pub(super) fn offer(&self, model: &str) -> Option<&Offer> {
        self.offers.iter().find(|offer| &*offer.model == model)
    }
}

//! All that one rendering goes by: snapshots, taken once. Nothing below this asks anybody anything.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::pulse::Sample;
use crate::budget::Figures;
use crate::fleet::{BackendAbout, Breaker, Load, Model, PeerId, PeerState, Status};
use crate::mesh::{self, Mesh, Peer, PeerBackend, Peers};
use crate::queue::Counts;
use crate::registry::{Entry, Snapshot};

/// What there is to see at one instant.
pub struct Seen {
    /// Now.
    pub now: Instant,
    /// For how long this peer has run.
    pub uptime: Duration,
    /// What this peer is called.
    pub name: Arc<str>,
    /// Whether it takes no more requests.
    pub draining: bool,
    /// Its mesh, where it is in one.
    pub mesh: Option<MeshSeen>,
    /// The other peers.
    pub peers: Arc<Peers>,
    /// The backends of this one.
    pub own: Arc<Snapshot>,
    /// The money, where any can be spent.
    pub figures: Option<Figures>,
    /// Who waits here.
    pub queue: Counts,
    /// What people should know.
    pub warnings: Vec<WarningSeen>,
    /// Requests under way at any peer, newest first, as the interface tells them.
    pub live: Vec<Arc<Value>>,
    /// Those that have ended.
    pub ended: Vec<Arc<Value>>,
    /// What has happened of late, oldest first, as the interface tells it.
    pub events: Vec<Value>,
    /// How it went of late, oldest first.
    pub samples: Vec<Sample>,
}

/// The mesh that this peer is in.
pub struct MeshSeen {
    /// What it is called.
    pub name: String,
    /// Whether only holders of its key come in.
    pub keyed: bool,
    /// This peer.
    pub id: PeerId,
    /// Where it can be dialled.
    pub addresses: Vec<String>,
    /// From when on peers count as suspect and dead.
    pub config: mesh::Config,
}

/// One thing that people should know.
pub struct WarningSeen {
    /// What it is, for programs.
    pub code: &'static str,
    /// What it is, for people.
    pub message: String,
}

impl MeshSeen {
    /// As `mesh` stands.
    pub fn of(mesh: &Mesh) -> Self {
        let myself = mesh.myself();
        MeshSeen {
            name: myself.mesh_name,
            keyed: myself.keyed,
            id: myself.id,
            addresses: myself.addresses.iter().map(ToString::to_string).collect(),
            config: mesh.config().clone(),
        }
    }
}

/// A backend of whichever peer.
pub(super) struct Place {
    pub(super) peer: Arc<str>,
    pub(super) own: bool,
    /// How its peer is.
    pub(super) peer_state: PeerState,
    pub(super) about: BackendAbout,
    pub(super) models: Vec<Arc<Model>>,
    pub(super) load: Load,
    pub(super) breakers: Vec<Breaker>,
    /// The age of the news of its peer; `None` = it is our own.
    pub(super) age: Option<Duration>,
    pub(super) last_error: Option<String>,
}

impl Place {
    fn own(entry: &Arc<Entry>, peer: &Arc<str>) -> Self {
        let condition = entry.condition();
        Place {
            peer: peer.clone(),
            own: true,
            peer_state: PeerState::Myself,
            about: entry.about(),
            models: condition.models.clone(),
            load: entry.load(),
            breakers: entry.breakers(),
            age: None,
            last_error: condition.last_error.clone(),
        }
    }

    fn of(backend: &PeerBackend, peer: (&Arc<str>, PeerState), silence: Duration, now: Instant) -> Self {
        Place {
            peer: peer.0.clone(),
            own: false,
            peer_state: peer.1,
            about: backend.about.clone(),
            models: backend.models.clone(),
            load: backend.load,
            breakers: backend.breakers(now).collect(),
            age: Some(silence),
            last_error: None,
        }
    }

    /// Whether a request may be sent there, as far as is known.
    pub(super) fn may_serve(&self) -> bool {
        self.peer_state != PeerState::Dead && self.about.status == Status::Healthy
    }
}

impl Seen {
    /// How a peer is.
    pub(super) fn state(&self, peer: &Peer) -> PeerState {
        self.mesh.as_ref().map_or(PeerState::Dead, |mesh| peer.state(self.now, &mesh.config))
    }

    /// Every backend of every peer, by peer and name; our own first.
    pub(super) fn places(&self) -> Vec<Place> {
        let mut places: Vec<Place> = self.own.entries.iter().map(|entry| Place::own(entry, &self.name)).collect();
        for peer in &self.peers.list {
            let (name, state): (Arc<str>, _) = (peer.name.as_str().into(), self.state(peer));
            let silence = self.now.saturating_duration_since(peer.heard_at);
            let of = |backend: &Arc<PeerBackend>| Place::of(backend, (&name, state), silence, self.now);
            places.extend(peer.backends.iter().map(of));
        }
        places
    }
}

//! Where an order goes: a backend of this peer, or of another one by what the mesh tells.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Lifecycle, Wish, shown};
use crate::exchange::{Objection, ObjectionReason, OperationKind};
use crate::fleet::{Model, PeerId, PeerState, Residency};
use crate::mesh::{Mesh, Peer};
use crate::registry::Entry;

/// A backend, and whose it is.
#[derive(Clone)]
pub(super) enum Place {
    /// Of this peer.
    Here(Arc<Entry>),
    /// Of another one.
    There {
        /// Its id.
        peer: PeerId,
        /// Its name.
        peer_name: String,
        /// The backend's.
        backend: String,
    },
}

impl Place {
    pub(super) fn backend(&self) -> &str {
        match self {
            Place::Here(entry) => &entry.spec.name,
            Place::There { backend, .. } => backend,
        }
    }

    /// As it stands in a message.
    pub(super) fn shown(&self) -> String {
        match self {
            Place::Here(entry) => entry.spec.name.clone(),
            Place::There { peer_name, backend, .. } => format!("{backend} of {peer_name}"),
        }
    }

    pub(super) fn is_same(&self, other: &Place) -> bool {
        match (self, other) {
            (Place::Here(one), Place::Here(other)) => Arc::ptr_eq(one, other),
            (Place::There { peer, backend, .. }, Place::There { peer: its, backend: named, .. }) => {
                (peer, backend) == (its, named)
            }
            _ => false,
        }
    }
}

impl Lifecycle {
    /// The one backend that a wish can mean.
    pub(super) fn find(&self, wish: &Wish, kind: OperationKind) -> Result<Place, Objection> {
        let mut found = self.backends(wish, kind);
        // What this peer has itself is nearer than anything of that name elsewhere.
        if wish.backend.is_some()
            && let Some(at) = found.iter().position(|place| matches!(place, Place::Here(_)))
        {
            return Ok(found.swap_remove(at));
        }
        match (found.pop(), found.is_empty()) {
            (Some(place), true) => Ok(place),
            (None, _) => Err(Objection::new(ObjectionReason::Unknown, nobody(wish, kind))),
            (Some(last), false) => {
                let mut names: Vec<String> = found.iter().chain([&last]).map(Place::shown).collect();
                names.sort();
                let several =
                    format!("more than one backend would do: say which, and of which peer: {}", names.join(", "));
                Err(Objection::new(ObjectionReason::Senseless, several))
            }
        }
    }

    fn backends(&self, wish: &Wish, kind: OperationKind) -> Vec<Place> {
        let peer = wish.peer.as_deref();
        let is_named = |name: &str| wish.backend.as_deref().is_none_or(|wanted| wanted == name);
        // Without a name it must be plain which one is meant.
        let would_do = |model: &Model, residency: Residency| {
            let may_be = kind != OperationKind::Unload || residency == Residency::Loaded;
            model.id == wish.model && may_be
        };
        let is_any = wish.backend.is_some();
        let mut found = Vec::new();
        if peer.is_none_or(|peer| peer == "self" || *peer == *self.name() || self.is_me(peer)) {
            for entry in self.0.registry.snapshot().entries.iter().filter(|entry| is_named(&entry.spec.name)) {
                let condition = entry.condition();
                if is_any || condition.models.iter().any(|model| would_do(model, entry.residency(model))) {
                    found.push(Place::Here(entry.clone()));
                }
            }
        }
        for other in self.peers().iter().filter(|other| peer.is_none_or(|peer| is_called(other, peer))) {
            for backend in other.backends.iter().filter(|backend| is_named(&backend.about.name)) {
                if is_any || backend.models.iter().any(|model| would_do(model, model.residency)) {
                    let (peer, peer_name) = (other.id.clone(), other.name.clone());
                    found.push(Place::There { peer, peer_name, backend: backend.about.name.clone() });
                }
            }
        }
        found
    }

    fn is_me(&self, peer: &str) -> bool {
        self.0.mesh.as_ref().is_some_and(|mesh| mesh.id().as_str() == peer || mesh.id().short() == peer)
    }

    /// The other peers that live.
    pub(super) fn peers(&self) -> Vec<Arc<Peer>> {
        let Some(mesh) = &self.0.mesh else { return Vec::new() };
        let lives = |peer: &&Arc<Peer>| peer.state(Instant::now(), mesh.config()) != PeerState::Dead;
        mesh.peers().list.iter().filter(lives).cloned().collect()
    }

    /// The peer whose operation an id names.
    pub(super) fn peer_of_operation(&self, id: &str) -> Option<PeerId> {
        let short = id.strip_prefix("op-")?.split_once('-')?.0;
        self.peers().into_iter().find(|peer| peer.id.short() == short).map(|peer| peer.id.clone())
    }

    /// A backend of this peer that other peers know of.
    pub(super) fn own(&self, backend: &str) -> Result<Arc<Entry>, Objection> {
        let keyed = self.0.mesh.as_ref().is_some_and(Mesh::is_keyed);
        let snapshot = self.0.registry.snapshot();
        let entry = snapshot.get(backend).filter(|entry| entry.spec.is_offered(keyed)).cloned();
        entry.ok_or_else(|| Objection::new(ObjectionReason::Unknown, format!("backend not found: {}", shown(backend))))
    }
}

fn is_called(peer: &Peer, name: &str) -> bool {
    peer.name == name || peer.id.as_str() == name || peer.id.short() == name
}

fn nobody(wish: &Wish, kind: OperationKind) -> String {
    let of = wish.peer.as_ref().map(|peer| format!(" of peer {}", shown(peer))).unwrap_or_default();
    match (&wish.backend, kind) {
        (Some(backend), _) => format!("backend not found: {}{of}", shown(backend)),
        (None, OperationKind::Unload) => format!("no backend{of} has {} in memory", shown(&wish.model)),
        (None, _) => format!("no backend{of} has {}: name the one that is to load it", shown(&wish.model)),
    }
}

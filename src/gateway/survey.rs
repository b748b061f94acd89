//! Local truth and hearsay side by side: what this peer's registry and the mesh offer for the names of a request.

use std::sync::Arc;

use tokio::time::Instant;

use crate::exchange::Origin;
use crate::fleet::{PeerId, PeerState, Status};
use crate::mesh::Mesh;
use crate::registry::{Offered, Registry};
use crate::route::{Candidate, Chain, Offer, Place, World};

/// All that routing may know, at this instant, of the models of `chain`. A peer that asks is shown what it is offered,
/// and nothing of third parties: its request has had its hop.
pub(super) fn survey(chain: &Chain, registry: &Registry, mesh: Option<&Mesh>, origin: &Origin) -> World {
    let here = registry.snapshot();
    let (for_peers, keyed) = (matches!(origin, Origin::Peer(_)), mesh.is_some_and(Mesh::is_keyed));
    let there = mesh.filter(|_| !for_peers).map(Remote::new);
    let offers = chain.models().map(|name| {
        let ours = here.offering(name).iter();
        let ours = ours.filter(|ours| !for_peers || ours.entry.spec.offers(&ours.model, keyed));
        let mut found: Vec<Found<'_>> = ours.map(|offered| local(offered, mesh)).collect();
        if let Some(there) = &there {
            there.collect(name, &mut found);
        }
        Offer { model: name.into(), candidates: once_each(found) }
    });
    World { offers: offers.collect() }
}

/// A candidate, and what tells whether two are the same server.
struct Found<'a> {
    candidate: Candidate,
    endpoint: &'a str,
    near: bool,
    owner: Option<&'a PeerId>,
}

fn local<'a>(offered: &'a Offered, mesh: Option<&'a Mesh>) -> Found<'a> {
    let entry = &offered.entry;
    Found {
        candidate: Candidate {
            place: Place::Here { backend: entry.name.clone() },
            kind: entry.spec.kind,
            zone: entry.spec.zone,
            tier: entry.spec.tier,
            priority: entry.spec.priority,
            status: entry.condition().status,
            suspect: entry.is_suspect(),
            model: offered.model.clone(),
            load: entry.load(),
            fact_age: None,
            trusted: true,
        },
        endpoint: &entry.endpoint.text,
        near: entry.endpoint.near,
        owner: mesh.map(Mesh::id),
    }
}

struct Remote<'a> {
    peers: Arc<crate::mesh::Peers>,
    now: Instant,
    trusted: bool,
    config: &'a crate::mesh::Config,
}

impl<'a> Remote<'a> {
    fn new(mesh: &'a Mesh) -> Self {
        Remote { peers: mesh.peers(), now: Instant::now(), trusted: mesh.is_keyed(), config: mesh.config() }
    }

    fn collect<'s>(&'s self, name: &str, found: &mut Vec<Found<'s>>) {
        for (peer, backend, model) in self.peers.offering(name) {
            let state = peer.state(self.now, self.config);
            if state == PeerState::Dead {
                continue;
            }
            let about = &backend.about;
            found.push(Found {
                candidate: Candidate {
                    place: Place::There {
                        peer: peer.id.clone(),
                        peer_name: peer.name.as_str().into(),
                        backend: about.name.as_str().into(),
                    },
                    kind: about.kind,
                    zone: about.zone,
                    tier: about.tier,
                    priority: about.priority,
                    status: if state == PeerState::Draining { Status::Draining } else { about.status },
                    suspect: about.suspect || state == PeerState::Suspect,
                    model: model.clone(),
                    load: backend.load,
                    fact_age: Some(self.now.saturating_duration_since(backend.heard_at)),
                    trusted: self.trusted,
                },
                endpoint: &about.endpoint,
                near: about.near,
                owner: Some(&peer.id),
            });
        }
    }
}

/// The name of every model that anybody has, sorted: for those who asked for one that nobody has.
pub(super) fn every_model(registry: &Registry, mesh: Option<&Mesh>) -> Vec<String> {
    let here = registry.snapshot();
    let mut names: Vec<String> =
        here.entries.iter().flat_map(|entry| entry.condition().models.clone()).map(|model| model.id.clone()).collect();
    if let Some(there) = mesh.map(Remote::new) {
        let living = there.peers.list.iter().filter(|peer| peer.state(there.now, there.config) != PeerState::Dead);
        let models = living.flat_map(|peer| &peer.backends).flat_map(|backend| &backend.models);
        names.extend(models.map(|model| model.id.clone()));
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// A server that several peers reach has one owner: the peer on its own machine, else the one with the lowest id. A peer
/// that is in doubt owns nothing while another is not.
fn once_each(mut found: Vec<Found<'_>>) -> Vec<Candidate> {
    if found.len() > 1 {
        found.sort_by(|a, b| {
            let rank = |found: &Found<'_>| (found.candidate.suspect, !found.near);
            a.endpoint.cmp(b.endpoint).then(rank(a).cmp(&rank(b))).then(a.owner.cmp(&b.owner))
        });
        // One peer may well have two backends on one server, under different names.
        let mut owner_of: Option<(&str, Option<&PeerId>)> = None;
        found.retain(|found| match &owner_of {
            Some((endpoint, owner)) if *endpoint == found.endpoint => *owner == found.owner,
            _ => {
                owner_of = Some((found.endpoint, found.owner));
                true
            }
        });
    }
    found.into_iter().map(|found| found.candidate).collect()
}

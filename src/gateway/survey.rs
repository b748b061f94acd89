//! Local truth and hearsay side by side: what this peer's registry and the mesh offer for the names of a request.

use std::sync::Arc;

use tokio::time::Instant;

use crate::exchange::Origin;
use crate::fleet::{Locality, PeerId, PeerState, Server, Status};
use crate::mesh::{Mesh, Peers};
use crate::registry::{Endpoint, Offered, Registry};
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
        let Some(there) = &there else {
            return Offer { model: name.into(), candidates: ours.map(local).collect() };
        };
        let ours: Vec<_> = ours.map(|offered| (offered, offered.entry.endpoint())).collect();
        let mut found: Vec<Found<'_>> =
            ours.iter().map(|(offered, endpoint)| there.beside(offered, endpoint)).collect();
        there.collect(name, &mut found);
        Offer { model: name.into(), candidates: once_each(found) }
    });
    World { offers: offers.collect() }
}

/// A candidate, and what tells whether two are the same server.
struct Found<'a> {
    candidate: Candidate,
    server: Server<'a>,
    /// Lower owns it.
    rank: (bool, bool, bool),
    owner: &'a PeerId,
}

fn local(offered: &Offered) -> Candidate {
    let entry = &offered.entry;
    Candidate {
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
    }
}

struct Remote<'a> {
    peers: Arc<Peers>,
    now: Instant,
    trusted: bool,
    config: &'a crate::mesh::Config,
    me: &'a PeerId,
}

impl<'a> Remote<'a> {
    fn new(mesh: &'a Mesh) -> Self {
        let (peers, trusted) = (mesh.peers(), mesh.is_keyed());
        Remote { peers, now: Instant::now(), trusted, config: mesh.config(), me: mesh.id() }
    }

    /// One of our own, which others may have as well. Ours is not given up for one that is not provably the same.
    fn beside<'s>(&'s self, offered: &'s Offered, endpoint: &'s Endpoint) -> Found<'s> {
        let candidate = local(offered);
        let near_machine = endpoint.machine.as_deref();
        let machine = near_machine.or_else(|| self.peers.machine_at(&endpoint.text).filter(|_| !endpoint.near));
        let server = match machine {
            Some(machine) if candidate.kind.locality() == Locality::Local => Server::On(machine, &endpoint.text),
            _ => Server::Of(Some(self.me), &offered.entry.name),
        };
        Found { rank: rank(candidate.suspect, true, endpoint.near), candidate, server, owner: self.me }
    }

    fn collect<'s>(&'s self, name: &str, found: &mut Vec<Found<'s>>) {
        for (peer, backend, model) in self.peers.offering(name) {
            let state = peer.state(self.now, self.config);
            if state == PeerState::Dead {
                continue;
            }
            let about = &backend.about;
            let candidate = Candidate {
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
            };
            let rank = rank(candidate.suspect, self.trusted, about.near);
            found.push(Found { candidate, server: about.server(Some(&peer.id)), rank, owner: &peer.id });
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

/// Lower owns a server. A peer that is in doubt owns nothing while another is not, and a stranger nothing of ours.
fn rank(suspect: bool, trusted: bool, near: bool) -> (bool, bool, bool) {
    (suspect, !trusted, !near)
}

/// A server that several peers reach has one owner: the peer on its own machine, else the one with the lowest id.
fn once_each(mut found: Vec<Found<'_>>) -> Vec<Candidate> {
    if found.len() > 1 {
        found.sort_by(|a, b| (a.server, a.rank, a.owner).cmp(&(b.server, b.rank, b.owner)));
        // One peer may well have two backends on one server, under different names.
        let mut owner_of: Option<(Server<'_>, &PeerId)> = None;
        found.retain(|found| match owner_of {
            Some((server, owner)) if server == found.server => owner == found.owner,
            _ => {
                owner_of = Some((found.server, found.owner));
                true
            }
        });
    }
    found.into_iter().map(|found| found.candidate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Kind, Load, Model, Tier, Zone};

    struct Claim {
        place: Place,
        suspect: bool,
        near: bool,
        server: Server<'static>,
        owner: PeerId,
    }

    fn ours(server: Server<'static>) -> Claim {
        let place = Place::Here { backend: "ours".into() };
        Claim { place, suspect: false, near: true, server, owner: PeerId::from_text("m") }
    }

    fn theirs(owner: &'static str, server: Server<'static>) -> Claim {
        let id = PeerId::from_text(owner);
        let place = Place::There { peer: id.clone(), peer_name: owner.into(), backend: "gpu".into() };
        Claim { place, suspect: false, near: true, server, owner: id }
    }

    fn left(claims: &[Claim], trusted: bool) -> Vec<String> {
        let found = claims.iter().map(|claim| Found {
            candidate: Candidate {
                place: claim.place.clone(),
                kind: Kind::Ollama,
                zone: Zone::Open,
                tier: Tier::default(),
                priority: 50,
                status: Status::Healthy,
                suspect: claim.suspect,
                model: Arc::new(Model::named("m")),
                load: Load::default(),
                fact_age: None,
                trusted,
            },
            server: claim.server,
            rank: rank(claim.suspect, trusted || claim.place.is_here(), claim.near),
            owner: &claim.owner,
        });
        let name = |left: &Candidate| match left.place.peer_name() {
            Some(peer) => format!("{peer}/{}", left.place.backend()),
            None => left.place.backend().to_string(),
        };
        let mut left: Vec<String> = once_each(found.collect()).iter().map(name).collect();
        left.sort();
        left
    }

    #[test]
    fn one_server_has_one_owner_and_two_servers_have_two() {
        let (on, elsewhere) = (Server::On("m1", "10.0.0.5:1"), Server::On("m2", "10.0.0.5:1"));
        assert_eq!(left(&[theirs("a", on), theirs("b", on)], true), ["a/gpu"]);
        assert_eq!(left(&[theirs("a", on), theirs("b", elsewhere)], true), ["a/gpu", "b/gpu"]);
        let far = Claim { near: false, ..theirs("a", on) };
        assert_eq!(left(&[far, theirs("b", on)], true), ["b/gpu"], "the peer on its machine");
        let ill = Claim { suspect: true, ..theirs("a", on) };
        assert_eq!(left(&[ill, theirs("b", on)], true), ["b/gpu"], "the peer that answers");
        assert_eq!(left(&[theirs("a", Server::At("nas:1")), theirs("b", Server::At("nas:1"))], true), ["a/gpu"]);
    }

    #[test]
    fn our_own_is_given_up_only_for_what_is_provably_the_same_and_never_to_strangers() {
        let on = Server::On("m1", "10.0.0.5:1");
        assert_eq!(left(&[ours(on), theirs("a", on)], true), ["a/gpu"], "two peers on one machine agree who serves");
        assert_eq!(left(&[ours(on), theirs("a", on)], false), ["ours"]);
        let unknown = Server::Of(None, "ours");
        assert_eq!(left(&[ours(unknown), theirs("a", Server::At("nas:1"))], true), ["a/gpu", "ours"]);
    }
}

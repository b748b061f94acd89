//! Local truth and hearsay side by side: what this peer's registry and the mesh offer for the names of a request.

use std::sync::Arc;

use tokio::time::Instant;

use super::kinship::Kinship;
use crate::exchange::Origin;
use crate::fleet::{Digest, Kind, Locality, Model, PeerId, PeerState, Prefix, Server, Status};
use crate::mesh::{self, Mesh, Peers};
use crate::registry::{Abroad, Endpoint, Offered, Registry, Snapshot};
use crate::route::{self, Candidate, Chain, Fee, Offer, Place, World};

/// Where a survey looks.
pub struct Sources<'a> {
    /// What this peer has itself.
    pub here: Arc<Snapshot>,
    /// What it knows itself of the backends of others.
    pub abroad: &'a Abroad,
    /// What the others have told, where there is a mesh.
    pub mesh: Option<Hearsay<'a>>,
    /// Which names stand for the same model.
    pub kinship: Arc<Kinship>,
}

/// What the others have told, and how it is judged.
pub struct Hearsay<'a> {
    /// The peer that has heard it.
    pub me: &'a PeerId,
    /// Who has told what.
    pub peers: Arc<Peers>,
    /// Whether they prove that they belong.
    pub keyed: bool,
    /// How old news may be.
    pub config: &'a mesh::Config,
}

impl<'a> From<&'a Mesh> for Hearsay<'a> {
    fn from(mesh: &'a Mesh) -> Self {
        Hearsay { me: mesh.id(), peers: mesh.peers(), keyed: mesh.is_keyed(), config: mesh.config() }
    }
}

/// All that routing may know, at this instant, of the models of `chain`, for a request that begins with `prefix`. A peer
/// that asks is shown what it is offered, and nothing of third parties: its request has had its hop. `fee` is what the
/// request may cost of a vendor.
pub fn survey(
    chain: &Chain,
    sources: &Sources<'_>,
    origin: &Origin,
    prefix: Option<&Prefix>,
    fee: &dyn Fn(Kind, &Model) -> Fee,
) -> World {
    let here = &sources.here;
    let mesh = sources.mesh.as_ref();
    let (for_peers, keyed) = (matches!(origin, Origin::Peer(_)), mesh.is_some_and(|mesh| mesh.keyed));
    let there = mesh.filter(|_| !for_peers).map(|mesh| Remote::new(mesh, sources.abroad));
    let local = |offered: &Offered| priced(local(offered, mesh.map(|mesh| mesh.me), prefix), fee);
    let offers = chain.models().map(|name| {
        // A peer's request names the model as we have it.
        let others = if for_peers { Vec::new() } else { sources.kinship.others(name) };
        let names = || std::iter::once(name).chain(others.iter().map(|other| &**other));
        let ours = names().flat_map(|name| here.offering(name));
        let ours = ours.filter(|ours| !for_peers || ours.entry.spec.offers(&ours.model, keyed));
        let Some(there) = &there else {
            return Offer { model: name.into(), candidates: ours.map(local).collect() };
        };
        let ours: Vec<_> = ours.map(|offered| (offered, offered.entry.endpoint())).collect();
        let mut found: Vec<Found<'_>> =
            ours.iter().map(|(offered, endpoint)| there.beside(offered, local(offered), endpoint)).collect();
        let ours = found.len();
        names().for_each(|name| there.collect(name, prefix, &mut found));
        for found in &mut found[ours..] {
            found.candidate.fee = fee_of(&found.candidate, fee);
        }
        Offer { model: name.into(), candidates: once_each(found) }
    });
    World { offers: offers.collect() }
}

fn priced(candidate: Candidate, fee: &dyn Fn(Kind, &Model) -> Fee) -> Candidate {
    let fee = fee_of(&candidate, fee);
    Candidate { fee, ..candidate }
}

fn fee_of(candidate: &Candidate, fee: &dyn Fn(Kind, &Model) -> Fee) -> Fee {
    match candidate.kind.locality() {
        Locality::Local => Fee::Free,
        Locality::Cloud => fee(candidate.kind, &candidate.model),
    }
}

/// A candidate, and what tells whether two are the same server.
struct Found<'a> {
    candidate: Candidate,
    server: Server<'a>,
    /// Lower owns it.
    rank: Rank,
    owner: &'a PeerId,
}

fn local(offered: &Offered, me: Option<&PeerId>, prefix: Option<&Prefix>) -> Candidate {
    let (entry, model) = (&offered.entry, &offered.model);
    let (held, knows) = prefix.map_or((0, false), |prefix| read_by(&entry.digest(&model.id), prefix));
    Candidate {
        place: Place::Here { backend: entry.name.clone() },
        kind: entry.spec.kind,
        zone: entry.spec.zone,
        tier: entry.spec.tier,
        priority: entry.spec.priority,
        status: entry.status(),
        suspect: entry.is_suspect(&model.id),
        model: model.clone(),
        load: entry.load(),
        pace: entry.pace(&model.id),
        residency: entry.residency(model),
        held,
        knows,
        seat: route::seat(me, &entry.name),
        fact_age: None,
        trusted: true,
        fee: Fee::Free,
    }
}

/// How much of `prefix` was read by whoever told `digest`, in bytes, and whether it has had that conversation.
fn read_by(digest: &Digest, prefix: &Prefix) -> (u64, bool) {
    let holds = |hash| digest.contains(hash);
    if digest.is_empty() { (0, false) } else { (prefix.held(holds), prefix.is_known(holds)) }
}

struct Remote<'a> {
    peers: &'a Peers,
    now: Instant,
    trusted: bool,
    config: &'a mesh::Config,
    me: &'a PeerId,
    abroad: &'a Abroad,
}

impl<'a> Remote<'a> {
    fn new(mesh: &'a Hearsay<'_>, abroad: &'a Abroad) -> Self {
        Remote {
            peers: &mesh.peers,
            now: Instant::now(),
            trusted: mesh.keyed,
            config: mesh.config,
            me: mesh.me,
            abroad,
        }
    }

    /// One of our own, which others may have as well. Ours is not given up for one that is not provably the same.
    fn beside<'s>(&'s self, offered: &'s Offered, candidate: Candidate, endpoint: &'s Endpoint) -> Found<'s> {
        let near_machine = endpoint.machine.as_deref();
        let far_machine = || if endpoint.near { None } else { self.peers.machine_at(&endpoint.text) };
        let machine = near_machine.or_else(far_machine);
        let server = match machine {
            Some(machine) if candidate.kind.locality() == Locality::Local => Server::On(machine, &endpoint.text),
            _ => Server::Of(Some(self.me), &offered.entry.name),
        };
        Found {
            rank: rank(candidate.status, candidate.suspect, true, endpoint.near),
            candidate,
            server,
            owner: self.me,
        }
    }

    fn collect<'s>(&'s self, name: &str, prefix: Option<&Prefix>, found: &mut Vec<Found<'s>>) {
        for (peer, backend, model) in self.peers.offering(name) {
            let state = peer.state(self.now, self.config);
            if state == PeerState::Dead {
                continue;
            }
            let (about, name): (_, Arc<str>) = (&backend.about, backend.about.name.as_str().into());
            let served = backend.served(&model.id);
            let (held, knows) =
                prefix.zip(served).map_or((0, false), |(prefix, served)| read_by(&served.digest, prefix));
            let candidate = Candidate {
                load: self.abroad.corrected(&peer.id, &name, backend.load, backend.load_heard_at),
                pace: served.map(|served| served.pace).unwrap_or_default(),
                residency: model.residency,
                held,
                knows,
                seat: route::seat(Some(&peer.id), &name),
                place: Place::There { peer: peer.id.clone(), peer_name: peer.name.as_str().into(), backend: name },
                kind: about.kind,
                zone: about.zone,
                tier: about.tier,
                priority: about.priority,
                status: if state == PeerState::Draining { Status::Draining } else { about.status },
                suspect: about.suspect || backend.keeps_away(&model.id, self.now) || state == PeerState::Suspect,
                model: model.clone(),
                fact_age: Some(self.now.saturating_duration_since(backend.heard_at)),
                trusted: self.trusted,
                fee: Fee::Free,
            };
            let rank = rank(candidate.status, candidate.suspect, self.trusted, about.near);
            found.push(Found { candidate, server: about.server(Some(&peer.id)), rank, owner: &peer.id });
        }
    }
}

/// Every model that anybody has, sorted by name: for those who asked for what nobody can do.
pub(super) fn every_model(registry: &Registry, mesh: Option<&Mesh>) -> Vec<Arc<Model>> {
    let here = registry.snapshot();
    let mut models: Vec<Arc<Model>> = here.entries.iter().flat_map(|entry| entry.condition().models.clone()).collect();
    if let Some(mesh) = mesh {
        let (peers, now) = (mesh.peers(), Instant::now());
        let living = peers.list.iter().filter(|peer| peer.state(now, mesh.config()) != PeerState::Dead);
        models.extend(living.flat_map(|peer| &peer.backends).flat_map(|backend| &backend.models).cloned());
    }
    models.sort_by(|one, other| one.id.cmp(&other.id));
    models
}

/// Lower owns a server.
type Rank = (bool, bool, bool, bool);

/// A peer that does not serve by it, or is in doubt, owns nothing while another does and is not, and a stranger nothing of ours.
fn rank(status: Status, suspect: bool, trusted: bool, near: bool) -> Rank {
    (matches!(status, Status::Unhealthy | Status::Draining), suspect, !trusted, !near)
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
    use crate::fleet::{Load, Pace, Residency, Tier, Zone};

    struct Claim {
        place: Place,
        status: Status,
        suspect: bool,
        near: bool,
        server: Server<'static>,
        owner: PeerId,
    }

    fn ours(server: Server<'static>) -> Claim {
        let place = Place::Here { backend: "ours".into() };
        Claim { place, status: Status::Healthy, suspect: false, near: true, server, owner: PeerId::from_text("m") }
    }

    fn theirs(owner: &'static str, server: Server<'static>) -> Claim {
        let id = PeerId::from_text(owner);
        let place = Place::There { peer: id.clone(), peer_name: owner.into(), backend: "gpu".into() };
        Claim { place, status: Status::Healthy, suspect: false, near: true, server, owner: id }
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
                pace: Pace::default(),
                residency: Residency::Unknown,
                held: 0,
                knows: false,
                seat: 0,
                fact_age: None,
                trusted,
                fee: Fee::Free,
            },
            server: claim.server,
            rank: rank(claim.status, claim.suspect, trusted || claim.place.is_here(), claim.near),
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
        for status in [Status::Draining, Status::Unhealthy] {
            let away = Claim { status, ..theirs("a", on) };
            assert_eq!(left(&[away, theirs("b", on)], true), ["b/gpu"], "the peer that serves by it");
        }
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

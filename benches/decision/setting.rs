//! A mesh as one of its peers sees it: its own backends, what gossip has told of the others, and what it has sent out
//! since. Whatever is asked for is the same in a mesh of any size, down to the hashes that were read; only what stands
//! around it grows.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use nexus::fleet::{BackendSpec, Kind, PeerId, Prefix, Source, Status};
use nexus::gateway::{Hearsay, Kin, Sources};
use nexus::mesh::{self, Peer, Peers};
use nexus::registry::{Abroad, Away, Condition, Entry, InFlight, Registry, Sample, Whereabouts};
use tokio::time::Instant;

use crate::cells::{CANDIDATES, Size};
use crate::{prompt, told};

/// Backends of each peer.
pub(crate) const EACH: usize = 4;

/// Where the models are that are asked for: peer and backend by number, the first of them for a model at one backend, the
/// first two for one at two. Peer 0 is this one; its second backend is on another machine.
const PLACES: [(usize, usize); 16] = [
    (1, 0),
    (0, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 0),
    (0, 1),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (1, 1),
    (2, 1),
    (3, 1),
    (4, 1),
    (5, 1),
];

/// A mesh, seen from peer 0.
pub(crate) struct Setting {
    pub(crate) size: Size,
    /// How long the prompt is.
    pub(crate) kib: usize,
    me: PeerId,
    registry: Registry,
    abroad: Arc<Abroad>,
    peers: Arc<Peers>,
    kin: Kin,
    config: mesh::Config,
    _here: Vec<InFlight>,
    _there: Vec<Away>,
}

/// The model that so many backends have.
pub(crate) fn model_at(candidates: usize) -> String {
    format!("llama3.3:70b-at-{candidates}")
}

impl Setting {
    /// A mesh of this size, some of which has read the beginning of a prompt of so many KiB.
    pub(crate) fn new(size: Size, kib: usize) -> Result<Self> {
        let prompt = prompt::asked(&model_at(1), kib)?.prefix.context("there is something to read in it")?;
        let registry = Registry::new(Whereabouts {
            addresses: vec![told::address(0).ip()],
            inside: Vec::new(),
            machine: Some(told::machine(0).into()),
        });
        let here = (0..EACH).flat_map(|number| own(&registry, size, number, &prompt)).collect();
        let abroad = Arc::new(Abroad::default());
        // In the order in which it happens: some were sent before the news, and came back after them.
        let before: Vec<Away> =
            asked_of_others().flat_map(|place| [away(&abroad, place), away(&abroad, place)]).collect();
        let heard_at = Instant::now();
        let peers: Vec<Arc<Peer>> =
            (1..size.peers).map(|peer| Arc::new(told::peer(size, peer, &prompt, heard_at))).collect();
        drop(before);
        for (peer, backend) in asked_of_others().step_by(3) {
            abroad.told(&told::id(peer), &told::name(backend).into(), told::load(peer, backend));
        }
        let every = (1..size.peers).flat_map(|peer| (0..EACH).map(move |backend| (peer, backend)));
        let there = every.map(|place| away(&abroad, place)).collect();
        let hour = 3_600_000;
        let config = mesh::Config { suspect_after_ms: hour, dead_after_ms: 2 * hour, ..mesh::Config::default() };
        let peers = Arc::new(Peers::new(peers, false));
        let (me, kin) = (told::id(0), Kin::new(false));
        Ok(Setting { size, kib, me, registry, abroad, peers, kin, config, _here: here, _there: there })
    }

    /// What a decision is made from.
    pub(crate) fn sources(&self) -> Sources<'_> {
        let mesh = Hearsay { me: &self.me, peers: self.peers.clone(), keyed: true, config: &self.config };
        let here = self.registry.snapshot();
        let kinship = self.kin.of(&here, Some(&self.peers));
        Sources { here, abroad: &self.abroad, mesh: Some(mesh), kinship }
    }
}

/// Which of the models that are asked for a backend has, as numbers of candidates; and which place it is among them.
pub(crate) fn asked_at(place: (usize, usize)) -> impl Iterator<Item = (usize, usize)> {
    let at = PLACES.iter().position(|known| *known == place);
    at.into_iter().flat_map(|at| CANDIDATES.into_iter().filter(move |count| at < *count).map(move |count| (count, at)))
}

/// Every model that a backend has, but those that are asked for: each is at two backends of the mesh.
pub(crate) fn others_at(size: Size, (peer, backend): (usize, usize)) -> impl Iterator<Item = String> {
    let (own, rest) = (peer * EACH + backend, size.models - CANDIDATES.len());
    let is_here = move |number: &usize| {
        let first = number % size.backends;
        own == first || own == (first + 1 + number / size.backends) % size.backends
    };
    (0..rest).filter(is_here).map(|number| format!("qwen3-{number:04}:8b-q4_K_M"))
}

fn asked_of_others() -> impl Iterator<Item = (usize, usize)> {
    PLACES.into_iter().filter(|(peer, _)| *peer != 0)
}

fn away(abroad: &Arc<Abroad>, (peer, backend): (usize, usize)) -> Away {
    abroad.begin(&told::id(peer), &told::name(backend).into())
}

/// Takes in a backend of this peer, and what serving has taught of it. Gives the requests that it has.
fn own(registry: &Registry, size: Size, backend: usize, prompt: &Prefix) -> Vec<InFlight> {
    let host = if backend == 1 { "10.9.9.9" } else { "127.0.0.1" };
    let url = format!("http://{host}:{}", told::address(0).port() + backend as u16).parse().expect("a URL");
    let spec = BackendSpec::new(told::name(backend), url, Kind::LlamaCpp, Source::Static);
    let entry = registry.add(spec).expect("each has its own name");
    let models = told::models(size, (0, backend));
    registry.update(&entry, Condition { status: Status::Healthy, models, slots: Some(4), ..Condition::default() });
    let mut lease = entry.begin().expect("it has slots");
    lease.answered(Duration::from_millis(300), true);
    drop(lease);
    for (count, at) in asked_at((0, backend)) {
        teach(&entry, &model_at(count), &told::read(at, prompt));
    }
    (0..2).map(|_| entry.begin().expect("a slot")).collect()
}

fn teach(entry: &Entry, model: &str, read: &[u64]) {
    let answer = Sample { answer: 300, rest: Duration::from_secs(6), ..Sample::default() };
    entry.learn(model, &Sample { prompt: 20, first: Duration::from_millis(120), ..answer });
    entry.learn(model, &Sample { prompt: 4_000, first: Duration::from_millis(2_100), ..answer });
    for hash in read {
        entry.has_read(model, &told::prompt_of(*hash));
    }
}

//! What a peer of the mesh tells of itself and of its backends, rounded and bounded as gossip does it: full digests, and
//! paces and loads of which several come out about alike.

use std::net::SocketAddr;
use std::sync::Arc;

use nexus::fleet::{
    BackendAbout, Digest, Kind, Load, MAX_HASHES, Mark, Model, ModelFacts, Pace, PeerId, Piece, Prefix, Residency,
    Status, Support, Tier, Zone,
};
use nexus::mesh::{Peer, PeerBackend};
use tokio::time::Instant;

use crate::cells::Size;
use crate::setting::{EACH, asked_at, model_at, others_at};

pub(crate) fn id(peer: usize) -> PeerId {
    PeerId::of_public_key(&peer.to_le_bytes())
}

pub(crate) fn name(backend: usize) -> String {
    format!("gpu-{backend}")
}

pub(crate) fn machine(peer: usize) -> String {
    format!("{:016x}{:016x}", scattered(peer as u64), scattered(!(peer as u64)))
}

/// Where the first backend of a peer listens.
pub(crate) fn address(peer: usize) -> SocketAddr {
    ([10, 0, (peer / 250) as u8, (peer % 250) as u8 + 1], 11_434).into()
}

/// A peer and all that it has.
pub(crate) fn peer(size: Size, number: usize, prompt: &Prefix, heard_at: Instant) -> Peer {
    let at = address(number);
    Peer {
        ledger: None,
        id: id(number),
        name: format!("machine-{number:03}"),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: 1,
        addresses: vec![SocketAddr::new(at.ip(), 8_001)],
        draining: false,
        left: false,
        started: 1_700_000_000_000,
        policies: String::new(),
        rejected: String::new(),
        clock_skew_ms: Some(0),
        heard_at,
        confirmed: true,
        rtt: None,
        reached_at: Some(at.ip()),
        unreachable: false,
        backends: (0..EACH).map(|backend| Arc::new(of_backend(size, (number, backend), prompt, heard_at))).collect(),
        sees: (0..size.peers).map(id).collect(),
        keys: None,
    }
}

fn of_backend(size: Size, place: (usize, usize), prompt: &Prefix, heard_at: Instant) -> PeerBackend {
    let (peer, backend) = place;
    let at = address(peer);
    let about = BackendAbout {
        name: name(backend),
        kind: kind(backend),
        zone: Zone::Restricted,
        tier: Tier::default(),
        priority: 50,
        status: Status::Healthy,
        suspect: false,
        endpoint: SocketAddr::new(at.ip(), at.port() + backend as u16).to_string(),
        near: true,
        machine: machine(peer),
    };
    let models = models(size, place);
    let facts = |(model, hashes): (String, Vec<u64>)| ModelFacts {
        model,
        pace: pace(peer, backend),
        digest: Arc::new(Digest::of(hashes)),
    };
    let asked = asked_at(place).map(|(count, at)| (model_at(count), read(at, prompt)));
    let others = others_at(size, place).enumerate();
    let others = others.map(|(index, model)| (model, unrelated((peer * EACH + backend) as u64 * 64 + index as u64)));
    let mut served: Vec<ModelFacts> = asked.chain(others).map(facts).collect();
    served.sort_by(|one, other| one.model.cmp(&other.model));
    let (load, breakers) = (load(peer, backend), Vec::new());
    PeerBackend { about, models, load, served, breakers, heard_at, load_heard_at: heard_at }
}

fn kind(backend: usize) -> Kind {
    [Kind::LlamaCpp, Kind::Ollama, Kind::Vllm, Kind::LmStudio][backend % EACH]
}

/// Every model of a backend, sorted by id.
pub(crate) fn models(size: Size, place: (usize, usize)) -> Vec<Arc<Model>> {
    let asked = asked_at(place).map(|(count, _)| model_at(count));
    let mut ids: Vec<String> = asked.chain(others_at(size, place)).collect();
    ids.sort();
    let model = |id: String| Model {
        context_length: Some(1_048_576),
        tools: Support::Yes,
        vision: Support::No,
        residency: if id.starts_with("llama") { Residency::Loaded } else { Residency::Unloaded },
        ..Model::named(id)
    };
    ids.into_iter().map(|id| Arc::new(model(id))).collect()
}

pub(crate) fn load(peer: usize, backend: usize) -> Load {
    let number = (peer + backend) as u32;
    Load {
        in_flight: number % 5,
        foreign: 0,
        queued: u32::from(number.is_multiple_of(5)),
        concurrency: Some(4),
        latency_ms: Some(100 + 10 * (number % 7)),
        ttft_ms: Some(300),
        service_ms: Some(6_000 + 500 * (number % 3)),
        tokens_per_second: Some(50.0),
        total: 1_200,
    }
}

fn pace(peer: usize, backend: usize) -> Pace {
    let is_fast = (peer + backend).is_multiple_of(3);
    Pace {
        first_ms: Some(120),
        prefill: Some(if is_fast { 3_200.0 } else { 1_900.0 }),
        decode: Some(if is_fast { 80.0 } else { 50.0 }),
        cold_ms: Some(8_000),
        answer: Some(300),
    }
}

/// What the place of this number has read of the model that is asked for: of `prompt` nothing, the system text, half of
/// it, or all but the last mark; and others, as many as are remembered.
pub(crate) fn read(at: usize, prompt: &Prefix) -> Vec<u64> {
    let marks = &prompt.marks;
    let system = marks.iter().position(|mark| mark.kind == Piece::System).map_or(0, |last| last + 1);
    let known = [0, system, marks.len() / 2, marks.len().saturating_sub(1)][at % 4];
    let before = Prefix { marks: marks[..known].to_vec(), ..*prompt };
    before.landmarks().into_iter().chain(unrelated(1 << 32 | at as u64)).take(MAX_HASHES).collect()
}

/// A full digest of prompts that nobody asks about, spread over all hashes.
fn unrelated(seed: u64) -> Vec<u64> {
    let steps = MAX_HASHES as u64;
    (0..steps).map(|step| step * (u64::MAX / steps) + (scattered(seed * steps + step) >> 8)).collect()
}

/// A prompt of one mark.
pub(crate) fn prompt_of(hash: u64) -> Prefix {
    Prefix { key: hash, explicit: false, marks: vec![Mark { hash, bytes: 1_024, kind: Piece::Message }] }
}

/// Splitmix: a number that looks like chance and is not.
fn scattered(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

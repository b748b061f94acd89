//! What each entry knows of each backend: its own exactly; the others as they were when there was news of them last, put
//! right or not by what it knows itself.

use std::sync::Arc;

use nexus::fleet::{Load, Pace, PeerId};
use nexus::registry::{Abroad, Away};
use tokio::time::Instant;

use super::backend::Backend;

/// What all entries know.
pub(super) struct Sight {
    /// By entry, then by backend.
    news: Vec<Vec<News>>,
    /// By entry.
    abroad: Vec<Arc<Abroad>>,
    /// By backend: its owner and its name.
    places: Vec<(PeerId, Arc<str>)>,
}

#[derive(Clone, Copy)]
struct News {
    known: Known,
    heard_at: Instant,
}

/// What is known of a backend.
#[derive(Clone, Copy)]
pub(super) struct Known {
    pub(super) load: Load,
    pub(super) pace: Pace,
}

impl Known {
    /// The truth of this moment.
    pub(super) fn of(backend: &Backend) -> Self {
        Known { load: backend.load(), pace: backend.pace() }
    }
}

impl Sight {
    /// Everybody has just heard of everybody.
    pub(super) fn new(entries: usize, backends: &[Backend], now: Instant) -> Self {
        let news = |backend| News { known: Known::of(backend), heard_at: now };
        Sight {
            news: vec![backends.iter().map(news).collect(); entries],
            abroad: (0..entries).map(|_| Arc::default()).collect(),
            places: (0..backends.len()).map(|at| (owner(at), at.to_string().into())).collect(),
        }
    }

    /// News of a backend have come to the entry.
    pub(super) fn hear(&mut self, entry: usize, backend: usize, known: Known, now: Instant) {
        self.news[entry][backend] = News { known, heard_at: now };
    }

    /// The entry sends a request to another owner; it is there until this is dropped.
    pub(super) fn send(&self, entry: usize, backend: usize) -> Away {
        let (peer, name) = &self.places[backend];
        self.abroad[entry].begin(peer, name)
    }

    /// The owner tells its load with a refusal or a reply.
    pub(super) fn told(&self, entry: usize, backend: usize, load: Load) {
        let (peer, name) = &self.places[backend];
        self.abroad[entry].told(peer, name, load);
    }

    /// What the entry takes every backend for: others' as the news have it, or put right.
    pub(super) fn known(&self, entry: usize, backends: &[Backend], puts_right: bool) -> Vec<Known> {
        let of = |at: usize| {
            let News { known, heard_at } = self.news[entry][at];
            let (peer, name) = &self.places[at];
            match at == entry {
                true => Known::of(&backends[at]),
                false if puts_right => {
                    Known { load: self.abroad[entry].corrected(peer, name, known.load, heard_at), ..known }
                }
                false => known,
            }
        };
        (0..backends.len()).map(of).collect()
    }
}

/// The peer that owns this backend.
pub(super) fn owner(backend: usize) -> PeerId {
    PeerId::from_text(format!("peer-{backend}"))
}

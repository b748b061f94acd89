//! What the mesh counts, for whoever shows it. Counting only: nothing decides by these numbers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::fleet::PeerId;

/// Peers whose forwards are counted apart.
const MAX_PEERS: usize = 1_024;

/// Numbers that only grow, since this node started.
#[derive(Debug, Default)]
pub struct Counters {
    gossip_sent: AtomicU64,
    gossip_received: AtomicU64,
    gossip_dropped: AtomicU64,
    facts_dropped: AtomicU64,
    forwards: Mutex<BTreeMap<(PeerId, &'static str), u64>>,
}

impl Counters {
    /// Bytes of gossip sent.
    pub fn gossip_sent(&self) -> u64 {
        self.gossip_sent.load(Ordering::Relaxed)
    }

    /// Bytes of gossip received.
    pub fn gossip_received(&self) -> u64 {
        self.gossip_received.load(Ordering::Relaxed)
    }

    /// Messages of gossip that nobody could be given: they are sent again with the next round.
    pub fn gossip_dropped(&self) -> u64 {
        self.gossip_dropped.load(Ordering::Relaxed)
    }

    /// Facts that were heard and not believed.
    pub fn facts_dropped(&self) -> u64 {
        self.facts_dropped.load(Ordering::Relaxed)
    }

    /// Requests sent to each peer, by how that ended: `answered`, `refused`, `silent`, `unreachable`, `lost`,
    /// `cancelled`.
    pub fn forwards(&self) -> Vec<(PeerId, &'static str, u64)> {
        let forwards = self.forwards.lock().unwrap_or_else(PoisonError::into_inner);
        forwards.iter().map(|((peer, result), count)| (peer.clone(), *result, *count)).collect()
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.gossip_sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.gossip_received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn gossip_lost(&self) {
        self.gossip_dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn fact_dropped(&self) {
        self.facts_dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn forwarded(&self, to: &PeerId, result: &'static str) {
        let mut forwards = self.forwards.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (to.clone(), result);
        if forwards.len() < MAX_PEERS || forwards.contains_key(&key) {
            *forwards.entry(key).or_default() += 1;
        }
    }
}

//! What the mesh counts, for whoever shows it. Counting only: nothing decides by these numbers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::fleet::PeerId;

/// A reply came.
pub(super) const ANSWERED: &str = "answered";

/// Peers whose forwards are counted apart.
const MAX_PEERS: usize = 1_024;

/// Numbers that only grow, since this node started.
#[derive(Debug, Default)]
pub struct Counters {
    gossip_sent: AtomicU64,
    gossip_received: AtomicU64,
    gossip_dropped: AtomicU64,
    facts_dropped: AtomicU64,
    forwards: Mutex<BTreeMap<PeerId, Forwards>>,
}

/// What was forwarded to one peer.
#[derive(Clone, Debug, Default)]
pub struct Forwards {
    results: BTreeMap<&'static str, u64>,
    refusals: BTreeMap<&'static str, u64>,
    /// Until the heads of replies came.
    pub answered: Durations,
}

/// How long things took, counted by what they took at most.
#[derive(Clone, Debug, Default)]
pub struct Durations {
    counts: [u64; Durations::BOUNDS.len() + 1],
    sum: Duration,
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

    /// What was sent to each peer.
    pub fn forwards(&self) -> BTreeMap<PeerId, Forwards> {
        self.forwards.lock().unwrap_or_else(PoisonError::into_inner).clone()
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

    /// `refusal` is the reason of one that was refused.
    pub(super) fn forwarded(&self, to: &PeerId, result: &'static str, refusal: Option<&'static str>, took: Duration) {
        let mut forwards = self.forwards.lock().unwrap_or_else(PoisonError::into_inner);
        if forwards.len() >= MAX_PEERS && !forwards.contains_key(to) {
            return;
        }
        let forwards = forwards.entry(to.clone()).or_default();
        *forwards.results.entry(result).or_default() += 1;
        if let Some(reason) = refusal {
            *forwards.refusals.entry(reason).or_default() += 1;
        }
        if result == ANSWERED {
            forwards.answered.note(took);
        }
    }
}

impl Forwards {
    /// How often each of these: `answered`, `refused`, `silent`, `unreachable`, `lost`, `cancelled`.
    pub fn by_result(&self) -> Vec<(&'static str, u64)> {
        self.results.iter().map(|(result, count)| (*result, *count)).collect()
    }

    /// How often it was refused for each reason.
    pub fn by_reason(&self) -> Vec<(&'static str, u64)> {
        self.refusals.iter().map(|(reason, count)| (*reason, *count)).collect()
    }

    /// Takes in what was sent to another peer that goes by the same name.
    pub fn absorb(&mut self, other: &Forwards) {
        let add = |to: &mut BTreeMap<&'static str, u64>, from: &BTreeMap<&'static str, u64>| {
            from.iter().for_each(|(what, count)| *to.entry(what).or_default() += count);
        };
        add(&mut self.results, &other.results);
        add(&mut self.refusals, &other.refusals);
        self.answered.counts.iter_mut().zip(other.answered.counts).for_each(|(to, from)| *to += from);
        self.answered.sum += other.answered.sum;
    }
}

impl Durations {
    /// Upper ends of what is counted together, in seconds. Whatever took longer is counted behind them.
    pub const BOUNDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

    /// How many took at most each of the bounds and longer than the one before; the last: longer than all of them.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// All together.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    fn note(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let at = Self::BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(Self::BOUNDS.len());
        self.counts[at] += 1;
        self.sum += took;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_forwarded_is_counted_by_peer_result_and_reason() {
        let counters = Counters::default();
        let peer = PeerId::from_text("a");
        counters.forwarded(&peer, ANSWERED, None, Duration::from_millis(1));
        counters.forwarded(&peer, ANSWERED, None, Duration::from_secs(90));
        counters.forwarded(&peer, "refused", Some("busy"), Duration::from_millis(3));
        let mut forwards = counters.forwards().remove(&peer).expect("counted");
        assert_eq!(forwards.by_result(), [(ANSWERED, 2), ("refused", 1)]);
        assert_eq!(forwards.by_reason(), [("busy", 1)]);
        assert_eq!(forwards.answered.sum(), Duration::from_millis(90_001));
        forwards.absorb(&forwards.clone());
        assert_eq!((forwards.answered.counts()[0], forwards.answered.counts()[12]), (2, 2));
        assert_eq!(forwards.by_result(), [(ANSWERED, 4), ("refused", 2)]);
    }
}

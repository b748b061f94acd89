//! The order in which requests wait: by priority, then in turns of the clients; and whose place is given up where no
//! more may wait. Pure.
//!
//! Turns are start-time fair queuing (Goyal, Vin, Cheng, SIGCOMM 1996) with every request of cost one: a client's next
//! request is tagged one later than the last of it that waits, but never earlier than what is served now.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Priority, Wish};

/// Where in the line a request stands. Lower goes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    priority: Priority,
    turn: u64,
    number: u64,
}

pub(super) struct Line<S> {
    waiting: BTreeMap<Rank, Waiting<S>>,
    served_turn: BTreeMap<Priority, u64>,
    next_number: u64,
}

struct Waiting<S> {
    backends: Vec<Arc<str>>,
    client: Arc<str>,
    grant: oneshot::Sender<S>,
}

/// A request in the line.
pub(super) struct Stand {
    pub(super) rank: Rank,
    /// Of those that wait for a backend of its own, how many stand before it.
    pub(super) before: usize,
    /// And how many behind it.
    pub(super) behind: usize,
}

impl<S> Default for Line<S> {
    fn default() -> Self {
        Line { waiting: BTreeMap::new(), served_turn: BTreeMap::new(), next_number: 0 }
    }
}

impl<S> Line<S> {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn waiting_for(&self, backend: &str) -> usize {
        self.waiting.values().filter(|waiting| waiting.wants(backend)).count()
    }

    pub(super) fn push(&mut self, wish: Wish, grant: oneshot::Sender<S>) -> Stand {
        let Wish { backends, priority, client } = wish;
        let is_its = |(rank, other): &(&Rank, &Waiting<S>)| rank.priority == priority && other.client == client;
        let last = self.waiting.iter().rev().find(is_its).map_or(0, |(rank, _)| rank.turn);
        let served = self.served_turn.get(&priority).copied().unwrap_or(0);
        let rank = Rank { priority, turn: last.max(served) + 1, number: self.next_number };
        self.next_number += 1;
        self.waiting.insert(rank.clone(), Waiting { backends, client, grant });
        let (before, behind) = self.around(&rank);
        Stand { rank, before, behind }
    }

    /// How many go before it that wait for a backend of its own, and how many behind it.
    pub(super) fn around(&self, rank: &Rank) -> (usize, usize) {
        let Some(Waiting { backends, .. }) = self.waiting.get(rank) else { return (0, 0) };
        let is_rival = |other: &Waiting<S>| backends.iter().any(|backend| other.wants(backend));
        let before = self.waiting.range(..rank).filter(|(_, other)| is_rival(other)).count();
        let from_it = self.waiting.range(rank..).filter(|(_, other)| is_rival(other)).count();
        (before, from_it.saturating_sub(1))
    }

    /// The place that is given up to a newcomer: the last of the client that has most to give up, where that has at
    /// least two more than the newcomer's. With one more the two would only change parts, and whoever asks last would
    /// win. What goes before the newcomer is not given up, but counts as the newcomer's own where it is.
    pub(super) fn make_room(&mut self, newcomer: &Wish) -> Option<oneshot::Sender<S>> {
        let own = self.waiting.values().filter(|waiting| waiting.client == newcomer.client).count();
        let may_yield = || self.waiting.iter().filter(|(rank, _)| rank.priority >= newcomer.priority);
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for (_, waiting) in may_yield() {
            *counts.entry(&waiting.client).or_default() += 1;
        }
        let counted = may_yield().map(|(rank, waiting)| (rank, counts[&*waiting.client]));
        // Of equals it is the last.
        let (rank, most) = counted.max_by_key(|(_, count)| *count)?;
        let rank = (most > own + 1).then(|| rank.clone())?;
        self.waiting.remove(&rank).map(|waiting| waiting.grant)
    }

    pub(super) fn first_for(&self, backend: &str) -> Option<Rank> {
        self.waiting.iter().find(|(_, waiting)| waiting.wants(backend)).map(|(rank, _)| rank.clone())
    }

    pub(super) fn grant(&mut self, rank: &Rank) -> Option<oneshot::Sender<S>> {
        let waiting = self.waiting.remove(rank)?;
        let served = self.served_turn.entry(rank.priority).or_default();
        *served = rank.turn.max(*served);
        Some(waiting.grant)
    }

    pub(super) fn remove(&mut self, rank: &Rank) {
        self.waiting.remove(rank);
    }
}

impl<S> Waiting<S> {
    fn wants(&self, backend: &str) -> bool {
        self.backends.iter().any(|name| **name == *backend)
    }
}

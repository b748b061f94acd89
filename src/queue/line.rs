//! The order in which requests wait: by priority, then in turns of the clients. Pure.
//!
//! Turns are start-time fair queuing (Goyal, Vin, Cheng, SIGCOMM 1996) with every request of cost one: a client's next
//! request is tagged one later than its last, but never earlier than what is served now.

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
    last_turn: HashMap<(Priority, Arc<str>), u64>,
    served_turn: u64,
    next_number: u64,
}

/// Turns that have passed are forgotten when there are more of them.
const MOST_PASSED: usize = 64;

struct Waiting<S> {
    backends: Vec<Arc<str>>,
    grant: oneshot::Sender<S>,
}

impl<S> Default for Line<S> {
    fn default() -> Self {
        Line { waiting: BTreeMap::new(), last_turn: HashMap::new(), served_turn: 0, next_number: 0 }
    }
}

impl<S> Line<S> {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn waiting_for(&self, backend: &str) -> usize {
        self.waiting.values().filter(|waiting| waiting.wants(backend)).count()
    }

    /// Its rank, and its position from 1.
    pub(super) fn push(&mut self, wish: Wish, grant: oneshot::Sender<S>) -> (Rank, usize) {
        let Wish { backends, priority, client } = wish;
        let last = self.last_turn.entry((priority, client)).or_default();
        let turn = (*last).max(self.served_turn) + 1;
        *last = turn;
        let rank = Rank { priority, turn, number: self.next_number };
        self.next_number += 1;
        let before = self.waiting.range(..&rank);
        let rivals = before.filter(|(_, other)| backends.iter().any(|backend| other.wants(backend))).count();
        self.waiting.insert(rank.clone(), Waiting { backends, grant });
        (rank, rivals + 1)
    }

    pub(super) fn first_for(&self, backend: &str) -> Option<Rank> {
        self.waiting.iter().find(|(_, waiting)| waiting.wants(backend)).map(|(rank, _)| rank.clone())
    }

    pub(super) fn grant(&mut self, rank: &Rank) -> Option<oneshot::Sender<S>> {
        let waiting = self.waiting.remove(rank)?;
        self.served_turn = self.served_turn.max(rank.turn);
        self.tidy();
        Some(waiting.grant)
    }

    pub(super) fn remove(&mut self, rank: &Rank) {
        self.waiting.remove(rank);
        self.tidy();
    }

    /// An empty line owes nobody a turn, and a turn that has passed holds nobody back: so what is remembered of clients
    /// is bounded by what waits.
    fn tidy(&mut self) {
        if self.waiting.is_empty() {
            self.last_turn.clear();
            self.served_turn = 0;
        } else if self.last_turn.len() > 2 * self.waiting.len() + MOST_PASSED {
            let served = self.served_turn;
            self.last_turn.retain(|_, turn| *turn > served);
        }
    }
}

impl<S> Waiting<S> {
    fn wants(&self, backend: &str) -> bool {
        self.backends.iter().any(|name| **name == *backend)
    }
}

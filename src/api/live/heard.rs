//! Which ends of requests were told to those who follow the mesh, so that one in which several peers have a part is told once.
//! The peer that its client asked knows best how it ended, and is waited for as long as it answers.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::api::ends::End;
use crate::exchange::RequestId;
use crate::fleet::PeerId;
use crate::gateway::History;

/// Requests that are remembered.
const MOST: usize = 16_384;

/// Ends that wait, and for how long.
const MOST_HELD: usize = 1_024;
const LONGEST_HELD: Duration = Duration::from_secs(30);

/// A request: the peer that its client asked, and its id.
pub(super) type Key = (PeerId, RequestId);

/// What was told of which request.
#[derive(Default)]
pub(super) struct Heard {
    marks: BTreeMap<Key, Mark>,
    /// As they were first told of.
    order: VecDeque<Key>,
    held: BTreeMap<Key, Held>,
}

/// What was told of a request.
#[derive(Clone, Copy, Default)]
struct Mark {
    /// Ends by peers that served it, for which the end by the peer that its client asked has not come yet.
    parts: u32,
    /// Whether an end by the latter was told.
    whole: bool,
}

/// An end that waits.
struct Held {
    end: End,
    until: Instant,
}

impl Heard {
    /// Whether the end of this peer's own part in a request of another peer is to be told.
    pub(super) fn own(&mut self, key: Key) -> bool {
        let mark = self.mark(key);
        if !mark.whole {
            mark.parts = mark.parts.saturating_add(1);
        }
        !mark.whole
    }

    /// What is to be told now that `end` is heard. Where it `waits`, that is for [`Heard::again`] to say.
    pub(super) fn hear(&mut self, end: End, waits: bool, now: Instant) -> Option<History> {
        let held = self.held.get(&end.key);
        if end.is_part {
            if held.is_some() || self.marks.contains_key(&end.key) {
                return None;
            }
        } else if held.is_some_and(|held| held.end.is_part) {
            self.held.remove(&end.key);
        }
        if !waits {
            return self.settle(end);
        }
        if self.held.len() >= MOST_HELD {
            // The peer that its client asked answers, so it will tell of it most likely.
            return if end.is_part { None } else { self.settle(end) };
        }
        let until = now + LONGEST_HELD;
        let before = self.held.insert(end.key.clone(), Held { end, until });
        before.and_then(|before| self.settle(before.end))
    }

    /// What is to be told of those that wait no longer.
    pub(super) fn again(&mut self, waits: impl Fn(&End) -> bool, now: Instant) -> Vec<History> {
        let is_over = |held: &Held| held.until <= now || !waits(&held.end);
        let over = self.held.iter().filter(|(_, held)| is_over(held)).map(|(key, _)| key.clone());
        let over: Vec<Key> = over.collect();
        let over: Vec<Held> = over.iter().filter_map(|key| self.held.remove(key)).collect();
        over.into_iter().filter_map(|held| self.settle(held.end)).collect()
    }

    /// Whether none waits.
    pub(super) fn holds_nothing(&self) -> bool {
        self.held.is_empty()
    }

    fn settle(&mut self, end: End) -> Option<History> {
        let End { key, is_part, entry } = end;
        let is_known = self.marks.contains_key(&key);
        let mark = self.mark(key);
        let is_news = if is_part { !is_known } else { mark.parts == 0 };
        match (is_part, is_news) {
            (true, true) => mark.parts = 1,
            (true, false) => {}
            (false, true) => mark.whole = true,
            (false, false) => mark.parts -= 1,
        }
        is_news.then_some(entry)
    }

    fn mark(&mut self, key: Key) -> &mut Mark {
        if !self.marks.contains_key(&key) {
            if self.order.len() == MOST
                && let Some(oldest) = self.order.pop_front()
            {
                self.marks.remove(&oldest);
            }
            self.order.push_back(key.clone());
        }
        self.marks.entry(key).or_default()
    }
}

#[cfg(test)]
mod tests;

//! What is worth one line in the log and not one per packet: strangers, malformed frames, facts nobody can believe. It
//! remembers who was complained about, for a minute; it does not punish anybody.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Silence about the same source and fault after a line was written.
const QUIET: Duration = Duration::from_secs(60);

/// Sources and faults remembered. While so many are fresh, further ones are not logged, and one line says so.
const MAX_REMEMBERED: usize = 256;

/// Who was complained about lately.
#[derive(Debug, Default)]
pub(super) struct Junk(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    remembered: BTreeMap<(String, &'static str), Instant>,
    /// When it was said last that there are too many.
    overflow: Option<Instant>,
}

/// What a fault is worth.
#[derive(Debug, PartialEq, Eq)]
enum Worth {
    /// A line.
    News,
    /// A line that there are too many to name.
    TooMany,
    /// Nothing: it was said.
    Nothing,
}

impl Junk {
    /// Logs that `source` did `fault`, unless it was logged within the last minute.
    pub(super) fn complain(&self, source: &str, fault: &'static str, detail: &dyn std::fmt::Display) {
        match self.worth(source, fault, Instant::now()) {
            Worth::News => {
                tracing::warn!(target: "nexus::mesh", event = "junk", source, fault, %detail, "{fault}: {source}");
            }
            Worth::TooMany => {
                tracing::warn!(target: "nexus::mesh", event = "junk_overflow", sources = MAX_REMEMBERED,
                    "more sources of junk than are remembered: further ones are not named for a minute");
            }
            Worth::Nothing => {}
        }
    }

    fn worth(&self, source: &str, fault: &'static str, now: Instant) -> Worth {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Memory { remembered, overflow } = &mut *memory;
        let is_fresh = |at: &Instant| now.duration_since(*at) < QUIET;
        let key = (source.to_owned(), fault);
        if remembered.get(&key).is_some_and(is_fresh) {
            return Worth::Nothing;
        }
        if remembered.len() >= MAX_REMEMBERED && !overflow.as_ref().is_some_and(is_fresh) {
            remembered.retain(|_, at| is_fresh(at));
        }
        if remembered.len() < MAX_REMEMBERED {
            remembered.insert(key, now);
            return Worth::News;
        }
        if overflow.as_ref().is_some_and(is_fresh) {
            return Worth::Nothing;
        }
        *overflow = Some(now);
        Worth::TooMany
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_fault_is_news_once_a_minute() {
        let (junk, start) = (Junk::default(), Instant::now());
        assert_eq!(junk.worth("10.0.0.1", "handshake", start), Worth::News);
        assert!((0..1_000).all(|_| junk.worth("10.0.0.1", "handshake", start) == Worth::Nothing));
        assert_eq!(junk.worth("10.0.0.1", "frame", start), Worth::News);
        assert_eq!(junk.worth("10.0.0.1", "handshake", start + QUIET), Worth::News);
    }

    /// It once went silent without a word.
    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_one_line_says_when_it_is_full() {
        let (junk, start) = (Junk::default(), Instant::now());
        let storm = |at: Instant| {
            let worth = (0..10_000).map(|number| junk.worth(&number.to_string(), "handshake", at));
            let (mut news, mut too_many) = (0, 0);
            for worth in worth {
                news += usize::from(worth == Worth::News);
                too_many += usize::from(worth == Worth::TooMany);
            }
            (news, too_many)
        };
        assert_eq!(storm(start), (MAX_REMEMBERED, 1));
        assert_eq!(storm(start + QUIET / 2), (0, 0));
        assert_eq!(storm(start + QUIET), (MAX_REMEMBERED, 1));
        assert_eq!(junk.0.lock().expect("not poisoned").remembered.len(), MAX_REMEMBERED);
    }
}

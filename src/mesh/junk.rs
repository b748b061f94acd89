//! What is worth one line in the log and not one per packet: strangers, malformed frames, facts nobody can believe. It
//! remembers who was complained about, for a minute; it does not punish anybody.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Silence about the same source and fault after a line was written.
const QUIET: Duration = Duration::from_secs(60);

/// Sources and faults remembered. While so many are fresh, further ones are not logged at all.
const MAX_REMEMBERED: usize = 256;

/// Who was complained about lately.
#[derive(Debug, Default)]
pub(super) struct Junk(Mutex<BTreeMap<(String, &'static str), Instant>>);

impl Junk {
    /// Logs that `source` did `fault`, unless it was logged within the last minute.
    pub(super) fn complain(&self, source: &str, fault: &'static str, detail: &dyn std::fmt::Display) {
        if self.is_news(source, fault, Instant::now()) {
            tracing::warn!(target: "nexus::mesh", event = "junk", source, fault, %detail, "{fault}: {source}");
        }
    }

    fn is_news(&self, source: &str, fault: &'static str, now: Instant) -> bool {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (source.to_owned(), fault);
        if remembered.get(&key).is_some_and(|at| now.duration_since(*at) < QUIET) {
            return false;
        }
        if remembered.len() >= MAX_REMEMBERED {
            remembered.retain(|_, at| now.duration_since(*at) < QUIET);
        }
        if remembered.len() >= MAX_REMEMBERED {
            return false;
        }
        remembered.insert(key, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_fault_is_news_once_a_minute_and_memory_is_bounded() {
        let (junk, start) = (Junk::default(), Instant::now());
        assert!(junk.is_news("10.0.0.1", "handshake", start));
        assert!((0..1_000).all(|_| !junk.is_news("10.0.0.1", "handshake", start)));
        assert!(junk.is_news("10.0.0.1", "frame", start));
        assert!(junk.is_news("10.0.0.1", "handshake", start + QUIET));
        for number in 0..10_000 {
            junk.is_news(&number.to_string(), "handshake", start + QUIET);
        }
        assert!(junk.0.lock().expect("not poisoned").len() <= MAX_REMEMBERED);
    }
}

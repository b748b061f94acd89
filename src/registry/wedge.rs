//! Whether a backend that takes requests has stopped to answer, before any of them has waited for as long as it may: two
//! streams at least wait for their first token, and for a good part of that time none has had one. Where it is so, nobody
//! sends it more; the first token that comes says otherwise. Counted by atomics: a request touches no lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// So many streams without a word are no accident.
pub(super) const LEAST_WAITING: u32 = 2;

/// This part of the time after which a backend must be stuck is enough to doubt it.
const PART: u32 = 4;

/// Of one backend.
pub(super) struct Wedge {
    born: Instant,
    /// Milliseconds from its birth: from then on it is doubted, if nothing is heard until then.
    doubted_at: AtomicU64,
    /// How long it has from one first token to the next, in milliseconds.
    every: AtomicU64,
}

impl Wedge {
    /// A stream is sent that is stuck `after` so long, while so many others wait for their first token.
    pub(super) fn sent(&self, after: Option<Duration>, waiting: u32) {
        let every = after.and_then(|after| u64::try_from((after / PART).as_millis()).ok()).unwrap_or(u64::MAX);
        self.every.store(every, Ordering::Relaxed);
        if waiting == 0 {
            self.doubted_at.store(self.now().saturating_add(every), Ordering::Relaxed);
        }
    }

    /// A first token is here.
    pub(super) fn heard(&self) {
        let at = self.now().saturating_add(self.every.load(Ordering::Relaxed));
        self.doubted_at.store(at, Ordering::Relaxed);
    }

    /// Whether so many that wait wait in vain.
    pub(super) fn is_wedged(&self, waiting: u32) -> bool {
        waiting >= LEAST_WAITING && self.now() >= self.doubted_at.load(Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Default for Wedge {
    fn default() -> Self {
        Wedge { born: Instant::now(), doubted_at: AtomicU64::new(u64::MAX), every: AtomicU64::new(u64::MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Option<Duration> = Some(Duration::from_secs(12));

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn two_that_wait_for_too_long_are_no_accident() {
        let wedge = Wedge::default();
        wedge.sent(AFTER, 0);
        pass(2).await;
        wedge.sent(AFTER, 1);
        assert!(!wedge.is_wedged(2), "not yet");
        pass(1).await;
        assert!(wedge.is_wedged(2) && !wedge.is_wedged(1), "one may be a hard case");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_heard_of_works_however_many_wait() {
        let wedge = Wedge::default();
        wedge.sent(AFTER, 0);
        for waiting in 1..20 {
            pass(2).await;
            wedge.sent(AFTER, waiting);
            wedge.heard();
            assert!(!wedge.is_wedged(waiting));
        }
        pass(3).await;
        assert!(wedge.is_wedged(2));
        wedge.heard();
        assert!(!wedge.is_wedged(2), "it speaks again");
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_can_tell_is_not_doubted() {
        let wedge = Wedge::default();
        wedge.sent(None, 0);
        wedge.sent(None, 1);
        pass(1_000_000).await;
        assert!(!wedge.is_wedged(9));
    }
}

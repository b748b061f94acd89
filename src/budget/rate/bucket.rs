//! A token bucket of one peer, for its share of a limit. It fills by that share, and holds no more than that share of a
//! tenth of a minute's worth: over all peers and any minute, a limit is passed by a tenth at most.

use std::time::Duration;

use tokio::time::Instant;

use crate::fleet::WHOLE;

/// What of a minute's worth may be taken at once.
const BURST: f64 = 0.1;

/// A bucket. What is in it is in requests, or in tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bucket {
    level: f64,
    at: Instant,
}

/// Why nothing is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Short {
    /// The share of this peer is too small to ever hold so much: it needs so many parts in all.
    Share(u64),
    /// There will be enough after this.
    Wait(Duration),
}

/// What may be taken at once of a limit, in the whole mesh: at least one request.
pub(super) fn burst(per_minute: f64) -> f64 {
    (per_minute * BURST).max(1.0)
}

#[expect(clippy::cast_precision_loss, reason = "2^53 parts are more than there are")]
fn part(share: u64) -> f64 {
    share as f64 / WHOLE as f64
}

impl Bucket {
    /// A bucket that was not there before is full. After a restart that is a tenth of a minute's worth too much at most.
    pub(super) fn begun(per_minute: f64, share: u64, now: Instant) -> Self {
        Bucket { level: burst(per_minute) * part(share), at: now }
    }

    fn fill(&mut self, per_minute: f64, share: u64, now: Instant) {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.level = (self.level + per_minute / 60.0 * part(share) * seconds).min(burst(per_minute) * part(share));
    }

    /// Takes `cost`. One that is larger than what may be taken at once waits for that, and is owed for the rest.
    ///
    /// # Errors
    /// There is not so much.
    pub(super) fn take(&mut self, per_minute: f64, share: u64, cost: f64, now: Instant) -> Result<(), Short> {
        self.fill(per_minute, share, now);
        let needed = cost.min(burst(per_minute));
        let full = burst(per_minute) * part(share);
        // What floats lose must not keep a full bucket from being full.
        if self.level + 1e-9 >= needed {
            self.level -= cost;
            return Ok(());
        }
        if full + 1e-9 < needed {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of what there is")]
            let parts = (needed / burst(per_minute) * WHOLE as f64).ceil() as u64;
            return Err(Short::Share(parts.min(WHOLE)));
        }
        let rate = per_minute / 60.0 * part(share);
        Err(Short::Wait(Duration::try_from_secs_f64((needed - self.level) / rate).unwrap_or(Duration::MAX)))
    }

    /// What was taken was more, or less.
    pub(super) fn correct(&mut self, more: f64) {
        self.level -= more;
    }

    /// Rights come, with what was in the bucket they come from.
    pub(super) fn add(&mut self, level: f64) {
        self.level += level;
    }

    /// `parts` of `share` go, and what is in the bucket goes with them. Nothing goes while something is owed.
    pub(super) fn give(&mut self, per_minute: f64, share: u64, parts: u64, now: Instant) -> Option<f64> {
        self.fill(per_minute, share, now);
        if self.level < 0.0 {
            return None;
        }
        let goes = if share == 0 { 0.0 } else { self.level * (part(parts) / part(share)).min(1.0) };
        self.level -= goes;
        Some(goes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_minute_passes_a_limit_by_a_tenth_at_most() {
        let start = Instant::now();
        let mut bucket = Bucket { level: burst(60.0), at: start };
        let mut taken = 0;
        for tenth in 0..600 {
            let now = start + SECOND / 10 * tenth;
            while bucket.take(60.0, WHOLE, 1.0, now).is_ok() {
                taken += 1;
            }
        }
        assert!((60..=66).contains(&taken), "{taken}");
    }

    #[tokio::test(start_paused = true)]
    async fn shares_together_are_one_bucket() {
        let start = Instant::now();
        let mut buckets = [WHOLE / 2, WHOLE / 3, WHOLE / 6].map(|share| (share, Bucket { level: 0.0, at: start }));
        let mut taken = 0;
        for second in 0..=600 {
            for (share, bucket) in &mut buckets {
                while bucket.take(600.0, *share, 1.0, start + SECOND * second).is_ok() {
                    taken += 1;
                }
            }
        }
        assert!((5_900..=6_060).contains(&taken), "{taken}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_short_says_how_long_or_how_much_of_a_share() {
        let start = Instant::now();
        let mut bucket = Bucket { level: 0.0, at: start };
        assert_eq!(bucket.take(60.0, WHOLE, 1.0, start), Err(Short::Wait(SECOND)));
        assert_eq!(bucket.take(60.0, WHOLE / 2, 1.0, start), Err(Short::Wait(SECOND * 2)));
        assert_eq!(bucket.take(60.0, 0, 1.0, start), Err(Short::Share(WHOLE.div_ceil(6))));
        assert_eq!(bucket.take(5.0, WHOLE / 2, 1.0, start), Err(Short::Share(WHOLE)), "one request needs it all");
        assert!(bucket.take(60.0, WHOLE, 1.0, start + SECOND).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_large_is_paid_for_afterwards_and_nothing_is_given_meanwhile() {
        let start = Instant::now();
        let mut bucket = Bucket { level: burst(6_000.0), at: start };
        bucket.take(6_000.0, WHOLE, 3_000.0, start).expect("the burst is there");
        assert_eq!(bucket.give(6_000.0, WHOLE, WHOLE / 2, start), None);
        let Err(Short::Wait(wait)) = bucket.take(6_000.0, WHOLE, 1.0, start) else { panic!("it is owed") };
        assert_eq!(wait.as_secs_f64().round() as u64, 24, "2400 are owed, 100 come a second");
        bucket.correct(-2_400.0);
        assert_eq!(bucket.give(6_000.0, WHOLE, WHOLE / 2, start), Some(0.0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_is_gone() {
        let start = Instant::now();
        let mut giver = Bucket { level: 6.0, at: start };
        let goes = giver.give(60.0, WHOLE, WHOLE / 2, start).expect("nothing is owed");
        assert_eq!((goes, giver.level), (3.0, 3.0));
        let mut taker = Bucket::begun(60.0, 0, start);
        taker.add(goes);
        assert!((0..3).all(|_| taker.take(60.0, WHOLE / 2, 1.0, start).is_ok()));
        assert!(taker.take(60.0, WHOLE / 2, 1.0, start).is_err());
    }
}

//! What share of the last requests failed, in two halves: the older one is forgotten when the newer one is full, so it
//! goes over at least as many requests as are needed to believe it, and at most twice as many. Pure.

/// Requests and those of them that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    older: Half,
    newer: Half,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Half {
    began: u64,
    failed: u32,
    all: u32,
}

/// What is older says nothing any more.
const FORGOTTEN_AFTER_MS: u64 = 60 * 60 * 1000;

/// More than this many requests are needed by nobody to believe a share.
const MOST_SAMPLES: u32 = 1_000_000;

impl Share {
    /// A request has ended.
    pub(super) fn push(&mut self, now: u64, failed: bool, min_samples: u32) {
        if self.newer.all >= half(min_samples) {
            self.older = std::mem::take(&mut self.newer);
        }
        if self.newer.all == 0 {
            self.newer.began = now;
        }
        self.newer.all += 1;
        self.newer.failed += u32::from(failed);
        self.forget(now);
    }

    /// Lets go of what is too old.
    pub(super) fn forget(&mut self, now: u64) {
        for part in [&mut self.older, &mut self.newer] {
            if now.saturating_sub(part.began) >= FORGOTTEN_AFTER_MS {
                *part = Half::default();
            }
        }
    }

    /// Whether none of the requests that are remembered failed.
    pub(super) fn is_spotless(&self) -> bool {
        self.older.failed + self.newer.failed == 0
    }

    /// Whether there are enough requests, and too many of them failed.
    pub(super) fn is_too_large(&self, threshold: f32, min_samples: u32) -> bool {
        let (failed, all) = (self.older.failed + self.newer.failed, self.older.all + self.newer.all);
        all >= half(min_samples) && reaches(failed, all, threshold)
    }
}

fn reaches(failed: u32, all: u32, threshold: f32) -> bool {
    // A threshold such as 0.6 is no binary fraction: six of ten reach it all the same.
    f64::from(failed) >= (f64::from(threshold) - 1e-6) * f64::from(all)
}

fn half(min_samples: u32) -> u32 {
    min_samples.clamp(1, MOST_SAMPLES)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `+` went well, `-` failed.
    fn after(requests: &str, min_samples: u32) -> Share {
        let mut share = Share::default();
        for (at, request) in (0..).zip(requests.bytes()) {
            share.push(at, request == b'-', min_samples);
        }
        share
    }

    #[test]
    fn a_share_is_believed_when_there_are_enough_requests() {
        for (requests, threshold, too_large) in [
            ("", 0.5, false),
            ("---------", 0.5, false),
            ("----------", 0.5, true),
            ("--+-+--+-+", 0.5, true),
            ("-+-+-+-+-+", 0.5, true),
            ("-+-+-+-+++", 0.5, false),
            ("-+-+-+-+-+", 0.6, false),
            ("--+-+--+-+", 0.6, true),
            ("----------", 1.0, true),
            ("---------+", 1.0, false),
            ("----------++++++++++----------", 0.5, true),
            ("----------++++++++++-+++++++++", 0.5, false),
        ] {
            assert_eq!(after(requests, 10).is_too_large(threshold, 10), too_large, "{requests} {threshold}");
        }
    }

    #[test]
    fn what_is_an_hour_old_is_forgotten() {
        let mut share = after("----------", 10);
        share.forget(FORGOTTEN_AFTER_MS - 1);
        assert!(share.is_too_large(0.5, 10));
        share.forget(FORGOTTEN_AFTER_MS + 9);
        assert!(share.is_spotless() && !share.is_too_large(0.5, 10));
    }

    proptest! {
        #[test]
        fn nothing_overflows_and_it_goes_over_the_last_requests_only(
            requests in proptest::collection::vec((any::<bool>(), 0_u64..1000), 0..300),
            min_samples in prop_oneof![0_u32..20, any::<u32>()],
            threshold in 0.01_f32..=1.0,
        ) {
            let (mut share, mut now) = (Share::default(), 0);
            for (failed, passed) in &requests {
                now += passed;
                share.push(now, *failed, min_samples);
            }
            let (need, most) = (half(min_samples) as usize, 2 * half(min_samples) as usize);
            let remembered = (share.older.all + share.newer.all) as usize;
            prop_assert!(remembered <= most && remembered >= requests.len().min(need));
            let last: Vec<bool> = requests.iter().rev().take(remembered).map(|(failed, _)| *failed).collect();
            let failed = last.iter().filter(|failed| **failed).count();
            prop_assert_eq!(share.is_spotless(), failed == 0);
            let too_large = remembered >= need && reaches(failed as u32, remembered as u32, threshold);
            prop_assert_eq!(share.is_too_large(threshold, min_samples), too_large);
        }
    }
}

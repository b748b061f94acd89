//! What `smart` makes of a candidate: priority, load and latency by weights, in whole numbers.

use super::Weights;
use super::world::Candidate;

/// The score of a candidate, 0 to 100, and what it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Score {
    /// 100 for priority 0, one less for each further one.
    pub priority: u32,
    /// 100 for no request pending, one less for each.
    pub load: u32,
    /// 100 for less than 10 ms, one less for each further 10 ms.
    pub latency: u32,
    /// The three by their weights.
    pub total: u32,
}

impl Score {
    /// Scores `candidate`. A latency that nobody measured counts as none.
    pub(super) fn of(candidate: &Candidate, weights: Weights) -> Self {
        let priority = 100 - candidate.priority.min(100);
        let load = 100 - candidate.pending().min(100);
        let latency = 100 - (candidate.load.latency_ms.unwrap_or(0) / 10).min(100);
        let weighted = u64::from(priority) * u64::from(weights.priority)
            + u64::from(load) * u64::from(weights.load)
            + u64::from(latency) * u64::from(weights.latency);
        let sum = u64::from(weights.priority) + u64::from(weights.load) + u64::from(weights.latency);
        let total = weighted.checked_div(sum).map_or(0, |total| total as u32);
        Score { priority, load, latency, total }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fleet::{Load, Zone};
    use crate::route::testing::candidate;

    fn score(priority: u32, pending: u32, latency_ms: Option<u32>, weights: Weights) -> Score {
        let mut candidate = candidate("b", Zone::Restricted, 1);
        candidate.priority = priority;
        candidate.load = Load { in_flight: pending, latency_ms, ..Load::default() };
        Score::of(&candidate, weights)
    }

    #[test]
    fn the_example_of_the_log_line() {
        let expected = Score { priority: 99, load: 100, latency: 100, total: 99 };
        assert_eq!(score(1, 0, None, Weights::default()), expected);
    }

    #[test]
    fn weights_that_sum_to_nothing_score_nothing() {
        assert_eq!(score(0, 0, None, Weights { priority: 0, load: 0, latency: 0 }).total, 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn it_is_the_formula_to_the_letter(
            priority in prop_oneof![0_u32..200, any::<u32>()],
            pending in prop_oneof![0_u32..200, any::<u32>()],
            latency in proptest::option::of(prop_oneof![0_u32..2000, any::<u32>()]),
            (wp, wl, wt) in prop_oneof![(0_u32..=100, 0_u32..=100, 0_u32..=100), any::<(u32, u32, u32)>()],
        ) {
            prop_assume!((wp, wl, wt) != (0, 0, 0));
            let p = i128::from(100 - i64::from(priority).min(100));
            let l = i128::from(100 - i64::from(pending).min(100));
            let t = i128::from(100 - (i64::from(latency.unwrap_or(0)) / 10).min(100));
            let sum = i128::from(wp) + i128::from(wl) + i128::from(wt);
            let total = (p * i128::from(wp) + l * i128::from(wl) + t * i128::from(wt)) / sum;
            let found = score(priority, pending, latency, Weights { priority: wp, load: wl, latency: wt });
            prop_assert_eq!(i128::from(found.total), total);
            prop_assert!(found.total <= 100);
        }
    }
}

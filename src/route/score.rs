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
    /// What a slow first byte takes away: nothing up to the threshold, all from twice the threshold on.
    pub penalty: u32,
    /// The three by their weights, less the penalty.
    pub total: u32,
}

impl Score {
    /// Half of it, for a place that costs while money is short.
    pub(super) fn halved(self) -> Self {
        Score { total: self.total / 2, ..self }
    }

    /// Scores `candidate`, whose first byte is slow from `slow_from_ms` on (0 = never). What nobody measured counts as
    /// fast.
    pub(super) fn of(candidate: &Candidate, weights: Weights, slow_from_ms: u32) -> Self {
        let priority = 100 - candidate.priority.min(100);
        let load = 100 - candidate.pending().min(100);
        let latency = 100 - (candidate.load.latency_ms.unwrap_or(0) / 10).min(100);
        let weighted = u64::from(priority) * u64::from(weights.priority)
            + u64::from(load) * u64::from(weights.load)
            + u64::from(latency) * u64::from(weights.latency);
        let sum = u64::from(weights.priority) + u64::from(weights.load) + u64::from(weights.latency);
        let whole = weighted.checked_div(sum).map_or(0, |total| total as u32);
        let penalty = penalty(whole, candidate.load.ttft_ms.unwrap_or(0), slow_from_ms);
        Score { priority, load, latency, penalty, total: whole - penalty }
    }
}

/// `score * min((ttft - threshold) / threshold, 1)`, and nothing below the threshold.
fn penalty(score: u32, ttft_ms: u32, slow_from_ms: u32) -> u32 {
    let beyond = ttft_ms.saturating_sub(slow_from_ms).min(slow_from_ms);
    let share = u64::from(score) * u64::from(beyond);
    share.checked_div(u64::from(slow_from_ms)).map_or(0, |penalty| penalty as u32)
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
        Score::of(&candidate, weights, 3000)
    }

    #[test]
    fn the_example_of_the_log_line() {
        let expected = Score { priority: 99, load: 100, latency: 100, penalty: 0, total: 99 };
        assert_eq!(score(1, 0, None, Weights::default()), expected);
    }

    #[test]
    fn a_slow_first_byte_costs_its_share_of_the_score() {
        for (ttft_ms, slow_from_ms, penalty, total) in [
            (None, 3000, 0, 99),
            (Some(3000), 3000, 0, 99),
            (Some(3001), 3000, 0, 99),
            (Some(4500), 3000, 49, 50),
            (Some(5999), 3000, 98, 1),
            (Some(6000), 3000, 99, 0),
            (Some(u32::MAX), 3000, 99, 0),
            (Some(u32::MAX), u32::MAX, 0, 99),
            (Some(2), 1, 99, 0),
            (Some(u32::MAX), 0, 0, 99),
        ] {
            let mut candidate = candidate("b", Zone::Restricted, 1);
            candidate.priority = 1;
            candidate.load.ttft_ms = ttft_ms;
            let score = Score::of(&candidate, Weights::default(), slow_from_ms);
            assert_eq!((score.penalty, score.total), (penalty, total), "{ttft_ms:?} {slow_from_ms}");
        }
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

        #[test]
        fn the_penalty_is_the_formula_to_the_letter(
            score in 0_u32..=100,
            ttft in prop_oneof![0_u32..20_000, any::<u32>()],
            threshold in prop_oneof![1_u32..10_000, 1_u32..],
        ) {
            let (s, t, from) = (i128::from(score), i128::from(ttft), i128::from(threshold));
            let wanted = if t > from { s * (t - from).min(from) / from } else { 0 };
            prop_assert_eq!(i128::from(penalty(score, ttft, threshold)), wanted);
            prop_assert!(penalty(score, ttft, threshold) <= score);
        }
    }
}

//! From a streak of checks to a status: pure.

use crate::fleet::Status;

/// How many checks in a row went one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Streak {
    good: u32,
    bad: u32,
}

impl Streak {
    pub(super) fn push(&mut self, good: bool) {
        *self = if good {
            Streak { good: self.good.saturating_add(1), bad: 0 }
        } else {
            Streak { good: 0, bad: self.bad.saturating_add(1) }
        };
    }

    /// The status that follows from `before`. The first check settles an unknown backend; later ones need a streak.
    pub(super) fn verdict(self, before: Status, failures: u32, recoveries: u32) -> Status {
        match before {
            Status::Unknown | Status::Unrecognised if self.good > 0 => Status::Healthy,
            Status::Unknown | Status::Unrecognised if self.bad > 0 => Status::Unhealthy,
            Status::Healthy if self.bad >= failures.max(1) => Status::Unhealthy,
            Status::Unhealthy if self.good >= recoveries.max(1) => Status::Healthy,
            same => same,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streaks_decide_and_single_slips_do_not() {
        use Status::{Healthy, Unhealthy, Unknown};
        for (checks, statuses) in [
            ("+", vec![Healthy]),
            ("-", vec![Unhealthy]),
            ("+--+", vec![Healthy, Healthy, Healthy, Healthy]),
            ("+---", vec![Healthy, Healthy, Healthy, Unhealthy]),
            ("-+++", vec![Unhealthy, Unhealthy, Healthy, Healthy]),
            ("-+-++", vec![Unhealthy, Unhealthy, Unhealthy, Unhealthy, Healthy]),
        ] {
            let (mut streak, mut status) = (Streak::default(), Unknown);
            let seen: Vec<Status> = checks
                .bytes()
                .map(|check| {
                    streak.push(check == b'+');
                    status = streak.verdict(status, 3, 2);
                    status
                })
                .collect();
            assert_eq!(seen, statuses, "{checks}");
        }
    }

    #[test]
    fn draining_is_not_for_checks_to_end() {
        let mut streak = Streak::default();
        streak.push(true);
        assert_eq!(streak.verdict(Status::Draining, 3, 2), Status::Draining);
    }
}

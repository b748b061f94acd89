//! How often what people set alarms on has happened to the budget, as seen by this peer since it was started.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Level;

/// How often, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// The soft limit was reached.
    pub soft_limit_reached: u64,
    /// The limit was reached.
    pub hard_limit_reached: u64,
    /// A month began.
    pub month_rollover: u64,
}

/// Counts them.
#[derive(Default)]
pub(super) struct EventCounts {
    soft: AtomicU64,
    hard: AtomicU64,
    months: AtomicU64,
}

impl EventCounts {
    /// What was spent rose past one limit, or both at once.
    pub(super) fn rose(&self, from: Level, to: Level) {
        let passed = |level| u64::from(from < level && level <= to);
        self.soft.fetch_add(passed(Level::SoftLimit), Ordering::Relaxed);
        self.hard.fetch_add(passed(Level::HardLimit), Ordering::Relaxed);
    }

    pub(super) fn month_began(&self) {
        self.months.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Events {
        Events {
            soft_limit_reached: self.soft.load(Ordering::Relaxed),
            hard_limit_reached: self.hard.load(Ordering::Relaxed),
            month_rollover: self.months.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_over_both_limits_reaches_both() {
        let counts = EventCounts::default();
        counts.rose(Level::Normal, Level::HardLimit);
        counts.rose(Level::SoftLimit, Level::HardLimit);
        assert_eq!(counts.get(), Events { soft_limit_reached: 1, hard_limit_reached: 2, month_rollover: 0 });
    }
}

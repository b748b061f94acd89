//! Everybody who is told what became of requests.

use std::sync::Arc;
use std::time::Duration;

use crate::advice::Advisor;
use crate::gateway::{Attempted, LimitOf, Record, Witness};
use crate::route::{Plan, Rule};
use crate::telemetry::Counters;

/// Tells each of them in turn.
pub(super) struct Witnesses {
    pub(super) counters: Arc<Counters>,
    pub(super) advisor: Arc<Advisor>,
}

impl Witness for Witnesses {
    fn ended(&self, record: &Record<'_>) {
        self.counters.ended(record);
        self.advisor.ended(record);
    }

    fn attempted(&self, attempted: &Attempted<'_>) {
        self.counters.attempted(attempted);
    }

    fn planned(&self, took: Duration, plan: &Plan) {
        self.counters.planned(took, plan);
    }

    fn measured(&self, rule: Rule, took: Duration) {
        self.counters.measured(rule, took);
    }

    fn limited(&self, whose: LimitOf, name: &str) {
        self.counters.limited(whose, name);
    }
}

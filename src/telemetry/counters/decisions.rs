//! What is counted of how requests are planned: how long it took, how often each part of routing said no, and how long each
//! took where that was measured.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{Histogram, IntCounter};

use super::{counter, histogram};
use crate::route::{Plan, Rule};

/// Upper ends of buckets, in seconds: 50 µs to 10 ms, and what is far quicker.
const SECONDS: [f64; 9] = [0.000_005, 0.000_02, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.005, 0.01];

/// Counts plans.
pub(super) struct Decisions {
    whole: Histogram,
    rules: [(Rule, IntCounter, Histogram); Rule::ALL.len()],
}

impl Decisions {
    /// Nothing was planned, and the families that it will be told in.
    pub(super) fn new() -> (Self, [Box<dyn Collector>; 3]) {
        let whole = histogram(
            "nexus_pipeline_duration_seconds",
            "Seconds that it took to plan where a request goes.",
            &[],
            &SECONDS,
        );
        let rules = histogram(
            "nexus_reconciler_duration_seconds",
            "Seconds that one part of routing took for all candidates of a request; of one request in 64.",
            &["reconciler"],
            &SECONDS,
        );
        let excluded = counter(
            "nexus_reconciler_exclusions_total",
            "Candidates that a part of routing left out of a plan.",
            &["reconciler"],
        );
        let of = |rule: Rule| {
            let label = &[rule.as_str()];
            (rule, excluded.with_label_values(label), rules.with_label_values(label))
        };
        let none: &[&str] = &[];
        let decisions = Decisions { whole: whole.with_label_values(none), rules: Rule::ALL.map(of) };
        (decisions, [Box::new(whole), Box::new(rules), Box::new(excluded)])
    }

    pub(super) fn planned(&self, took: Duration, plan: &Plan) {
        self.whole.observe(took.as_secs_f64());
        for rejection in &plan.rejections {
            let rule = rejection.rule();
            if let Some((_, excluded, _)) = self.rules.iter().find(|(known, ..)| *known == rule) {
                excluded.inc();
            }
        }
    }

    pub(super) fn measured(&self, rule: Rule, took: Duration) {
        if let Some((_, _, seconds)) = self.rules.iter().find(|(known, ..)| *known == rule) {
            seconds.observe(took.as_secs_f64());
        }
    }
}

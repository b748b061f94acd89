//! How money stands: the budget of the mesh, and client keys with limits.

use std::collections::BTreeMap;

use prometheus::proto::MetricFamily;

use super::family::{counter, gauge};
use crate::budget::{Events, Figures, Level};

pub(super) fn money(figures: &Figures, events: Events) -> Vec<MetricFamily> {
    let month = figures.month.to_string();
    let by_month = |name, help, value| gauge(name, help, &["billing_month"], [(vec![month.clone()], value)]);
    let plain = |name, help, value: Option<f64>| gauge(name, help, &[], value.map(|value| (vec![], value)));
    let level = match figures.status {
        Level::Normal => 0.0,
        Level::SoftLimit => 1.0,
        Level::HardLimit => 2.0,
    };
    let mut rights: BTreeMap<String, f64> = BTreeMap::new();
    for holder in &figures.holders {
        if let Some(usd) = holder.rights_usd {
            *rights.entry(holder.peer.clone()).or_default() += usd;
        }
    }
    let rights = rights.into_iter().map(|(peer, usd)| (vec![peer], usd));
    let mut families = [
        by_month("nexus_budget_spending_usd", "Spent in this month in the whole mesh, in USD.", figures.spent_usd),
        by_month(
            "nexus_budget_utilization_percent",
            "Percent of the monthly limit that was spent; 0 without a limit.",
            figures.utilization_percent,
        ),
        by_month("nexus_budget_status", "0: normal, 1: the soft limit is reached, 2: the limit is.", level),
        plain("nexus_budget_limit_usd", "What may be spent in a month, in USD.", figures.limit_usd),
        plain("nexus_budget_reserved_usd", "Set aside for calls under way, in USD.", Some(figures.reserved_usd)),
        gauge("nexus_budget_rights_usd", "What each peer may spend of the monthly limit, in USD.", &["peer"], rights),
    ]
    .concat();
    let happened = [
        ("soft_limit_reached", events.soft_limit_reached),
        ("hard_limit_reached", events.hard_limit_reached),
        ("month_rollover", events.month_rollover),
    ];
    families.extend(counter(
        "nexus_budget_events_total",
        "How often a limit was reached or a month began, as seen here.",
        &["event_type"],
        happened.map(|(event, times)| (vec![event.to_owned()], times)),
    ));
    families
}

pub(super) fn keys(figures: &Figures, usd: &BTreeMap<String, f64>) -> Vec<MetricFamily> {
    let month = figures.month.to_string();
    let samples = usd.iter().map(|(name, usd)| (vec![name.clone(), month.clone()], *usd));
    let help = "Spent and set aside in this month by a client key that has a limit, in the whole mesh, in USD.";
    gauge("nexus_key_spending_usd", help, &["key", "billing_month"], samples)
}

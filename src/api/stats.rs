//! `GET /v1/stats`: what this peer has done since it was started, and how its money and its queue stand, as JSON. Requests
//! and models are those of this peer's own clients, whoever served them; backends are this peer's own, whoever asked.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::query::Query;
use super::{Watch, respond, spending, sums};
use crate::budget::{Figures, Level};
use crate::fleet::Month;
use crate::registry::Entry;
use crate::telemetry::Counters;

#[derive(Serialize)]
pub(super) struct Stats {
    uptime_seconds: u64,
    requests: Requests,
    backends: Vec<BackendStats>,
    models: Vec<ModelStats>,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<BudgetStats>,
    keys: Vec<KeyStats>,
    queue: QueueStats,
}

#[derive(Serialize)]
struct Requests {
    total: u64,
    success: u64,
    errors: u64,
}

#[derive(Serialize)]
struct BackendStats {
    id: String,
    name: String,
    requests: u64,
    average_latency_ms: f64,
    pending: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_rate_1h: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avg_ttft_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    success_rate_24h: Option<f64>,
}

#[derive(Serialize)]
struct ModelStats {
    name: String,
    requests: u64,
    average_duration_ms: f64,
}

#[derive(Serialize)]
pub(super) struct BudgetStats {
    current_spending_usd: f64,
    reserved_usd: f64,
    /// `None` where nobody has set one.
    monthly_limit_usd: Option<f64>,
    utilization_percent: f64,
    status: Level,
    billing_month: Month,
    /// The figures are summed up whenever somebody asks.
    last_reconciliation: Option<String>,
    soft_limit_threshold: Option<f64>,
    hard_limit_action: Option<&'static str>,
    next_reset_date: String,
}

#[derive(Serialize)]
struct KeyStats {
    name: String,
    requests: u64,
    tokens: u64,
    spent_usd: Option<f64>,
    limit_usd: Option<f64>,
}

#[derive(Serialize)]
struct QueueStats {
    enabled: bool,
    depth: usize,
    max_size: usize,
    enqueued_total: u64,
    dequeued_total: u64,
    timeouts_total: u64,
}

pub(super) async fn show(State(watch): State<Arc<Watch>>, RawQuery(query): RawQuery) -> Response {
    match Query::read(query.as_deref(), &["scope"]).and_then(|query| query.is_of_mesh()) {
        Ok(true) => respond::json(StatusCode::OK, &*sums::of_mesh(&watch).await),
        Ok(false) => respond::json(StatusCode::OK, &own(&watch)),
        Err(fault) => respond::fault(&fault),
    }
}

/// What this peer has done.
pub(super) fn own(watch: &Watch) -> Stats {
    let snapshot = watch.view.registry.snapshot();
    let (success, errors) = watch.counters.requests();
    let figures = watch.view.treasury.as_ref().map(|treasury| treasury.figures());
    Stats {
        uptime_seconds: watch.view.started.elapsed().as_secs(),
        requests: Requests { total: success + errors, success, errors },
        backends: snapshot.entries.iter().map(|entry| backend(&watch.counters, entry)).collect(),
        models: models(&watch.counters),
        budget: figures.as_ref().filter(|figures| figures.limit_usd.is_some()).map(|figures| budget(figures, watch)),
        keys: keys(watch, figures.as_ref()),
        queue: queue(watch),
    }
}

fn backend(counters: &Counters, entry: &Entry) -> BackendStats {
    let counts = counters.backend(&entry.name);
    BackendStats {
        id: entry.spec.name.clone(),
        name: entry.spec.name.clone(),
        requests: counts.took.requests,
        average_latency_ms: counts.took.average_ms,
        pending: entry.load().in_flight,
        error_rate_1h: counts.error_rate_1h,
        avg_ttft_ms: counts.average_ttft_ms,
        success_rate_24h: counts.success_rate_24h,
    }
}

fn models(counters: &Counters) -> Vec<ModelStats> {
    let of = |(name, took): (std::sync::Arc<str>, crate::telemetry::Took)| ModelStats {
        name: name.to_string(),
        requests: took.requests,
        average_duration_ms: took.average_ms,
    };
    counters.models().into_iter().map(of).collect()
}

/// The money of the mesh, whether or not there is a limit; `None` where none can be spent.
pub(super) fn budget_of_mesh(watch: &Watch) -> Option<BudgetStats> {
    Some(budget(&watch.view.treasury.as_ref()?.figures(), watch))
}

fn budget(figures: &Figures, watch: &Watch) -> BudgetStats {
    let now = i64::try_from(watch.clock.unix_seconds()).ok();
    let stamp = now.and_then(|now| jiff::Timestamp::from_second(now).ok());
    BudgetStats {
        current_spending_usd: figures.spent_usd,
        reserved_usd: figures.reserved_usd,
        monthly_limit_usd: figures.limit_usd,
        utilization_percent: figures.utilization_percent,
        status: figures.status,
        billing_month: figures.month,
        last_reconciliation: stamp.map(|stamp| stamp.to_string()),
        soft_limit_threshold: figures.soft_limit_percent,
        hard_limit_action: figures.hard_limit_action.map(|action| action.as_str()),
        next_reset_date: figures.next_reset.clone(),
    }
}

/// Every key that is good. What one without a limit has spent, nobody counts.
fn keys(watch: &Watch, figures: Option<&Figures>) -> Vec<KeyStats> {
    let spending = figures.map(|figures| spending::by_name(&watch.keys, figures)).unwrap_or_default();
    let of = |(name, limit_usd): (String, Option<f64>)| {
        let counts = watch.counters.key(&name);
        let spent_usd = spending.get(&name).copied().or(limit_usd.map(|_| 0.0));
        KeyStats { requests: counts.requests, tokens: counts.tokens, spent_usd, limit_usd, name }
    };
    spending::limits(&watch.keys).into_iter().map(of).collect()
}

fn queue(watch: &Watch) -> QueueStats {
    let counts = watch.gateway.queue_counts();
    QueueStats {
        enabled: counts.max_size > 0,
        depth: counts.depth,
        max_size: counts.max_size,
        enqueued_total: counts.entered,
        dequeued_total: counts.granted,
        timeouts_total: counts.late,
    }
}

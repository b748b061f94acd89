//! `GET /v1/fleet/recommendations`: what the history of the mesh suggests to load or place where. Nothing is done by it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::recent::Recent;
use super::respond;
use crate::advice::{Advice, Advisor, Recommendation};
use crate::env::Clock;

/// What the handler speaks to.
#[derive(Clone)]
pub(super) struct Fleet {
    pub(super) advisor: Arc<Advisor>,
    pub(super) clock: Arc<dyn Clock>,
    /// The last advice: every peer is asked for it.
    pub(super) advice: Arc<Recent<(), Arc<Advice>>>,
}

pub(super) async fn show(State(Fleet { advisor, clock, advice }): State<Fleet>) -> Response {
    let asked = advisor.clone();
    let advice = advice.get((), async move { Arc::new(asked.advice().await) }).await;
    let now = clock.unix_seconds();
    let until = now.saturating_add(advisor.interval().as_secs());
    let list: Vec<Value> = advice.list.iter().map(|one| told(one, now, until)).collect();
    let body = json!({
        "recommendations": list,
        "fleet_enabled": advisor.is_enabled(),
        "generated_at": stamp(now),
        "history_days": advice.days,
        "missing_peers": advice.missing,
    });
    respond::json(StatusCode::OK, &body)
}

fn told(advice: &Recommendation, now: u64, until: u64) -> Value {
    let (peer, backend) = &advice.target;
    json!({
        "recommendation_id": advice.id,
        "step": advice.step.as_str(),
        "model_id": advice.model,
        "target_backend_ids": [backend],
        "target_peer": peer,
        "hour_utc": advice.hour,
        "confidence_score": advice.confidence,
        "expected_gain": {
            "seconds_per_day": advice.gain.seconds_per_day,
            "requests_per_day": advice.gain.requests_per_day,
        },
        "reasoning": advice.reasoning,
        "vram_required_bytes": advice.bytes,
        "generated_at": stamp(now),
        "expires_at": stamp(until),
    })
}

fn stamp(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or_default();
    jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string()
}

//! Lists of models as Anthropic's and Google's clients read them. Anthropic's ask on the same path as OpenAI's, and are told
//! apart by a header.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::models::{self, Seen};
use super::path::Rest;
use super::{View, respond};
use crate::dialect::Fault;
use crate::exchange::Dialect;
use crate::fleet::{Model, Support};

/// The list for a client that does not speak OpenAI's dialect; `None` where it does.
pub(super) fn list(view: &View, headers: &HeaderMap) -> Option<Response> {
    let list = match of(headers)? {
        Dialect::Anthropic => anthropic(view),
        _ => google(view),
    };
    Some(respond::json(StatusCode::OK, &list))
}

/// The same for one model.
pub(super) fn one(view: &View, headers: &HeaderMap, id: &str) -> Option<Response> {
    Some(one_in(view, of(headers)?, id))
}

/// `GET /v1beta/models`.
pub(super) async fn google_list(State(view): State<View>) -> Response {
    respond::json(StatusCode::OK, &google(&view))
}

/// `GET /v1beta/models/{model}`.
pub(super) async fn google_one(State(view): State<View>, Rest(id): Rest) -> Response {
    one_in(&view, Dialect::Google, &id)
}

fn of(headers: &HeaderMap) -> Option<Dialect> {
    if headers.contains_key("anthropic-version") {
        return Some(Dialect::Anthropic);
    }
    let is_googles = headers.contains_key("x-goog-api-key") || headers.contains_key("x-goog-api-client");
    is_googles.then_some(Dialect::Google)
}

fn one_in(view: &View, dialect: Dialect, id: &str) -> Response {
    let all = models::seen(view);
    match all.iter().find(|seen| seen.model.id == id) {
        Some(seen) if dialect == Dialect::Anthropic => {
            respond::json(StatusCode::OK, &anthropic_entry(&seen.model, view.created))
        }
        Some(seen) => respond::json(StatusCode::OK, &google_entry(&seen.model)),
        None => {
            let mut names: Vec<&str> = all.iter().map(|seen| seen.model.id.as_str()).collect();
            names.dedup();
            respond::fault_in(dialect, &Fault::model_not_found(id, names))
        }
    }
}

/// <https://docs.anthropic.com/en/api/models-list>
fn anthropic(view: &View) -> Value {
    let all = unique(view);
    let id = |seen: Option<&Seen>| seen.map(|seen| seen.model.id.clone());
    let data: Vec<Value> = all.iter().map(|seen| anthropic_entry(&seen.model, view.created)).collect();
    json!({ "data": data, "has_more": false, "first_id": id(all.first()), "last_id": id(all.last()) })
}

fn anthropic_entry(model: &Model, created: u64) -> Value {
    let created_at = jiff::Timestamp::from_second(i64::try_from(created).unwrap_or(0)).unwrap_or_default();
    let mut entry = json!({
        "type": "model", "id": model.id, "display_name": model.id, "created_at": created_at.to_string(),
        "lifecycle": "active",
    });
    if let Some(limit) = model.context_length {
        entry["max_input_tokens"] = limit.into();
    }
    if let Some(limit) = model.max_output_tokens {
        entry["max_tokens"] = limit.into();
    }
    entry
}

/// <https://ai.google.dev/api/models>
fn google(view: &View) -> Value {
    let models: Vec<Value> = unique(view).iter().map(|seen| google_entry(&seen.model)).collect();
    json!({ "models": models })
}

fn google_entry(model: &Model) -> Value {
    let methods: &[&str] = match model.embeddings {
        Support::Yes => &["embedContent", "batchEmbedContents"],
        _ => &["generateContent", "streamGenerateContent", "countTokens"],
    };
    let mut entry = json!({
        "name": format!("models/{}", model.id), "displayName": model.id, "supportedGenerationMethods": methods,
    });
    if let Some(limit) = model.context_length {
        entry["inputTokenLimit"] = limit.into();
    }
    if let Some(limit) = model.max_output_tokens {
        entry["outputTokenLimit"] = limit.into();
    }
    entry
}

fn unique(view: &View) -> Vec<Seen> {
    let mut all = models::seen(view);
    all.dedup_by(|later, first| later.model.id == first.model.id);
    all
}

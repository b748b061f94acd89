//! `/v1/models/load`, `DELETE /v1/models/{id}`, `/v1/models/migrate`, `/v1/operations`: models into memory and out of it,
//! on any backend of the mesh.

use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::path::Rest;
use super::{audit, respond};
use crate::dialect::Fault;
use crate::exchange::{Objection, ObjectionReason, Operation};
use crate::lifecycle::{Lifecycle, Move, Wish};

const STATUS: HeaderName = HeaderName::from_static("x-nexus-lifecycle-status");
const OPERATION: HeaderName = HeaderName::from_static("x-nexus-lifecycle-operation");

/// The largest body of a management call.
const BODY_LIMIT: usize = 64 << 10;

#[derive(Deserialize)]
struct Load {
    #[serde(alias = "model")]
    model_id: String,
    #[serde(default, alias = "backend")]
    backend_id: Option<String>,
    #[serde(default)]
    peer: Option<String>,
    #[serde(default)]
    pull: bool,
}

#[derive(Deserialize)]
struct Migrate {
    #[serde(alias = "model")]
    model_id: String,
    source_backend_id: String,
    target_backend_id: String,
    #[serde(default)]
    source_peer: Option<String>,
    #[serde(default)]
    target_peer: Option<String>,
    #[serde(default)]
    pull: bool,
}

pub(super) async fn load(State(lifecycle): State<Lifecycle>, request: Request) -> Response {
    let begun = async {
        let Load { model_id, backend_id, peer, pull } = read(request).await?;
        let wish = Wish { model: named("model_id", model_id)?, backend: backend_id, peer, pull };
        lifecycle.load(&wish).await.map_err(fault)
    };
    answer(begun.await, StatusCode::ACCEPTED, ("loading", "model_load"), |operation| {
        json!({
            "operation_id": operation.operation_id,
            "model_id": operation.model_id,
            "backend_id": operation.backend_id,
            "peer": operation.peer,
            "status": operation.status.as_str(),
        })
    })
}

pub(super) async fn unload(State(lifecycle): State<Lifecycle>, Rest(model): Rest, uri: http::Uri) -> Response {
    let query = |key: &str| {
        let mut pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        pairs.find(|(name, _)| name == key).map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())
    };
    let (backend, peer) = (query("backend_id").or_else(|| query("backend")), query("peer"));
    let ended = lifecycle.unload(&Wish { model, backend, peer, pull: false }).await.map_err(fault);
    answer(ended, StatusCode::OK, ("completed", "model_unload"), |operation| {
        json!({
            "operation_id": operation.operation_id,
            "model_id": operation.model_id,
            "backend_id": operation.backend_id,
            "peer": operation.peer,
            "status": operation.status.as_str(),
            // No server of any kind says so.
            "vram_free_bytes": null,
            "vram_free_gb": null,
        })
    })
}

pub(super) async fn migrate(State(lifecycle): State<Lifecycle>, request: Request) -> Response {
    let begun = async {
        let Migrate { model_id, source_backend_id, target_backend_id, source_peer, target_peer, pull } =
            read(request).await?;
        let wish = Move {
            model: named("model_id", model_id)?,
            source: (source_backend_id, source_peer),
            target: (target_backend_id, target_peer),
            pull,
        };
        lifecycle.migrate(&wish).await.map_err(fault)
    };
    answer(begun.await, StatusCode::ACCEPTED, ("migrating", "model_migrate"), |operation| {
        let Operation { operation_id, model_id, backend_id, source_backend_id, .. } = operation;
        let source = source_backend_id.as_deref().unwrap_or_default();
        json!({
            "operation_id": operation_id,
            "model_id": model_id,
            "source_backend_id": source,
            "target_backend_id": backend_id,
            "status": operation.status.as_str(),
            "message": format!("{model_id} moves from {source} to {backend_id}: {source} serves until {backend_id} has it"),
        })
    })
}

pub(super) async fn one(State(lifecycle): State<Lifecycle>, Rest(id): Rest) -> Response {
    match lifecycle.operation(&id).await {
        Ok(operation) => respond::json(StatusCode::OK, &operation),
        Err(objection) => respond::fault(&fault(objection)),
    }
}

pub(super) async fn list(State(lifecycle): State<Lifecycle>) -> Response {
    respond::json(StatusCode::OK, &json!({ "operations": lifecycle.operations().await }))
}

async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Fault> {
    let (_, body) = respond::whole_body_of(request, BODY_LIMIT).await?;
    serde_json::from_slice(&body).map_err(|error| Fault::bad_request(format!("Invalid request: {error}")))
}

fn named(key: &str, name: String) -> Result<String, Fault> {
    if name.trim().is_empty() { Err(Fault::bad_request(format!("`{key}` is required"))) } else { Ok(name) }
}

fn answer(
    result: Result<Operation, Fault>,
    status: StatusCode,
    (word, action): (&'static str, &'static str),
    body: impl Fn(&Operation) -> Value,
) -> Response {
    let operation = match result {
        Ok(operation) => operation,
        Err(fault) => return respond::fault(&fault),
    };
    let mut response = respond::json(status, &body(&operation));
    response.headers_mut().insert(STATUS, HeaderValue::from_static(word));
    if let Ok(id) = HeaderValue::from_str(&operation.operation_id) {
        response.headers_mut().insert(OPERATION, id);
    }
    let Operation { model_id, backend_id, peer, .. } = &operation;
    audit::deed(&mut response, action, format!("{model_id} on {backend_id} of {peer}"));
    response
}

fn fault(objection: Objection) -> Fault {
    let Objection { reason, message } = objection;
    match reason {
        ObjectionReason::Senseless => Fault::bad_request(message),
        ObjectionReason::Forbidden => Fault::forbidden(message),
        ObjectionReason::Unknown => Fault::not_found(message),
        ObjectionReason::Busy => Fault::conflict(message),
        ObjectionReason::Impossible => Fault::not_offered(message),
        ObjectionReason::Failed => Fault::backend_failed(message),
    }
}

//! `POST /nexus/v1/explain`: a chat request in, the plan for it out. Nothing is sent to a backend.

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;

use super::{Inference, openai, respond};
use crate::exchange::{Endpoint, RequestId};

pub(super) async fn explain(
    State(inference): State<Inference>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Response {
    match openai::read(&inference, Endpoint::ChatCompletions, id, request).await {
        Ok(request) => match inference.gateway.explain(&request) {
            Ok(plan) => respond::json(StatusCode::OK, &plan),
            Err(fault) => respond::fault(&fault),
        },
        Err(response) => response,
    }
}

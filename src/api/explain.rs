//! `POST /nexus/v1/explain`: a chat request in, the plan for it out. Nothing is sent to a backend.

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;

use super::{Inference, infer, respond};
use crate::exchange::{Endpoint, RequestId};

pub(super) async fn explain(
    State(inference): State<Inference>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Response {
    match infer::read(&inference, Endpoint::ChatCompletions, None, id, request).await {
        Ok(request) => match inference.gateway.explain(&request) {
            Ok(plan) => respond::json(StatusCode::OK, &plan),
            Err(fault) => respond::fault(&fault),
        },
        Err(response) => response,
    }
}

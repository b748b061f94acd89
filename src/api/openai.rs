//! OpenAI's inference endpoints: the body is read once, the gateway does the rest.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use tracing::warn;

use super::Inference;
use super::Source;
use super::respond;
use crate::dialect::Fault;
use crate::exchange::{self, Endpoint, Origin, RequestId, visited};

pub(super) async fn chat_completions(
    State(inference): State<Inference>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Response {
    infer(inference, Endpoint::ChatCompletions, id, request).await
}

pub(super) async fn completions(
    State(inference): State<Inference>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Response {
    infer(inference, Endpoint::Completions, id, request).await
}

pub(super) async fn embeddings(
    State(inference): State<Inference>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Response {
    infer(inference, Endpoint::Embeddings, id, request).await
}

async fn infer(inference: Inference, endpoint: Endpoint, id: RequestId, request: Request) -> Response {
    match read(&inference, endpoint, id, request).await {
        Ok(request) => inference.gateway.clone().handle(request).await.map(Body::new),
        Err(response) => response,
    }
}

/// A client's request, whole, with whoever its key names.
///
/// # Errors
/// The refusal to send.
pub(super) async fn read(
    inference: &Inference,
    endpoint: Endpoint,
    id: RequestId,
    request: Request,
) -> Result<exchange::Request, Response> {
    let caller = match &inference.keys {
        Some(keys) => match keys.caller(request.headers()) {
            Ok(caller) => Some(caller),
            Err(fault) => return Err(respond::fault(&fault)),
        },
        None => None,
    };
    let (parts, body) = match respond::whole_body_of(request, inference.max_body).await {
        Ok(read) => read,
        Err(fault) => return Err(respond::fault(&fault)),
    };
    let mut headers = parts.headers;
    let client = match (&caller, parts.extensions.get::<Source>()) {
        (Some(caller), _) => caller.name.as_str().into(),
        (None, Some(Source(address))) => address.ip().to_canonical().to_string().into(),
        (None, None) => "".into(),
    };
    if caller.is_some() {
        // A key of this mesh is nobody else's business.
        headers.remove(http::header::AUTHORIZATION);
    }
    if let Err(circle) = visited::enter(&mut headers, &inference.node) {
        let fault = Fault::loop_detected(circle.backend.as_deref(), circle.node.as_deref());
        warn!(request_id = %id, backend = circle.backend.as_deref(), "Request goes in a circle: {}", fault.message);
        return Err(respond::fault(&fault));
    }
    Ok(exchange::Request { id, endpoint, headers, body, origin: Origin::Client, client, caller })
}

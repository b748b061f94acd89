//! The inference endpoints of every dialect: the body is read once, the gateway does the rest. Errors are told in the
//! dialect of the endpoint.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{MethodRouter, post};
use tokio::time::timeout;
use tracing::warn;

use super::path::Rest;
use super::{Inference, Source, respond};
use crate::dialect::Fault;
use crate::exchange::headers::CREDENTIALS;
use crate::exchange::{self, Caller, Dialect, Endpoint, Origin, RequestId, visited};

/// How long a request that costs waits until this node knows the client keys of its mesh.
const INTRODUCED: Duration = Duration::from_secs(15);

/// `POST` to an endpoint whose body names the model.
pub(super) fn ask(endpoint: Endpoint) -> MethodRouter<Inference> {
    post(move |State(inference): State<Inference>, Extension(id): Extension<RequestId>, request: Request| async move {
        infer(inference, endpoint, None, id, request).await
    })
}

/// `POST …/models/{model}:{verb}`, as Google's clients ask. A model's name may hold `/` and `:` itself: the verb stands behind
/// the last one.
pub(super) async fn google(
    State(inference): State<Inference>,
    Extension(id): Extension<RequestId>,
    Rest(rest): Rest,
    request: Request,
) -> Response {
    let is_sse = request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
    let asked = rest.rsplit_once(':').and_then(|(model, verb)| {
        let endpoint = match verb {
            "generateContent" => Endpoint::GenerateContent,
            "streamGenerateContent" if is_sse => Endpoint::StreamContent,
            "streamGenerateContent" => Endpoint::StreamContentArray,
            "countTokens" => Endpoint::CountContent,
            "embedContent" => Endpoint::EmbedContent,
            "batchEmbedContents" => Endpoint::BatchEmbedContents,
            _ => return None,
        };
        Some((model.strip_prefix("models/").unwrap_or(model).to_owned(), endpoint))
    });
    match asked.filter(|(model, _)| !model.trim().is_empty()) {
        Some((model, endpoint)) => infer(inference, endpoint, Some(model), id, request).await,
        None if request.uri().path().starts_with("/v1/") => {
            respond::fault(&Fault::method_not_allowed("POST", request.uri().path()))
        }
        None => {
            let fault = Fault::not_found(format!(
                "There is no POST {} here: ask models/MODEL:generateContent, :streamGenerateContent, :countTokens, \
                 :embedContent or :batchEmbedContents",
                request.uri().path()
            ));
            respond::fault_in(Dialect::Google, &fault)
        }
    }
}

async fn infer(
    inference: Inference,
    endpoint: Endpoint,
    model: Option<String>,
    id: RequestId,
    request: Request,
) -> Response {
    let awaits = inference.keys.ring().awaits_mesh();
    let query = awaits.then(|| request.uri().query().map(str::to_owned)).flatten();
    let mut request = match read(&inference, endpoint, model, id, request).await {
        Ok(request) => request,
        Err(response) => return response,
    };
    if awaits && inference.gateway.is_barred_as_stranger(&request) {
        let _ = timeout(INTRODUCED, inference.keys.ring().settled()).await;
        match inference.keys.caller(&request.headers, query.as_deref()) {
            Ok(caller) => introduce(&mut request, caller),
            Err(fault) => return respond::fault_in(endpoint.dialect(), &fault),
        }
    }
    inference.gateway.clone().handle(request).await.map(Body::new)
}

/// Writes down who asks. A key of this mesh is nobody else's business.
fn introduce(request: &mut exchange::Request, caller: Option<Arc<Caller>>) {
    if let Some(caller) = caller.as_ref().filter(|caller| !caller.is_stranger) {
        request.client = caller.name.as_str().into();
        CREDENTIALS.iter().for_each(|name| drop(request.headers.remove(name)));
    }
    request.caller = caller;
}

/// A client's request, whole, with whoever its key names. `model` is the one that the path names, where it does.
///
/// # Errors
/// The refusal to send.
pub(super) async fn read(
    inference: &Inference,
    endpoint: Endpoint,
    model: Option<String>,
    id: RequestId,
    request: Request,
) -> Result<exchange::Request, Response> {
    let refuse = |fault: &Fault| respond::fault_in(endpoint.dialect(), fault);
    let caller = inference.keys.caller(request.headers(), request.uri().query()).map_err(|fault| refuse(&fault))?;
    let (parts, body) = match respond::whole_body_of(request, inference.max_body).await {
        Ok(read) => read,
        Err(fault) => return Err(refuse(&fault)),
    };
    let mut headers = parts.headers;
    let source = parts.extensions.get::<Source>();
    let client = source.map_or("".into(), |Source(address)| address.ip().to_canonical().to_string().into());
    if let Err(circle) = visited::enter(&mut headers, &inference.node) {
        let fault = Fault::loop_detected(circle.backend.as_deref(), circle.node.as_deref());
        warn!(request_id = %id, backend = circle.backend.as_deref(), "Request goes in a circle: {}", fault.message);
        return Err(refuse(&fault));
    }
    let model = model.map(Into::into);
    let mut request =
        exchange::Request { id, endpoint, model, headers, body, origin: Origin::Client, client, caller: None };
    introduce(&mut request, caller);
    Ok(request)
}

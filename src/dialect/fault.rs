//! Errors: what is told of every refusal. How a dialect writes it, whole or inside a stream, is in `shape`; what a backend
//! wrote is read in `told`. What went wrong is decided elsewhere; no message here holds a URL, a key or a word of a prompt.

mod shape;
mod told;

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::exchange::{Dialect, Endpoint, Refusal, text};

/// An error as a client sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The HTTP status.
    pub status: StatusCode,
    /// `error.code`.
    pub code: Cow<'static, str>,
    /// `error.type`.
    pub kind: Cow<'static, str>,
    /// `error.message`: what is wrong, and where possible what to change.
    pub message: String,
    /// `error.param`.
    pub param: Option<Cow<'static, str>>,
    /// What a program may want to know besides.
    pub context: Option<Value>,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
}

const CLIENT: &str = "invalid_request_error";
const SERVER: &str = "server_error";
const POLICY: &str = "service_unavailable";
const LIMITED: &str = "rate_limit_error";

/// How many model names a 404 lists at most.
const MAX_LISTED: usize = 50;

/// How much of a name that a client chose is repeated to it, in characters.
const MAX_NAME: usize = 256;

/// A name as it stands in a message.
fn shown(name: &str) -> &str {
    text::cut(name, MAX_NAME)
}

impl Fault {
    fn new(status: StatusCode, code: &'static str, kind: &'static str, message: impl Into<String>) -> Self {
        let (code, kind) = (code.into(), kind.into());
        Fault { status, code, kind, message: message.into(), param: None, context: None, retry_after: None }
    }

    /// The body or the headers are no request.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", CLIENT, message)
    }

    /// No backend of that model can ever satisfy the request.
    pub fn capability_mismatch(model: &str, missing: &[&str]) -> Self {
        let model = shown(model);
        let message = format!("Model '{model}' lacks required capabilities: {missing:?}");
        Self::new(StatusCode::BAD_REQUEST, "capability_mismatch", CLIENT, message)
    }

    /// The same, where the request is too long for it: about `needed` tokens, where at most `most` are held. `fitting` names
    /// the models that would hold it.
    #[must_use]
    pub fn too_long(mut self, needed: u64, most: u64, fitting: &[&str]) -> Self {
        let fitting: Vec<&str> = fitting.iter().copied().take(MAX_LISTED).collect();
        let advice = match fitting.is_empty() {
            true => "Shorten it".to_owned(),
            false => format!("Shorten it, or ask for one that holds it: {}", fitting.join(", ")),
        };
        self.message.push_str(&format!(". The request needs about {needed} tokens, and {most} are held. {advice}"));
        self.with_context(json!({ "needed_tokens": needed, "held_tokens": most, "fitting_models": fitting }))
    }

    /// Who asks has not shown who it is.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_api_key", CLIENT, message)
    }

    /// Who asks may not.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", CLIENT, message)
    }

    /// Nobody in the mesh knows the model. `available` is listed as it comes.
    pub fn model_not_found<'a>(model: &str, available: impl IntoIterator<Item = &'a str>) -> Self {
        let model = shown(model);
        let mut names = available.into_iter();
        let listed: Vec<&str> = names.by_ref().take(MAX_LISTED).collect();
        let more = if names.next().is_some() { ", ..." } else { "" };
        let message = if listed.is_empty() {
            format!("Model '{model}' not found. No models available")
        } else {
            format!("Model '{model}' not found. Available: {}{more}", listed.join(", "))
        };
        let fault = Self::new(StatusCode::NOT_FOUND, "model_not_found", CLIENT, message);
        Fault { param: Some("model".into()), ..fault }
    }

    /// Nobody that is known has the model, but `unchecked` backends of this peer have not said yet what they have.
    pub fn not_known_yet(model: &str, unchecked: usize) -> Self {
        let model = shown(model);
        let backends = match unchecked {
            1 => "1 backend of this peer has".to_owned(),
            _ => format!("{unchecked} backends of this peer have"),
        };
        let message = format!("Model '{model}' is not known here yet: {backends} not been checked. Try again shortly");
        Self::unavailable(SERVER, message).retry_after(1)
    }

    /// There is no such path or thing.
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", CLIENT, what)
    }

    /// There is such a thing elsewhere, but not here.
    pub fn not_offered(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "not_implemented", CLIENT, what)
    }

    /// The path exists, but not for this method.
    pub fn method_not_allowed(method: &str, path: &str) -> Self {
        let message = format!("{method} is not allowed on {path}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", CLIENT, message)
    }

    /// It contradicts what is there already.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", CLIENT, message)
    }

    /// Somebody else has changed it meanwhile.
    pub fn precondition(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "conflict", CLIENT, message)
    }

    /// The body is larger than `limit` bytes.
    pub fn body_too_large(limit: usize) -> Self {
        let message = format!("The request body is larger than {limit} bytes (server.max_body_mb)");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", CLIENT, message)
    }

    /// The client sent nothing for `seconds` in the middle of its request.
    pub fn request_timeout(seconds: u64) -> Self {
        let message = format!("The request stopped in the middle: nothing came for {seconds} s");
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", CLIENT, message)
    }

    /// The client's request was still coming after `seconds`, too long for its size.
    pub fn request_too_slow(seconds: u64) -> Self {
        let message = format!("The request came too slowly: it was not complete after {seconds} s");
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", CLIENT, message)
    }

    /// All attempts failed before the first byte. `cause` says how the last one did.
    pub fn bad_gateway(model: &str, attempts: usize, cause: &str) -> Self {
        let model = shown(model);
        let tries = if attempts == 1 { "1 attempt".to_owned() } else { format!("{attempts} attempts") };
        let message = format!("No backend answered for model '{model}' after {tries}: {cause}");
        Self::new(StatusCode::BAD_GATEWAY, "bad_gateway", SERVER, message)
    }

    /// A backend, or the peer that owns it, failed at what it was told to do.
    pub fn backend_failed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "bad_gateway", SERVER, message)
    }

    /// The request has been here before: a backend leads back to this node. `backend` is its name, `node` the id of the
    /// node it belongs to where that is another one.
    pub fn loop_detected(backend: Option<&str>, node: Option<&str>) -> Self {
        let message = match (backend, node) {
            (Some(name), None) => format!(
                "Backend '{name}' of this node leads back to this node: `nexus backends remove {name}` removes it. \
                 To use what another node has, `nexus mesh join` it."
            ),
            (Some(name), Some(node)) => format!(
                "Backend '{name}' of node {node} leads back to this node: remove it there. To use what another node \
                 has, `nexus mesh join` it."
            ),
            _ => "The request goes in a circle of nodes that are each other's backends: remove these backends and \
                  `nexus mesh join` the nodes instead."
                .to_owned(),
        };
        Self::new(StatusCode::LOOP_DETECTED, "loop_detected", SERVER, message)
    }

    /// A stream that had begun was cut. `cause` says how.
    pub fn stream_cut(cause: &str) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "bad_gateway", SERVER, format!("The stream was cut: {cause}"))
    }

    /// The model is known, but no healthy backend has it now.
    pub fn no_healthy_backend(model: &str, context: Value) -> Self {
        let model = shown(model);
        let message = format!("No healthy backends available for model '{model}'");
        Self::unavailable(SERVER, message).with_context(context)
    }

    /// Healthy backends have the model, but policies leave none: `rejected_by` names their kinds.
    pub fn rejected_by_policy(model: &str, rejected_by: &str, context: Value) -> Self {
        let model = shown(model);
        let message = format!("No backend may serve model '{model}': rejected by {rejected_by}");
        Self::unavailable(POLICY, message).with_context(context)
    }

    /// The money of a client's key is used up.
    pub fn insufficient_quota(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "insufficient_quota", "insufficient_quota", message)
    }

    /// A client's key allows no more in this minute; in `seconds` it does again.
    pub fn rate_limited(message: impl Into<String>, seconds: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", LIMITED, message).retry_after(seconds)
    }

    /// No request can wait any more: the queue holds `depth`. Within `eta` seconds those should have been served.
    pub fn queue_full(model: &str, eta: u64, depth: usize, priority: &str) -> Self {
        let model = shown(model);
        let message = format!("All backends of model '{model}' are busy and the queue is full");
        let context = json!({ "queue_depth": depth, "eta_seconds": eta, "priority": priority });
        Self::unavailable(SERVER, message).with_context(context).retry_after(eta)
    }

    /// No slot became free within `waited` seconds.
    pub fn queue_timeout(model: &str, waited: u64, depth: usize, priority: &str) -> Self {
        let model = shown(model);
        let message = format!("No backend of model '{model}' became free within {waited} s");
        let context = json!({ "queue_depth": depth, "eta_seconds": waited, "priority": priority });
        Self::unavailable(SERVER, message).with_context(context).retry_after(waited)
    }

    /// This peer has `limit` requests already.
    pub fn too_many_requests_at_once(limit: u32) -> Self {
        let message = format!("This peer is serving {limit} requests already (server.max_concurrent_requests)");
        Self::unavailable(SERVER, message).retry_after(1)
    }

    /// Every slot of every backend of the model is taken. In `eta` seconds one should be free.
    pub fn busy(model: &str, eta: u64) -> Self {
        let model = shown(model);
        let message = format!("Every slot of every backend for model '{model}' is taken: try again shortly");
        Self::unavailable(SERVER, message).retry_after(eta)
    }

    /// This peer is draining or stopping.
    pub fn draining() -> Self {
        Self::unavailable(SERVER, "This peer takes no new requests: it is draining").retry_after(1)
    }

    /// No byte came for `seconds`.
    pub fn gateway_timeout(model: &str, seconds: u64) -> Self {
        let model = shown(model);
        let message = format!("No answer for model '{model}' within {seconds} s (server.request_timeout_seconds)");
        Self::new(StatusCode::GATEWAY_TIMEOUT, "gateway_timeout", SERVER, message)
    }

    /// As many connections as may follow this peer already.
    pub fn too_many_watchers(most: usize) -> Self {
        let message = format!("{most} connections follow this peer already: close some, or follow another peer");
        Self::unavailable(SERVER, message).retry_after(5)
    }

    /// The client's address follows this peer with as many connections as one may.
    pub fn too_many_watchers_of_one(most: usize) -> Self {
        let message = format!(
            "Your address follows this peer with {most} connections already: close some, or let one of them tell all"
        );
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_connections", LIMITED, message).retry_after(5)
    }

    /// A fault of our own.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", SERVER, "Internal error; see this peer's log")
    }

    /// A fault of our own that whoever runs this node can mend.
    pub fn unable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", SERVER, message)
    }

    fn unavailable(kind: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", kind, message)
    }

    /// The same with something for programs.
    #[must_use]
    pub fn with_context(self, context: Value) -> Self {
        Fault { context: Some(context), ..self }
    }

    /// The same with the advice to come back after `seconds`.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        Fault { retry_after: Some(seconds), ..self }
    }

    /// What `backend` lacks to be asked in its own dialect: `fields` has no word there.
    pub fn untranslatable(dialect: Dialect, fields: &[String]) -> Self {
        let fields: Vec<&str> = fields.iter().map(|field| shown(field)).take(MAX_LISTED).collect();
        let message = format!(
            "This request cannot be translated for a backend that speaks {}: {}. Leave that out, or ask for a model whose \
             backend speaks the dialect of the request",
            dialect.as_str(),
            fields.join(", ")
        );
        Self::new(StatusCode::BAD_REQUEST, "unsupported_parameter", CLIENT, message)
            .with_context(json!({ "unsupported": fields }))
    }

    /// What the owner of the backend says of a request that cannot be put to it.
    pub fn told_by_peer(refusal: &Refusal) -> Self {
        let plain = Self::bad_request(refusal.message.clone());
        let Some(told) = &refusal.fault else { return plain };
        let status = StatusCode::from_u16(told.status).ok().filter(StatusCode::is_client_error);
        let status = status.unwrap_or(StatusCode::BAD_REQUEST);
        let kind = if status == StatusCode::TOO_MANY_REQUESTS { LIMITED.into() } else { plain.kind };
        let retry_after = told.context.as_ref().and_then(|context| context["retry_after_seconds"].as_u64());
        let (code, context) = (told.code.clone().into(), told.context.clone());
        Fault { status, code, kind, context, retry_after, message: plain.message, param: plain.param }
    }

    /// No backend of the model has the endpoint; `kinds` do.
    pub fn not_implemented(model: &str, endpoint: Endpoint, kinds: &[&str]) -> Self {
        let (model, path) = (shown(model), endpoint.path("{model}"));
        let message = format!("No backend of model '{model}' has {path}. Backends that do: {}", kinds.join(", "));
        Self::new(StatusCode::NOT_IMPLEMENTED, "not_implemented", CLIENT, message)
            .with_context(json!({ "backend_types": kinds }))
    }

    /// The body of the reply, as `dialect` writes it: one line of JSON.
    pub fn body(&self, dialect: Dialect) -> Bytes {
        shape::body(self, dialect)
    }

    /// The error inside a stream of `dialect` that has begun; nothing follows it, `[DONE]` least of all. Where the stream was
    /// cut inside an event (`at_boundary` is false), that event is ended first.
    pub fn event(&self, dialect: Dialect, at_boundary: bool) -> Bytes {
        shape::event(self, dialect, at_boundary)
    }

    /// What a backend of any kind meant that answered with `status` and `body`.
    pub fn told(status: StatusCode, body: &[u8]) -> Self {
        told::read(status, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Bytes) -> String {
        String::from_utf8(bytes.to_vec()).expect("text")
    }

    const OPENAI: Dialect = Dialect::OpenAi;

    #[test]
    fn the_shape_is_openais() {
        let fault = Fault::model_not_found("x", ["a", "b"]);
        assert_eq!(
            text(fault.body(OPENAI)),
            r#"{"error":{"message":"Model 'x' not found. Available: a, b","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#
        );
        assert_eq!(
            text(Fault::bad_request("`model` is required").body(OPENAI)),
            r#"{"error":{"message":"`model` is required","type":"invalid_request_error","param":null,"code":"bad_request"}}"#
        );
    }

    #[test]
    fn a_context_stands_in_both_places() {
        let context = json!({ "rejection_reasons": [] });
        let body: Value =
            serde_json::from_slice(&Fault::rejected_by_policy("m", "privacy", context.clone()).body(OPENAI))
                .expect("JSON");
        assert_eq!(body["context"], context);
        assert_eq!(body["error"]["context"], context);
        assert_eq!(body["error"]["type"], "service_unavailable");
    }

    #[test]
    fn every_case_has_its_status_code_and_type() {
        let cases = [
            (Fault::bad_request("m"), 400, "bad_request", CLIENT),
            (Fault::capability_mismatch("m", &["vision"]), 400, "capability_mismatch", CLIENT),
            (Fault::model_not_found("m", []), 404, "model_not_found", CLIENT),
            (Fault::not_found("m"), 404, "not_found", CLIENT),
            (Fault::method_not_allowed("GET", "/x"), 405, "method_not_allowed", CLIENT),
            (Fault::conflict("m"), 409, "conflict", CLIENT),
            (Fault::request_timeout(15), 408, "request_timeout", CLIENT),
            (Fault::request_too_slow(30), 408, "request_timeout", CLIENT),
            (Fault::body_too_large(10), 413, "request_too_large", CLIENT),
            (Fault::bad_gateway("m", 3, "it refused the connection"), 502, "bad_gateway", SERVER),
            (Fault::loop_detected(Some("b"), None), 508, "loop_detected", SERVER),
            (Fault::no_healthy_backend("m", Value::Null), 503, "service_unavailable", SERVER),
            (Fault::rejected_by_policy("m", "tier", Value::Null), 503, "service_unavailable", POLICY),
            (Fault::queue_full("m", 30, 100, "normal"), 503, "service_unavailable", SERVER),
            (Fault::queue_timeout("m", 30, 4, "high"), 503, "service_unavailable", SERVER),
            (Fault::too_many_requests_at_once(1000), 503, "service_unavailable", SERVER),
            (Fault::gateway_timeout("m", 300), 504, "gateway_timeout", SERVER),
        ];
        for (fault, status, code, kind) in cases {
            assert_eq!((fault.status.as_u16(), &*fault.code, &*fault.kind), (status, code, kind), "{}", fault.message);
        }
    }

    #[test]
    fn messages_are_those_that_users_know() {
        let said = |fault: Fault| fault.message;
        assert_eq!(
            said(Fault::capability_mismatch("m", &["vision", "tools"])),
            "Model 'm' lacks required capabilities: [\"vision\", \"tools\"]"
        );
        assert_eq!(said(Fault::model_not_found("m", [])), "Model 'm' not found. No models available");
        assert_eq!(said(Fault::no_healthy_backend("m", Value::Null)), "No healthy backends available for model 'm'");
        let many: Vec<String> = (0..60).map(|number| format!("m{number}")).collect();
        assert!(said(Fault::model_not_found("m", many.iter().map(String::as_str))).ends_with(", m49, ..."));
        assert_eq!(Fault::queue_timeout("m", 30, 4, "high").retry_after, Some(30));
        assert_eq!(Fault::queue_full("m", 30, 100, "high").retry_after, Some(30));
    }

    #[test]
    fn an_event_is_one_line_and_ends_what_was_cut() {
        let fault = Fault::stream_cut("two\nlines");
        let event = text(fault.event(OPENAI, true));
        assert!(event.starts_with("data: {\"error\":") && event.ends_with("}\n\n"), "{event}");
        assert_eq!(event.matches('\n').count(), 2);
        assert_eq!(text(fault.event(OPENAI, false)), format!("\n\n{event}"));
        assert!(!event.contains("[DONE]"));
    }
}

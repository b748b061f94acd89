//! Spans as OTLP writes them, in the words of OpenTelemetry's conventions for generative AI. It is made of what the
//! gateway tells, which holds no content.

mod shape;

use std::time::Duration;

use prost::Message;

use super::config::Target;
use crate::exchange::trace::SpanId;
use crate::exchange::{Dialect, Endpoint, text};
use crate::gateway::{Attempt, Trace};
use crate::route::Place;
pub(super) use shape::Resource;
use shape::{Attribute, Export, ResourceSpans, Scope, ScopeSpans, Span, Status};

/// Characters of a name; names come from clients and backends.
const MOST_NAME: usize = 256;

/// OTLP's numbers for what a span is, and for how it ended.
const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const FAILED: i32 = 2;

/// That a trace is sampled, as in `traceparent`.
const SAMPLED: u32 = 1;

/// Attributes of a span, at most.
const MOST_ATTRIBUTES: usize = 13;

/// What every span of this peer has in common.
pub(super) fn resource(target: &Target, peer: &str) -> Resource {
    let said = [
        ("service.name", target.service_name.as_str()),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("service.instance.id", peer),
    ];
    Resource { attributes: said.map(|(key, value)| Attribute::text(key, cut(value))).to_vec() }
}

/// One message with all of these.
pub(super) fn message(resource: &Resource, traces: &[Box<Trace>]) -> Vec<u8> {
    let scope = Scope { name: "nexus".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let spans = traces.iter().flat_map(|trace| spans_of(trace)).map(|span| span.encode_to_vec().into()).collect();
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans }];
    Export { resource_spans: vec![ResourceSpans { resource: Some(resource.clone()), scope_spans }] }.encode_to_vec()
}

/// How many spans a trace is.
pub(super) fn count(trace: &Trace) -> u64 {
    1 + trace.attempts.len() as u64
}

fn spans_of(trace: &Trace) -> impl Iterator<Item = Span> {
    std::iter::once(request(trace)).chain(trace.attempts.iter().map(|attempt| tried(trace, attempt)))
}

fn request(trace: &Trace) -> Span {
    let end = &trace.end;
    let operation = operation(trace.endpoint);
    let mut attributes = Attributes::new(operation);
    if !trace.asked.is_empty() {
        attributes.text("gen_ai.request.model", &trace.asked);
    }
    if let Some(attempt) = answering(trace) {
        attributes.text("gen_ai.response.model", &attempt.model);
        attributes.place(attempt);
    }
    attributes.usage(end.tokens);
    if end.status > 0 {
        attributes.number("http.response.status_code", end.status.into());
    }
    if let Some(error) = end.error_type {
        attributes.text("error.type", error);
    }
    if let Some(first_byte) = end.first_byte {
        attributes.number("nexus.first_byte_ms", u64::try_from(first_byte.as_millis()).unwrap_or(u64::MAX));
    }
    attributes.text("nexus.request_id", trace.request_id.as_str());
    attributes.text("nexus.origin", if trace.is_from_peer { "peer" } else { "client" });
    // What a client did wrong is no failure of the server.
    let is_failed = end.error_type.is_some() && !(400..500).contains(&end.status);
    Span {
        trace_id: trace.context.trace.0.to_be_bytes().to_vec(),
        span_id: id(trace.context.span),
        parent_span_id: trace.parent.map(id).unwrap_or_default(),
        flags: SAMPLED,
        name: name(operation, &trace.asked),
        kind: SERVER,
        start_time_unix_nano: nanos(trace.began),
        end_time_unix_nano: nanos(trace.began + end.took),
        attributes: attributes.0,
        status: is_failed.then_some(Status { code: FAILED }),
    }
}

fn tried(trace: &Trace, attempt: &Attempt) -> Span {
    let operation = operation(trace.endpoint);
    let mut attributes = Attributes::new(operation);
    attributes.text("gen_ai.request.model", &attempt.model);
    attributes.place(attempt);
    match (&attempt.place, &attempt.server) {
        (Place::There { peer_name, .. }, _) => attributes.text("server.address", peer_name),
        (_, Some((host, port))) => {
            attributes.text("server.address", host);
            if let Some(port) = port {
                attributes.number("server.port", (*port).into());
            }
        }
        _ => {}
    }
    if let Some(status) = attempt.status {
        attributes.number("http.response.status_code", status.into());
    }
    // What answered goes on to the end of the request, and shares its fate.
    let error = match attempt.took {
        Some(_) => attempt.missed,
        None => {
            attributes.text("gen_ai.response.model", &attempt.model);
            attributes.usage(trace.end.tokens);
            trace.end.error_type
        }
    };
    if let Some(error) = error {
        attributes.text("error.type", error);
    }
    let began = trace.began + attempt.at;
    let ended = attempt.took.map_or(trace.began + trace.end.took, |took| began + took);
    Span {
        trace_id: trace.context.trace.0.to_be_bytes().to_vec(),
        span_id: id(attempt.span),
        parent_span_id: id(trace.context.span),
        flags: SAMPLED,
        name: name(operation, &attempt.model),
        kind: CLIENT,
        start_time_unix_nano: nanos(began),
        end_time_unix_nano: nanos(ended.max(began)),
        attributes: attributes.0,
        status: error.map(|_| Status { code: FAILED }),
    }
}

/// The attempt that answered, else the last one.
fn answering(trace: &Trace) -> Option<&Attempt> {
    trace.attempts.iter().rev().find(|attempt| attempt.took.is_none()).or(trace.attempts.last())
}

/// Since 1970, up to the year 2554.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn id(SpanId(id): SpanId) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}

/// What is done, and with which model.
fn name(operation: &str, model: &str) -> String {
    if model.is_empty() { operation.to_owned() } else { [operation, " ", cut(model)].concat() }
}

struct Attributes(Vec<Attribute>);

impl Attributes {
    fn new(operation: &str) -> Self {
        let mut attributes = Attributes(Vec::with_capacity(MOST_ATTRIBUTES));
        attributes.text("gen_ai.operation.name", operation);
        attributes
    }

    fn text(&mut self, key: &'static str, value: &str) {
        self.0.push(Attribute::text(key, cut(value)));
    }

    fn number(&mut self, key: &'static str, value: u64) {
        self.0.push(Attribute::number(key, value));
    }

    fn place(&mut self, attempt: &Attempt) {
        self.text("gen_ai.provider.name", attempt.kind.provider());
        self.text("nexus.backend", attempt.place.backend());
        if let Place::There { peer_name, .. } = &attempt.place {
            self.text("nexus.peer", peer_name);
        }
    }

    fn usage(&mut self, tokens: Option<(u64, u64)>) {
        if let Some((prompt, answer)) = tokens {
            self.number("gen_ai.usage.input_tokens", prompt);
            self.number("gen_ai.usage.output_tokens", answer);
        }
    }
}

fn cut(text: &str) -> &str {
    text::cut(text, MOST_NAME)
}

/// The word of the conventions, or one of ours where they have none.
fn operation(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Completions | Endpoint::OllamaGenerate => "text_completion",
        endpoint if endpoint.is_chat() && endpoint.dialect() == Dialect::Google => "generate_content",
        endpoint if endpoint.is_chat() => "chat",
        endpoint if endpoint.is_embedding() => "embeddings",
        endpoint if endpoint.is_count() => "count_tokens",
        Endpoint::Rerank => "rerank",
        Endpoint::Transcriptions => "transcription",
        Endpoint::Translations => "translation",
        Endpoint::Speech => "speech",
        _ => "image_generation",
    }
}

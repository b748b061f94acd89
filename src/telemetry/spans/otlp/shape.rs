//! The shapes of OTLP's JSON, written as they are walked through: at a full rate of requests a tree of values for each span
//! cost more than the request did. Ids are in hex, numbers of 64 bits in text, as the protocol wants it.

use std::fmt::Display;

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use crate::exchange::trace::{SpanId, TraceId};

/// `ExportTraceServiceRequest`, of one peer and one scope.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message<'a, S> {
    resource_spans: [ResourceSpans<'a, S>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a, S> {
    resource: &'a serde_json::Value,
    scope_spans: [ScopeSpans<S>; 1],
}

#[derive(Serialize)]
struct ScopeSpans<S> {
    scope: Scope,
    spans: S,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

impl<'a, S> Message<'a, S> {
    pub(super) fn new(resource: &'a serde_json::Value, spans: S) -> Self {
        let scope = Scope { name: "nexus", version: env!("CARGO_PKG_VERSION") };
        Message { resource_spans: [ResourceSpans { resource, scope_spans: [ScopeSpans { scope, spans }] }] }
    }
}

/// Each of these, made when it is its turn.
pub(super) struct Each<F>(pub(super) F);

impl<'a, F, I> Serialize for Each<F>
where
    F: Fn() -> I,
    I: Iterator<Item = Span<'a>>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for span in (self.0)() {
            list.serialize_element(&span)?;
        }
        list.end()
    }
}

/// A span. Times are in nanoseconds since 1970.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Span<'a> {
    #[serde(serialize_with = "text")]
    pub(super) trace_id: TraceId,
    #[serde(serialize_with = "text")]
    pub(super) span_id: SpanId,
    #[serde(serialize_with = "some_text", skip_serializing_if = "Option::is_none")]
    pub(super) parent_span_id: Option<SpanId>,
    pub(super) flags: u8,
    #[serde(serialize_with = "text")]
    pub(super) name: Name<'a>,
    pub(super) kind: u8,
    #[serde(serialize_with = "text")]
    pub(super) start_time_unix_nano: u64,
    #[serde(serialize_with = "text")]
    pub(super) end_time_unix_nano: u64,
    pub(super) attributes: Vec<Attribute<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<Status>,
}

/// What is done, and with which model.
pub(super) struct Name<'a> {
    pub(super) operation: &'static str,
    pub(super) model: &'a str,
}

impl Display for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.operation)?;
        if !self.model.is_empty() {
            write!(f, " {}", self.model)?;
        }
        Ok(())
    }
}

/// How a span ended.
#[derive(Serialize)]
pub(super) struct Status {
    pub(super) code: u8,
}

/// `KeyValue`.
#[derive(Serialize)]
pub(super) struct Attribute<'a> {
    pub(super) key: &'static str,
    pub(super) value: Said<'a>,
}

/// `AnyValue`, as far as it is needed.
pub(super) enum Said<'a> {
    Text(&'a str),
    Number(u64),
}

impl Serialize for Said<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Said::Text(value) => map.serialize_entry("stringValue", value)?,
            Said::Number(value) => map.serialize_entry("intValue", &Digits(*value))?,
        }
        map.end()
    }
}

struct Digits(u64);

impl Serialize for Digits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

fn text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn some_text<S: Serializer>(value: &Option<impl Display>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

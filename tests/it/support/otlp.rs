//! What a trace collector reads: OTLP's messages by the numbers of its definition (`opentelemetry/proto/trace/v1`), and spans as the
//! protocol's JSON would show them.

use prost::Message;
use serde_json::{Value, json};

#[derive(Clone, PartialEq, Message)]
struct Export {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<Resource>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<Scope>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start: u64,
    #[prost(fixed64, tag = "8")]
    end: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<Attribute>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Said>,
}

#[derive(Clone, PartialEq, Message)]
struct Said {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
    #[prost(int64, optional, tag = "3")]
    number: Option<i64>,
}

/// The spans of one message.
pub(crate) fn spans(message: &[u8]) -> Vec<Value> {
    let export = Export::decode(message).expect("a message of OTLP");
    let scopes = export.resources.into_iter().flat_map(|resource| resource.scopes);
    scopes.flat_map(|scope| scope.spans).map(shown).collect()
}

fn shown(span: Span) -> Value {
    assert!(span.start <= span.end, "{span:?}");
    let attribute = |Attribute { key, value }| {
        let Said { text, number } = value.unwrap_or_default();
        let value = text.or(number.map(|number| number.to_string()));
        (key, value.map_or(Value::Null, Value::from))
    };
    let mut shown = json!({
        "traceId": hex(&span.trace),
        "spanId": hex(&span.id),
        "parentSpanId": hex(&span.parent),
        "name": span.name,
        "kind": span.kind,
        "attributes": span.attributes.into_iter().map(attribute).collect::<serde_json::Map<_, _>>(),
    });
    if let Some(status) = span.status {
        shown["status"] = json!({ "code": status.code });
    }
    shown
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

//! How each dialect writes an error, as a body and as the last event of a stream.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::Fault;
use crate::exchange::Dialect;

/// One line of JSON.
pub(super) fn body(fault: &Fault, dialect: Dialect) -> Bytes {
    Bytes::from(to_json(fault, dialect).to_string())
}

/// As an event; what was cut before it is ended first.
pub(super) fn event(fault: &Fault, dialect: Dialect, at_boundary: bool) -> Bytes {
    let json = to_json(fault, dialect);
    Bytes::from(match dialect {
        Dialect::Ollama => format!("{}{json}\n", if at_boundary { "" } else { "\n" }),
        Dialect::OpenAi | Dialect::Google => format!("{}data: {json}\n\n", end(at_boundary)),
        Dialect::Anthropic => format!("{}event: error\ndata: {json}\n\n", end(at_boundary)),
        Dialect::Responses => {
            let data = json!({
                "type": "error", "code": fault.code, "message": fault.message, "param": fault.param,
                "sequence_number": 0, "error": json["error"],
            });
            format!("{}event: error\ndata: {data}\n\n", end(at_boundary))
        }
    })
}

fn end(at_boundary: bool) -> &'static str {
    if at_boundary { "" } else { "\n\n" }
}

fn to_json(fault: &Fault, dialect: Dialect) -> Value {
    match dialect {
        Dialect::OpenAi | Dialect::Responses => openai(fault),
        Dialect::Anthropic => {
            let mut error =
                json!({ "type": anthropic_type(fault.status), "message": fault.message, "code": fault.code });
            add_context(&mut error, fault);
            if wants_thread(fault) {
                // By this the SDK knows that it must send the whole conversation itself.
                error["details"] = json!({ "error_code": "thread_unsupported_request", "unsupported": ["thread"] });
            }
            json!({ "type": "error", "error": error })
        }
        Dialect::Google => {
            let status = google_status(fault.status);
            let details: Vec<Value> = fault.context.iter().map(|context| detail(fault, context)).collect();
            let code = fault.status.as_u16();
            json!({ "error": { "code": code, "message": fault.message, "status": status, "details": details } })
        }
        Dialect::Ollama => {
            let mut error = json!({ "error": fault.message, "code": fault.code });
            add_context(&mut error, fault);
            error
        }
    }
}

/// The context stands inside the error and beside it.
fn openai(fault: &Fault) -> Value {
    let mut error = json!({ "message": fault.message, "type": fault.kind, "param": fault.param, "code": fault.code });
    match &fault.context {
        None => json!({ "error": error }),
        Some(context) => {
            error["context"] = context.clone();
            json!({ "error": error, "context": context })
        }
    }
}

/// Whether a conversation was to be kept, which nobody does here.
fn wants_thread(fault: &Fault) -> bool {
    let unsupported = fault.context.as_ref().and_then(|context| context.get("unsupported")?.as_array());
    unsupported.is_some_and(|fields| fields.iter().any(|field| field == "thread"))
}

fn add_context(error: &mut Value, fault: &Fault) {
    if let Some(context) = &fault.context {
        error["context"] = context.clone();
    }
}

/// As Google's APIs tell what a program may want to know besides (`google.rpc.ErrorInfo`).
fn detail(fault: &Fault, context: &Value) -> Value {
    json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": fault.code, "domain": "nexus", "metadata": { "context": context.to_string() },
    })
}

/// <https://docs.anthropic.com/en/api/errors>
fn anthropic_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        408 | 504 => "timeout_error",
        503 | 529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

/// <https://cloud.google.com/apis/design/errors>
fn google_status(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        501 => "UNIMPLEMENTED",
        502 | 503 => "UNAVAILABLE",
        408 | 504 => "DEADLINE_EXCEEDED",
        400..=499 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &Bytes) -> &str {
        std::str::from_utf8(bytes).expect("text")
    }

    #[test]
    fn every_dialect_has_its_own_shape() {
        let fault = Fault::model_not_found("x", []);
        for (dialect, body) in [
            (
                Dialect::Anthropic,
                r#"{"type":"error","error":{"type":"not_found_error","message":"Model 'x' not found. No models available","code":"model_not_found"}}"#,
            ),
            (
                Dialect::Google,
                r#"{"error":{"code":404,"message":"Model 'x' not found. No models available","status":"NOT_FOUND","details":[]}}"#,
            ),
            (Dialect::Ollama, r#"{"error":"Model 'x' not found. No models available","code":"model_not_found"}"#),
        ] {
            assert_eq!(text(&fault.body(dialect)), body);
        }
        assert_eq!(fault.body(Dialect::Responses), fault.body(Dialect::OpenAi));
    }

    #[test]
    fn what_a_program_wants_to_know_is_told_in_every_dialect() {
        let fault = Fault::no_healthy_backend("m", json!({ "available_backends": ["b"] }));
        for dialect in [Dialect::OpenAi, Dialect::Responses, Dialect::Anthropic, Dialect::Google, Dialect::Ollama] {
            assert!(text(&fault.body(dialect)).contains("available_backends"), "{dialect:?}");
        }
    }

    #[test]
    fn an_error_in_a_stream_is_an_event_of_its_own() {
        let fault = Fault::stream_cut("two\nlines");
        for (dialect, begins, cut) in [
            (Dialect::OpenAi, "data: {\"error\":{", "\n\n"),
            (Dialect::Google, "data: {\"error\":{\"code\":502", "\n\n"),
            (Dialect::Anthropic, "event: error\ndata: {\"type\":\"error\",", "\n\n"),
            (Dialect::Responses, "event: error\ndata: {\"type\":\"error\",\"code\":\"bad_gateway\"", "\n\n"),
            (Dialect::Ollama, "{\"error\":\"The stream was cut", "\n"),
        ] {
            let (whole, after_cut) = (fault.event(dialect, true), fault.event(dialect, false));
            assert!(text(&whole).starts_with(begins) && text(&whole).ends_with(cut), "{whole:?}");
            assert_eq!(text(&after_cut), format!("{cut}{}", text(&whole)));
        }
    }
}

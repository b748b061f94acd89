//! What a backend meant by an error: every engine has a shape of its own for it, and some have several.

use http::StatusCode;
use serde_json::Value;

use super::{CLIENT, Fault, SERVER};

/// How much of a message is passed on, in characters.
const MAX_MESSAGE: usize = 2000;

/// What is told where nothing can be read.
const NOTHING: &str = "the backend gave no reason";

/// The error in `body`, whatever its shape.
pub(super) fn read(status: StatusCode, body: &[u8]) -> Fault {
    let kind = if status.is_client_error() { CLIENT } else { SERVER };
    let mut fault = Fault::new(status, "backend_error", kind, NOTHING);
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Array(list)) => read_json(&mut fault, list.first().unwrap_or(&Value::Null)),
        Ok(value) => read_json(&mut fault, &value),
        Err(_) => fault.message = plain(body).unwrap_or_else(|| NOTHING.to_owned()),
    }
    fault.message = fault.message.chars().take(MAX_MESSAGE).collect();
    fault
}

/// `{"error": {...}}`, `{"error": "..."}`, `{"message": ...}`, `{"detail": ...}`, `{"errors": [...]}`, a string.
fn read_json(fault: &mut Fault, value: &Value) {
    let error = match value.get("error") {
        Some(error @ Value::Object(_)) => error,
        _ => value,
    };
    if let Some(message) = message(error) {
        fault.message = message;
    }
    for key in ["code", "status"] {
        if let Some(code) = error.get(key).and_then(word) {
            fault.code = code.into();
            break;
        }
    }
    if let Some(kind) = error.get("type").and_then(word).filter(|kind| kind != "error") {
        fault.kind = kind.into();
    }
    if fault.status == StatusCode::TOO_MANY_REQUESTS && fault.kind == CLIENT {
        fault.kind = "rate_limit_error".into();
    }
    fault.retry_after =
        error.get("details").and_then(Value::as_array).and_then(|details| details.iter().find_map(delay));
    fault.param = error.get("param").and_then(Value::as_str).map(|param| param.to_owned().into());
}

/// Google says in the body when to come back (`google.rpc.RetryInfo`): `"7.5s"`.
fn delay(detail: &Value) -> Option<u64> {
    let seconds = detail.get("retryDelay")?.as_str()?.strip_suffix('s')?.parse::<f64>().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then(|| (seconds.ceil() as u64).max(1))
}

fn message(error: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    if let Some(message) = text(error) {
        return Some(message);
    }
    ["message", "error", "detail", "msg", "errors", "title"].iter().find_map(|key| {
        let value = error.get(key)?;
        text(value).or_else(|| of_list(value)).or_else(|| message(value).filter(|_| value.is_object()))
    })
}

/// What FastAPI says of a body: `[{"loc": ["body", "x"], "msg": "..."}]`.
fn of_list(value: &Value) -> Option<String> {
    let told: Vec<String> = value.as_array()?.iter().filter_map(of_entry).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

fn of_entry(entry: &Value) -> Option<String> {
    if let Some(text) = entry.as_str() {
        return Some(text.to_owned());
    }
    let said = ["msg", "message"].iter().find_map(|key| entry.get(key)?.as_str())?;
    let place: Vec<String> = entry.get("loc").and_then(Value::as_array).into_iter().flatten().map(step).collect();
    Some(if place.is_empty() { said.to_owned() } else { format!("{}: {said}", place.join(".")) })
}

fn step(step: &Value) -> String {
    step.as_str().map_or_else(|| step.to_string(), str::to_owned)
}

/// A code that is a word. Numbers repeat the status.
fn word(value: &Value) -> Option<String> {
    let word = value.as_str().filter(|word| !word.is_empty() && word.len() <= 128)?;
    word.bytes().all(|byte| byte.is_ascii_graphic()).then(|| word.to_owned())
}

/// Text that is no JSON: its first line, unless it is a page.
fn plain(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let line = text.lines().find(|line| !line.trim().is_empty())?.trim();
    (!line.starts_with('<')).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, body: &str) -> (String, String, String) {
        let fault = Fault::told(StatusCode::from_u16(status).expect("literal"), body.as_bytes());
        assert_eq!(fault.status.as_u16(), status);
        (fault.message, fault.code.into_owned(), fault.kind.into_owned())
    }

    /// Each as its engine was seen to write it.
    #[test]
    fn every_engines_shape_is_understood() {
        for (engine, status, body, message, code, kind) in [
            (
                "openai",
                404,
                r#"{"error":{"message":"The model `x` does not exist","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
                "The model `x` does not exist",
                "model_not_found",
                "invalid_request_error",
            ),
            (
                "vllm, old",
                404,
                r#"{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError","param":null,"code":404}"#,
                "The model `x` does not exist.",
                "backend_error",
                "NotFoundError",
            ),
            (
                "vllm",
                400,
                r#"{"error":{"message":"max_tokens is too large","type":"BadRequestError","param":null,"code":400}}"#,
                "max_tokens is too large",
                "backend_error",
                "BadRequestError",
            ),
            (
                "llama.cpp",
                400,
                r#"{"error":{"code":400,"message":"model not found","type":"invalid_request_error"}}"#,
                "model not found",
                "backend_error",
                "invalid_request_error",
            ),
            ("ollama", 404, r#"{"error":"model 'x' not found"}"#, "model 'x' not found", "backend_error", CLIENT),
            (
                "anthropic",
                529,
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#,
                "Overloaded",
                "backend_error",
                "overloaded_error",
            ),
            (
                "google",
                400,
                r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[]}}"#,
                "API key not valid.",
                "INVALID_ARGUMENT",
                CLIENT,
            ),
            (
                "google, streaming",
                429,
                r#"[{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED"}}]"#,
                "Quota",
                "RESOURCE_EXHAUSTED",
                "rate_limit_error",
            ),
            (
                "fastapi",
                422,
                r#"{"detail":[{"type":"missing","loc":["body","messages"],"msg":"Field required","input":{}}]}"#,
                "body.messages: Field required",
                "backend_error",
                CLIENT,
            ),
            ("exo", 500, r#"{"detail":"No such model"}"#, "No such model", "backend_error", SERVER),
            ("lm studio", 400, r#"{"error":"Unexpected endpoint"}"#, "Unexpected endpoint", "backend_error", CLIENT),
            ("a proxy", 502, "<html><body>Bad Gateway</body></html>", NOTHING, "backend_error", SERVER),
            ("plain text", 400, "\nbad request: x\nmore", "bad request: x", "backend_error", CLIENT),
            ("nothing", 500, "", NOTHING, "backend_error", SERVER),
            ("numbers", 400, r#"{"error":{"message":7,"code":7,"type":7}}"#, NOTHING, "backend_error", CLIENT),
        ] {
            let expected = (message.to_owned(), code.to_owned(), kind.to_owned());
            assert_eq!(told(status, body), expected, "{engine}");
        }
    }

    #[test]
    fn when_to_come_back_is_read_from_the_body() {
        let body = r#"{"error":{"code":429,"message":"m","details":[{"@type":"x"},{"retryDelay":"6.2s"}]}}"#;
        assert_eq!(Fault::told(StatusCode::TOO_MANY_REQUESTS, body.as_bytes()).retry_after, Some(7));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let body = format!(r#"{{"error":"a{}"}}"#, "é".repeat(5000));
        assert_eq!(told(500, &body).0.chars().count(), MAX_MESSAGE);
    }
}

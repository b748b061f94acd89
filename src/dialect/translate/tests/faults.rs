//! Errors: as each engine was seen to write them, as every client reads them, whole and in the middle of a stream.

use super::replies::name;
use super::*;

/// The engine, its status, its body.
const WHOLE: [(&str, u16, &str); 11] = [
    (
        "openai",
        404,
        r#"{"error":{"message":"The model `x` does not exist","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
    ),
    (
        "vllm, old",
        404,
        r#"{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError","param":null,"code":404}"#,
    ),
    (
        "vllm",
        400,
        r#"{"error":{"message":"max_tokens is too large","type":"BadRequestError","param":null,"code":400}}"#,
    ),
    ("llama.cpp", 400, r#"{"error":{"code":400,"message":"model not found","type":"invalid_request_error"}}"#),
    ("ollama", 404, r#"{"error":"model 'x' not found"}"#),
    (
        "anthropic",
        529,
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#,
    ),
    (
        "google",
        400,
        r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[]}}"#,
    ),
    ("google, array", 429, r#"[{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED"}}]"#),
    ("fastapi", 422, r#"{"detail":[{"type":"missing","loc":["body","messages"],"msg":"Field required","input":{}}]}"#),
    ("lm studio", 400, r#"{"error":"Unexpected endpoint"}"#),
    ("a proxy", 502, "<html><body>Bad Gateway</body></html>"),
];

/// The last event of a stream that fails.
fn last_words(backend: Dialect) -> &'static str {
    match backend {
        Dialect::Anthropic => {
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n"
        }
        Dialect::Google => {
            "data: {\"error\": {\"code\": 503,\"message\": \"Overloaded\",\"status\": \"UNAVAILABLE\"}}\n\n"
        }
        Dialect::Ollama => "{\"error\":\"Overloaded\"}\n",
        Dialect::OpenAi | Dialect::Responses => {
            "data: {\"error\":{\"message\":\"Overloaded\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n"
        }
    }
}

#[test]
fn every_client_reads_every_engines_error() {
    for dialect in DIALECTS {
        let tell = |(engine, status, body): &(&'static str, u16, &str)| {
            let fault = Fault::told(http::StatusCode::from_u16(*status).unwrap(), body.as_bytes());
            (*engine, format!("{}\n{}", fault.status.as_u16(), pretty(&fault.body(dialect))))
        };
        let said: Vec<_> = WHOLE.iter().map(tell).collect();
        check(&format!("error.for-{}", dialect.as_str()), gathered(&said));
    }
}

/// The first event of a stream that has text in it.
fn beginning(backend: Dialect) -> String {
    let stream = fixture(backend, "text.stream.txt").replace("\r\n", "\n");
    let end = if backend == Dialect::Ollama { "\n" } else { "\n\n" };
    let text = stream.find("Hello").unwrap();
    stream[..text + stream[text..].find(end).unwrap() + end.len()].to_owned()
}

#[test]
fn every_client_is_told_when_a_stream_fails() {
    for client in CLIENTS {
        let tell = |backend: Dialect| {
            let stream = beginning(backend) + last_words(backend);
            let translation = translation(client, backend, true);
            let (mut flow, mut out) = (translation.flow(), Vec::new());
            flow.push(stream.as_bytes(), &mut out).unwrap();
            assert!(flow.has_failed(), "{backend:?}");
            let told = out.len();
            assert!(flow.end(&mut out) && out.len() == told, "nothing comes after it");
            (backend.as_str(), String::from_utf8(out).unwrap())
        };
        let said = BACKENDS.map(tell);
        if client == Endpoint::StreamContentArray {
            for (backend, out) in &said {
                serde_json::from_str::<Vec<serde_json::Value>>(out)
                    .unwrap_or_else(|error| panic!("{backend}: {error}"));
            }
        }
        check(&format!("error.stream.for-{}", name(client)), gathered(&said));
    }
}

/// The same before anything was said.
#[test]
fn a_stream_that_only_fails_is_told_too() {
    for (client, backend) in CLIENTS.iter().flat_map(|client| BACKENDS.map(|backend| (*client, backend))) {
        let mut out = Vec::new();
        let mut flow = translation(client, backend, true).flow();
        flow.push(last_words(backend).as_bytes(), &mut out).unwrap();
        assert!(flow.has_failed() && String::from_utf8(out).unwrap().contains("Overloaded"), "{client:?} {backend:?}");
    }
}

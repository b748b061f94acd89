//! Requests: every case asks the same in every dialect, and still does when it was translated.

use super::exceptions::{EXCEPTIONS, LOSSES, as_asked, as_said, refused};
use super::*;

/// Real clients' requests, too large to be read as snapshots.
const LARGE: [(Dialect, &str); 2] =
    [(Dialect::Anthropic, "claude_code.request.json"), (Dialect::Responses, "codex.request.json")];

fn asked(dialect: Dialect, case: &str) -> (Endpoint, String) {
    (of_case(dialect, case), fixture(dialect, &format!("{case}.request.json")))
}

#[test]
fn every_case_is_the_same_request_in_every_dialect() {
    for case in REQUESTS {
        let (from, body) = asked(Dialect::OpenAi, case);
        let told = decoded(from, &body);
        for dialect in DIALECTS {
            let (from, body) = asked(dialect, case);
            assert_eq!(decoded(from, &body), as_said(told.clone(), dialect), "{case} in {dialect:?}");
        }
    }
}

#[test]
fn every_exception_is_one() {
    for exception in EXCEPTIONS.iter().chain(&LOSSES) {
        let changes = |request: &ChatRequest| {
            let mut changed = request.clone();
            (exception.change)(&mut changed);
            changed != *request
        };
        let all = DIALECTS.iter().flat_map(|dialect| REQUESTS.map(|case| asked(*dialect, case)));
        let large = LARGE.map(|(dialect, file)| (of_case(dialect, "stream"), fixture(dialect, file)));
        let mut requests = all.chain(large).map(|(from, body)| read_but_tools(from, &body));
        assert!(requests.any(|request| changes(&request)), "no longer so: {}", exception.why);
    }
}

/// What a backend is asked, or why it is not.
fn put(from: Endpoint, to: Dialect, body: &str) -> Result<(Endpoint, Bytes), Untranslated> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let translated = translate(from, endpoint(to, false), &body, label(), &Ways::default())?;
    Ok((translated.translation.to(), translated.body))
}

#[test]
fn every_client_can_ask_every_backend() {
    for (case, backend) in REQUESTS.iter().flat_map(|case| BACKENDS.map(|backend| (*case, backend))) {
        let mut said = Vec::new();
        for client in DIALECTS {
            let (from, body) = asked(client, case);
            let request = decoded(from, &body);
            let text = match (put(from, backend, &body), refused(&request, backend)) {
                (Ok((to, body)), None) => {
                    let again = decoded(to, std::str::from_utf8(&body).unwrap());
                    assert_eq!(again, as_asked(request, backend), "{case}: {client:?} to {backend:?}");
                    pretty(&body)
                }
                (Err(Untranslated::Unsupported(fields)), Some(what)) => {
                    assert!(fields.iter().all(|field| field.contains(what)), "{fields:?}");
                    format!("refused: {}", fields.join("; "))
                }
                (result, _) => panic!("{case}: {client:?} to {backend:?}: {result:?}"),
            };
            said.push((client.as_str(), text));
        }
        check(&format!("request.{case}.to-{}", backend.as_str()), gathered(&said));
    }
}

/// What a body asks, without the tools that no other dialect has: Codex sends some.
fn read_but_tools(from: Endpoint, body: &str) -> ChatRequest {
    let decoded = pair::decode_request(from, body).unwrap();
    assert!(decoded.uncarried.iter().all(|path| path.starts_with("tools[")), "{:?}", decoded.uncarried);
    decoded.request
}

#[test]
fn the_requests_of_large_clients_stay_what_they_are() {
    for ((client, file), backend) in LARGE.iter().flat_map(|large| BACKENDS.map(|backend| (large, backend))) {
        let (from, body) = (of_case(*client, "stream"), fixture(*client, file));
        let request = read_but_tools(from, &body);
        let to = endpoint(backend, request.stream);
        let body = pair::encode_request(to, &request, "m", &Ways::default()).unwrap();
        let again = decoded(to, std::str::from_utf8(&body).unwrap());
        assert_eq!(again.tools.len(), request.tools.len(), "{file} to {backend:?}");
        for (again, message) in again.messages.iter().zip(as_asked(request, backend).messages) {
            assert_eq!(*again, message, "{file} to {backend:?}");
        }
    }
}

#[test]
fn halves_of_characters_are_mended() {
    let cases = [
        (Endpoint::ChatCompletions, r#"{"messages":[{"role":"user","content":"a\ud83d"}]}"#),
        (Endpoint::Responses, r#"{"input":"a\ud83d"}"#),
        (Endpoint::Messages, r#"{"max_tokens":1,"messages":[{"role":"user","content":"a\ud83d"}]}"#),
        (Endpoint::GenerateContent, r#"{"contents":[{"parts":[{"text":"a\ud83d"}]}]}"#),
        (Endpoint::OllamaChat, r#"{"messages":[{"role":"user","content":"a\ud83d"}]}"#),
        (Endpoint::OllamaGenerate, r#"{"prompt":"a\ud83d"}"#),
    ];
    for (from, body) in cases {
        let (_, body) = put(from, Dialect::OpenAi, body).unwrap();
        assert!(String::from_utf8(body.to_vec()).unwrap().contains("a\u{fffd}"), "{from:?}");
    }
    let embed = Bytes::from_static(br#"{"model":"m","input":"a\ud83d"}"#);
    assert!(translate(Endpoint::Embeddings, Endpoint::OllamaEmbed, &embed, label(), &Ways::default()).is_ok());
    let call = r#"{"messages":[{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{\"x\":\"\ud83d\"}"}}]}]}"#;
    assert!(put(Endpoint::ChatCompletions, Dialect::Anthropic, call).is_ok());
    let broken = put(Endpoint::ChatCompletions, Dialect::Ollama, r#"{"messages":["\ud83d"#);
    assert!(matches!(broken, Err(Untranslated::Bad(BadRequest::Syntax { .. }))));
}

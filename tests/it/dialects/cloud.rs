//! Vendors' APIs as backends: their dialects, their keys, what they cost.

use serde_json::{Value, json};

use super::{completion, questions, stream_of};
use crate::mesh;
use crate::support::{Answer, FakeBackend, Log, Plan};

const KEY: &str = "sk-canary-5d1f0c";

fn claude(text: &str) -> Answer {
    let usage = json!({"input_tokens": 1000, "output_tokens": 500, "cache_read_input_tokens": 0});
    let content = json!([{"type": "text", "text": text}]);
    let body = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": content,
        "stop_reason": "end_turn", "stop_sequence": null, "usage": usage,
    });
    Answer::json(200, body.to_string())
}

fn gemini(text: &str) -> Answer {
    let content = json!({"role": "model", "parts": [{"text": text}]});
    let usage = json!({"promptTokenCount": 1000, "candidatesTokenCount": 500, "totalTokenCount": 1500});
    let body = json!({"candidates": [{"content": content, "finishReason": "STOP"}], "usageMetadata": usage});
    Answer::json(200, body.to_string())
}

/// `[[backends]]` of a kind with a key; vendors list their models in their own ways.
fn vendor(backend: &FakeBackend, kind: &str, model: &str) -> String {
    match kind {
        "anthropic" => {
            backend.says("/v1/models?limit=1000", Answer::json(200, json!({"data": [{"id": model}]}).to_string()));
        }
        "google" => {
            let entry = json!({"name": format!("models/{model}"), "supportedGenerationMethods": ["generateContent"]});
            backend.says("/v1beta/models?pageSize=1000", Answer::json(200, json!({"models": [entry]}).to_string()));
        }
        _ => {}
    }
    backend.entry(kind, &format!("type = '{kind}'\napi_key_env = 'CLOUD_KEY'"))
}

const PRICES: &str =
    "[prices]\n'claude-x' = { input = 3.0, output = 15.0 }\n'gemini-x' = { input = 1.0, output = 2.0 }\n";

#[tokio::test]
async fn every_dialect_reaches_every_vendor_with_the_key_it_wants() {
    for (kind, model, answer, header, value, path) in [
        ("anthropic", "claude-x", claude("hi"), "x-api-key", KEY.to_owned(), "/v1/messages"),
        (
            "google",
            "gemini-x",
            gemini("hi"),
            "x-goog-api-key",
            KEY.to_owned(),
            "/v1beta/models/gemini-x:generateContent",
        ),
        ("openai", "gpt-x", completion("hi"), "authorization", format!("Bearer {KEY}"), "/v1/chat/completions"),
    ] {
        let answer = move |request: &crate::support::Recorded| match request.path.as_str() {
            "/v1/responses" => Answer::json(404, "{}"),
            _ => answer.clone(),
        };
        let backend = FakeBackend::script(&[model], answer).await;
        let config = vendor(&backend, kind, model);
        let node = Plan::new(&config).variable("CLOUD_KEY", KEY).start().await;
        for (dialect, call, place) in questions(&node, model) {
            let reply = call.header("authorization", "Bearer not-needed").header("x-api-key", "client").whole().await;
            assert_eq!(reply.status, 200, "{dialect} at {kind}: {}", reply.text());
            assert_eq!(reply.json().pointer(place), Some(&json!("hi")), "{dialect} at {kind}: {}", reply.text());
            assert_eq!(reply.header("x-nexus-backend-type"), Some("cloud"));
            let sent = backend.requests().pop().expect("it was asked");
            assert_eq!((sent.path.as_str(), sent.header(header)), (path, Some(&*value)), "{dialect} at {kind}");
            let others = ["authorization", "x-api-key", "x-goog-api-key"].into_iter().filter(|name| *name != header);
            assert!(others.into_iter().all(|name| sent.header(name).is_none()), "{dialect} at {kind}");
        }
    }
}

#[tokio::test]
async fn a_whole_answer_says_what_it_costs_and_an_unknown_price_is_no_cost() {
    let priced = FakeBackend::always(&[], claude("hi")).await;
    let config = format!("{PRICES}{}", vendor(&priced, "anthropic", "claude-x"));
    let far = mesh::peer("far", mesh::KEY, &[], &config).variable("CLOUD_KEY", KEY).start().await;
    let near = mesh::peer("near", mesh::KEY, &[&far], "").start().await;
    mesh::offers(&near, "claude-x").await;
    for node in [&far, &near] {
        for (dialect, call, _) in questions(node, "claude-x") {
            let reply = call.whole().await;
            // 1000 tokens at 3 USD and 500 at 15 USD the million.
            assert_eq!(reply.header("x-nexus-cost-estimated"), Some("0.0105"), "{dialect}");
        }
    }
    let unknown = FakeBackend::always(&[], gemini("hi")).await;
    let node = Plan::new(&vendor(&unknown, "google", "gemini-x")).variable("CLOUD_KEY", KEY).start().await;
    for (dialect, call, _) in questions(&node, "gemini-x") {
        let reply = call.whole().await;
        assert_eq!((reply.status, reply.header("x-nexus-cost-estimated")), (200, None), "{dialect}");
    }
}

/// Usage is asked for, and hidden from a client that did not.
#[tokio::test]
async fn a_paid_stream_tells_usage_to_the_log_and_not_to_who_did_not_ask() {
    let backend = FakeBackend::always(&["gpt-x"], stream_of(&["hi"])).await;
    let log = Log::capture();
    let node = Plan::new(&vendor(&backend, "openai", "gpt-x")).variable("CLOUD_KEY", KEY).start().await;
    let body = r#"{"model":"gpt-x","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;
    let reply = node.client().completions(body).whole().await;
    assert!(!reply.text().contains("prompt_tokens") && reply.text().ends_with("data: [DONE]\n\n"), "{}", reply.text());
    assert_eq!(backend.requests()[0].json()["stream_options"], json!({"include_usage": true}));
    let asking = body.replacen('{', r#"{"stream_options":{"include_usage":true},"#, 1);
    let reply = node.client().completions(asking.clone()).whole().await;
    assert!(reply.text().contains("prompt_tokens"), "{}", reply.text());
    assert_eq!(backend.requests()[1].text(), asking, "as it came");
    crate::support::until("both are written down", || log.completed().len() == 2).await;
    let tokens: Vec<Value> = log.completed().iter().map(|line| line["tokens_total"].clone()).collect();
    assert_eq!(tokens, [json!(16), json!(16)]);
}

/// Keys are known to the vendor alone: whatever it answers, whoever asks, however it is told.
#[tokio::test]
async fn a_key_and_a_prompt_are_told_to_nobody() {
    const PROMPT: &str = "CANARY-PROMPT-77c1";
    let log = Log::capture();
    let backend = FakeBackend::script(&["gpt-x"], |request| {
        let key = request.header("authorization").unwrap_or_default().to_owned();
        match request.number % 4 {
            0 => completion("hi"),
            1 => Answer::json(401, json!({"error": {"message": format!("bad key {key}")}}).to_string()),
            2 => Answer::json(400, json!({"error": {"message": format!("no: {key}")}}).to_string()),
            _ => Answer::hang_up(),
        }
    })
    .await;
    let config = format!("[routing]\nmax_retries = 0\n{}", vendor(&backend, "openai", "gpt-x"));
    let far = mesh::peer("far", mesh::KEY, &[], &config).variable("CLOUD_KEY", KEY).start().await;
    let near = mesh::peer("near", mesh::KEY, &[&far], "").start().await;
    mesh::offers(&near, "gpt-x").await;
    let mut told = Vec::new();
    for node in [&far, &near] {
        for path in ["/v1/chat/completions", "/v1/messages", "/api/chat"] {
            for _ in 0..4 {
                let said = json!([{"role": "user", "content": PROMPT}]);
                let body = json!({"model": "gpt-x", "max_tokens": 9, "stream": false, "messages": said}).to_string();
                let body = if path == "/api/chat" { body.replace("\"max_tokens\":9,", "") } else { body };
                let reply = node.client().post(path, body).whole().await;
                told.push(format!("{:?} {}", reply.headers, reply.text()));
            }
        }
        for path in ["/health", "/v1/models", "/nexus/v1/mesh", "/nexus/v1/backends", "/api/tags", "/v1beta/models"] {
            told.push(node.get(path).await.text().to_owned());
        }
    }
    assert!(told.iter().any(|text| text.contains("[key]")), "the vendor's error is told without it");
    for text in told.iter().chain([&log.text()]) {
        assert!(!text.contains(KEY) && !text.contains(PROMPT), "{text}");
    }
}

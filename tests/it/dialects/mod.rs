//! Every client's dialect at every kind of backend, here and one hop away: relayed where it can be, translated where not,
//! and told in the client's own shape whatever happens.

mod cloud;
mod names;
mod translated;

use serde_json::{Value, json};

use crate::support::{Answer, Call, TestNode};

/// An answer of OpenAI's chat completions with usage.
fn completion(text: &str) -> Answer {
    let message = json!({"role": "assistant", "content": text});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    let usage = json!({"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16});
    Answer::json(200, json!({"id": "c1", "object": "chat.completion", "choices": [choice], "usage": usage}).to_string())
}

/// The same as a stream; every piece one event.
fn stream_of(pieces: &[&str]) -> Answer {
    let chunk = |delta: Value, finish: Value| {
        format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}))
    };
    let mut events: Vec<String> = pieces.iter().map(|piece| chunk(json!({"content": piece}), Value::Null)).collect();
    events.push(chunk(json!({}), json!("stop")));
    let usage = json!({"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16});
    events.push(format!("data: {}\n\n", json!({"choices": [], "usage": usage})));
    events.push("data: [DONE]\n\n".to_owned());
    Answer::stream(events)
}

/// A question to `model` in each dialect, and where the text of its answer stands.
fn questions(node: &TestNode, model: &str) -> Vec<(&'static str, Call, &'static str)> {
    let said = json!([{"role": "user", "content": "hello"}]);
    let client = node.client();
    vec![
        (
            "openai",
            client.completions(json!({"model": model, "messages": said}).to_string()),
            "/choices/0/message/content",
        ),
        (
            "responses",
            client.post("/v1/responses", json!({"model": model, "input": "hello"}).to_string()),
            "/output/0/content/0/text",
        ),
        (
            "anthropic",
            client.post("/v1/messages", json!({"model": model, "max_tokens": 64, "messages": said}).to_string()),
            "/content/0/text",
        ),
        (
            "ollama",
            client.post("/api/chat", json!({"model": model, "stream": false, "messages": said}).to_string()),
            "/message/content",
        ),
        (
            "google",
            client.post(
                &format!("/v1beta/models/{model}:generateContent"),
                json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}).to_string(),
            ),
            "/candidates/0/content/parts/0/text",
        ),
    ]
}

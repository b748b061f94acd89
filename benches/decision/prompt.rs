//! The request that is decided on: a conversation with a long system text, as an agent sends it.

use anyhow::Result;
use bytes::Bytes;
use http::HeaderMap;
use nexus::dialect::{self, Inspection};
use nexus::exchange::Endpoint;
use serde_json::{Value, json};

/// Bytes of system text: five marks.
const SYSTEM: usize = 4_700;

/// Messages besides; a mark for each, and one for each KiB of a long one.
const MESSAGES: usize = 15;

/// What a body that asks for `model` is understood as, with so much text in it.
pub(crate) fn asked(model: &str, kib: usize) -> Result<Inspection> {
    let bytes = (kib * 1024).saturating_sub(SYSTEM) / MESSAGES;
    let mut messages = vec![json!({ "role": "system", "content": text("You edit programs.", SYSTEM) })];
    messages.extend((0..MESSAGES).map(|number| message(number, bytes)));
    let body = json!({ "model": model, "stream": true, "max_tokens": 512, "messages": messages });
    Ok(dialect::inspect(Endpoint::ChatCompletions, None, None, &Bytes::from(body.to_string()))?)
}

/// The headers it comes with.
pub(crate) fn headers() -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("host", "127.0.0.1:8000"),
        ("user-agent", "OpenAI/Python 1.109.1"),
        ("accept", "application/json"),
        ("content-type", "application/json"),
        ("authorization", "Bearer none"),
    ] {
        headers.insert(name, value.parse()?);
    }
    Ok(headers)
}

fn message(number: usize, bytes: usize) -> Value {
    let role = if number.is_multiple_of(2) { "user" } else { "assistant" };
    json!({ "role": role, "content": text(&format!("Step {number}."), bytes) })
}

fn text(begin: &str, bytes: usize) -> String {
    begin.chars().chain(" Read the file, change what is wrong, run the tests.".chars().cycle()).take(bytes).collect()
}

//! Ollama's clients say nothing to have a model loaded or let go. Engines that have no such wish are not asked: they load what
//! they need when they need it.

use bytes::Bytes;
use serde_json::Value;

use super::super::chat::{ChatReply, Label};
use super::super::ollama;
use super::pair;
use crate::exchange::Endpoint;

/// The answer to a request of `from` that says nothing to a model; `None` where it says something.
pub fn answer_to_nothing(from: Endpoint, body: &Bytes, label: &Label) -> Option<Bytes> {
    let request = match from {
        Endpoint::OllamaGenerate => ollama::decode_generate(std::str::from_utf8(body).ok()?),
        Endpoint::OllamaChat => ollama::decode_request(std::str::from_utf8(body).ok()?),
        _ => return None,
    };
    let request = request.ok()?.request;
    if !request.messages.is_empty() {
        return None;
    }
    let keeps = request.keep_alive.is_none_or(|time| time.to_value().as_f64() != Some(0.0));
    let whole = pair::encode_reply(from, &ChatReply::default(), label);
    let mut answer: Value = serde_json::from_slice(&whole).ok()?;
    answer["done_reason"] = if keeps { "load" } else { "unload" }.into();
    Some(answer.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_said_is_a_wish_about_memory() {
        let label = Label { id: "x".repeat(26), model: "m".to_owned(), created: 0, include_usage: false };
        let reason = |from, body: &str| {
            let answer = answer_to_nothing(from, &Bytes::copy_from_slice(body.as_bytes()), &label)?;
            let answer: Value = serde_json::from_slice(&answer).expect("JSON");
            assert_eq!(answer["done"], true);
            Some(answer["done_reason"].as_str().expect("a word").to_owned())
        };
        let (chat, generate) = (Endpoint::OllamaChat, Endpoint::OllamaGenerate);
        assert_eq!(reason(generate, r#"{"model":"m"}"#).as_deref(), Some("load"));
        assert_eq!(reason(generate, r#"{"model":"m","prompt":"","keep_alive":0}"#).as_deref(), Some("unload"));
        assert_eq!(reason(chat, r#"{"model":"m","messages":[]}"#).as_deref(), Some("load"));
        assert_eq!(reason(generate, r#"{"model":"m","prompt":"hi"}"#), None);
        assert_eq!(reason(Endpoint::ChatCompletions, r#"{"model":"m","messages":[]}"#), None);
    }
}

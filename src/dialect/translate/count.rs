//! How many tokens a prompt has: asked in another dialect, or estimated where the backend cannot be asked.

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::chat::{Garbled, Part};
use super::super::{anthropic, google};
use super::{Told, Untranslated};
use crate::exchange::{Dialect, Endpoint};

pub(super) fn request(from: Endpoint, to: Endpoint, body: &str, model: &str) -> Result<Vec<u8>, Untranslated> {
    let decoded = match from.dialect() {
        Dialect::Google => google::decode_count(body)?,
        _ => anthropic::decode_count(body)?,
    };
    if !decoded.uncarried.is_empty() {
        return Err(Untranslated::Unsupported(decoded.uncarried));
    }
    Ok(match to.dialect() {
        Dialect::Google => google::encode_count(&decoded.request, model)?,
        _ => anthropic::encode_count(&decoded.request, model)?,
    })
}

pub(super) fn reply(from: Endpoint, to: Endpoint, body: &[u8]) -> Result<Told, Garbled> {
    let (dialect, key) = match to.dialect() {
        Dialect::Google => ("google", "totalTokens"),
        _ => ("anthropic", "input_tokens"),
    };
    let garbled = |what: &str| Garbled { dialect, what: what.to_owned() };
    let reply: Value = serde_json::from_slice(body).map_err(|_| garbled("no JSON"))?;
    let tokens = reply.get(key).and_then(Value::as_u64).ok_or_else(|| garbled("no count"))?;
    Ok(Told { body: told(from, tokens), usage: None })
}

/// Bytes of text in a prompt that is to be counted; 0 where it cannot be read.
pub fn prompt_bytes(from: Endpoint, body: &[u8]) -> u64 {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let decoded = match from.dialect() {
        Dialect::Google => google::decode_count(text),
        _ => anthropic::decode_count(text),
    };
    let parts = decoded.into_iter().flat_map(|decoded| decoded.request.messages).flat_map(|message| message.parts);
    parts.map(|part| bytes_of(&part)).sum()
}

fn bytes_of(part: &Part) -> u64 {
    let bytes = match part {
        Part::Text(text) | Part::Refusal(text) | Part::Reasoning { text, .. } => text.len(),
        Part::ToolCall { name, arguments, .. } => name.len() + arguments.get().len(),
        Part::ToolResult { content, .. } => return content.iter().map(bytes_of).sum(),
        Part::Media(_) => 0,
    };
    bytes as u64
}

/// `tokens` as an answer to `from`.
pub fn told(from: Endpoint, tokens: u64) -> Bytes {
    let reply = match from.dialect() {
        Dialect::Google => json!({ "totalTokens": tokens }),
        _ => json!({ "input_tokens": tokens }),
    };
    reply.to_string().into()
}

//! How many tokens a prompt has: asked in another dialect, or estimated where the backend cannot be asked.

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::chat::Garbled;
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

/// `tokens` as an answer to `from`.
pub fn told(from: Endpoint, tokens: u64) -> Bytes {
    let reply = match from.dialect() {
        Dialect::Google => json!({ "totalTokens": tokens }),
        _ => json!({ "input_tokens": tokens }),
    };
    reply.to_string().into()
}

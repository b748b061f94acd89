//! Embeddings, from one dialect into another.

use super::super::chat::{EmbedReply, EmbedRequest, Garbled, Label};
use super::super::observe::Usage;
use super::super::{google, ollama, openai};
use super::{Told, Untranslated};
use crate::exchange::{Dialect, Endpoint};

/// The request, and whether its client wants base64.
pub(super) fn request(from: Endpoint, to: Endpoint, body: &str, model: &str) -> Result<(Vec<u8>, bool), Untranslated> {
    let (request, uncarried) = decode(from, body)?;
    if !uncarried.is_empty() {
        return Err(Untranslated::Unsupported(uncarried));
    }
    let body = match to.dialect() {
        Dialect::Google => google::encode_embed_request(&request, model)?,
        Dialect::Ollama => ollama::encode_embed_request(&request, model),
        _ => openai::encode_embed_request(&request, model)?,
    };
    Ok((body, request.base64))
}

fn decode(from: Endpoint, body: &str) -> Result<(EmbedRequest, Vec<String>), Untranslated> {
    Ok(match from {
        Endpoint::OllamaEmbed => ollama::decode_embed_request(body)?,
        Endpoint::OllamaEmbeddings => ollama::decode_embeddings_request(body)?,
        Endpoint::EmbedContent => (google::decode_embed_request(body, false)?, Vec::new()),
        Endpoint::BatchEmbedContents => (google::decode_embed_request(body, true)?, Vec::new()),
        _ => openai::decode_embed_request(body)?,
    })
}

pub(super) fn reply(from: Endpoint, to: Endpoint, body: &[u8], label: &Label, base64: bool) -> Result<Told, Garbled> {
    let reply = match to.dialect() {
        Dialect::Google => google::decode_embed_reply(body)?,
        Dialect::Ollama => ollama::decode_embed_reply(body)?,
        _ => openai::decode_embed_reply(body)?,
    };
    let usage =
        reply.prompt_tokens.map(|tokens| Usage { prompt_tokens: tokens, total_tokens: tokens, ..Usage::default() });
    Ok(Told { body: encode(from, &reply, label, base64).into(), usage })
}

fn encode(from: Endpoint, reply: &EmbedReply, label: &Label, base64: bool) -> Vec<u8> {
    match from {
        Endpoint::OllamaEmbed => ollama::encode_embed_reply(reply, label),
        Endpoint::OllamaEmbeddings => ollama::encode_embeddings_reply(reply),
        Endpoint::EmbedContent => google::encode_embed_reply(reply, false),
        Endpoint::BatchEmbedContents => google::encode_embed_reply(reply, true),
        _ => openai::encode_embed_reply(reply, label, base64),
    }
}

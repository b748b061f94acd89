//! Which decoder and which encoder an endpoint has. A table.

use super::super::chat::{ChatReply, ChatRequest, Decoded, Garbled, Label, StreamDecoder, StreamEncoder, Unsupported};
use super::super::inspect::BadRequest;
use super::super::{anthropic, google, ollama, openai, responses};
use super::Ways;
use crate::exchange::{Dialect, Endpoint};

pub(super) fn decode_request(from: Endpoint, body: &str) -> Result<Decoded, BadRequest> {
    match from {
        Endpoint::OllamaGenerate => ollama::decode_generate(body),
        Endpoint::StreamContent | Endpoint::StreamContentArray => google::decode_request(body, true),
        _ => match from.dialect() {
            Dialect::OpenAi => openai::decode_request(body),
            Dialect::Responses => responses::decode_request(body),
            Dialect::Anthropic => anthropic::decode_request(body),
            Dialect::Google => google::decode_request(body, false),
            Dialect::Ollama => ollama::decode_request(body),
        },
    }
}

pub(super) fn encode_request(
    to: Endpoint,
    request: &ChatRequest,
    model: &str,
    ways: &Ways,
) -> Result<Vec<u8>, Unsupported> {
    match to.dialect() {
        Dialect::Anthropic => anthropic::encode_request(request, model),
        Dialect::Google => google::encode_request(request, model),
        Dialect::Ollama => ollama::encode_request(request, model),
        Dialect::OpenAi | Dialect::Responses => {
            let limit = match ways.max_completion_tokens {
                true => openai::Limit::MaxCompletionTokens,
                false => openai::Limit::MaxTokens,
            };
            openai::encode_request_for(request, model, limit)
        }
    }
}

pub(super) fn decode_reply(to: Endpoint, body: &[u8]) -> Result<ChatReply, Garbled> {
    match to.dialect() {
        Dialect::Anthropic => anthropic::decode_reply(body),
        Dialect::Google => google::decode_reply(body),
        Dialect::Ollama => ollama::decode_reply(body),
        Dialect::OpenAi | Dialect::Responses => openai::decode_reply(body),
    }
}

pub(super) fn decoder(to: Endpoint) -> Box<dyn StreamDecoder> {
    match to.dialect() {
        Dialect::Anthropic => Box::new(anthropic::Decoder::default()),
        Dialect::Google => Box::new(google::Decoder::default()),
        Dialect::Ollama => Box::new(ollama::Decoder::default()),
        Dialect::OpenAi | Dialect::Responses => Box::new(openai::Decoder::default()),
    }
}

pub(super) fn encode_reply(from: Endpoint, reply: &ChatReply, label: &Label) -> Vec<u8> {
    match from {
        Endpoint::OllamaGenerate => ollama::encode_generate_reply(reply, label),
        _ => match from.dialect() {
            Dialect::OpenAi => openai::encode_reply(reply, label),
            Dialect::Responses => responses::encode_reply(reply, label),
            Dialect::Anthropic => anthropic::encode_reply(reply, label),
            Dialect::Google => google::encode_reply(reply, label),
            Dialect::Ollama => ollama::encode_reply(reply, label),
        },
    }
}

pub(super) fn encoder(from: Endpoint, label: Label) -> Box<dyn StreamEncoder> {
    match from {
        Endpoint::OllamaGenerate => Box::new(ollama::Encoder::generate(label)),
        Endpoint::StreamContentArray => Box::new(google::ArrayEncoder::new(label)),
        _ => match from.dialect() {
            Dialect::OpenAi => Box::new(openai::Encoder::new(label)),
            Dialect::Responses => Box::new(responses::Encoder::new(label)),
            Dialect::Anthropic => Box::new(anthropic::Encoder::new(label)),
            Dialect::Google => Box::new(google::Encoder::new(label)),
            Dialect::Ollama => Box::new(ollama::Encoder::new(label)),
        },
    }
}

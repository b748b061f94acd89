//! Ollama's native API: `/api/chat`, `/api/generate`, the two endpoints for embeddings, and the answers that describe
//! models. Streams are lines of JSON, and a request is streamed unless it says otherwise. No bytes move here.
//!
//! A message has one text, and its pictures apart from it: texts beside each other are joined by an empty line, and
//! which picture stood between which texts cannot be said.

mod ask;
mod calls;
mod clock;
mod compact;
mod embed;
mod history;
mod images;
mod loose;
mod options;
mod reply;
mod request;
mod say;
mod stream;
mod tags;
#[cfg(test)]
mod tests;
mod turns;
mod wire;

pub use ask::encode_request;
pub use embed::{
    decode_embed_reply, decode_embed_request, decode_embeddings_request, encode_embed_reply, encode_embed_request,
    encode_embeddings_reply,
};
pub use reply::{Decoder, decode_reply};
pub use request::{decode_generate, decode_request};
pub use say::{encode_generate_reply, encode_reply};
pub use stream::Encoder;
pub use tags::{Capability, Details, ModelInfo, Running, RunningModel, Show, Tag, Tags, Version};

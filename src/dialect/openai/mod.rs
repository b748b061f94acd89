//! OpenAI's chat completions and embeddings, as OpenAI and the many servers that are compatible with it speak them: their
//! bodies to and from the canonical form. What a body asks for in passing, for routing, is read elsewhere.
//!
//! Clients are read to the letter and told what is wrong. Backends are read leniently: they differ in what they leave out.

mod ask;
mod body;
mod calls;
mod content;
mod decoder;
mod embed;
mod encoder;
mod loose;
mod media;
mod messages;
mod reply;
mod request;
mod said;
mod tell;
mod turns;
mod usage;
mod vectors;

#[cfg(test)]
mod tests;

pub use ask::{Limit, encode_request, encode_request_for};
pub use decoder::Decoder;
pub use embed::{decode_embed_request, encode_embed_request};
pub use encoder::Encoder;
pub use reply::{decode_reply, encode_reply};
pub use request::decode_request;
pub use vectors::{decode_embed_reply, encode_embed_reply};

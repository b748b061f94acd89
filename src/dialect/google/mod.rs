//! Google's Gemini API (`generateContent`, `streamGenerateContent`, `countTokens`, `embedContent`,
//! `batchEmbedContents`; v1 and v1beta) to and from the canonical form. The model and whether the answer streams stand
//! in the path there, so that neither is in a body.
//!
//! What the dialect has no place for and what is dropped in encoding: `strict`, the name and description of a format,
//! `user`, `keep_alive`, the detail and the name of media, signatures that are no base64. What is approximated: effort
//! becomes a budget; several system messages become one instruction; texts of one tool result are joined by a line feed.
//! What is dropped in decoding: a `thoughtSignature` on any part but a thought, which the canonical form has no place for.

mod answer;
mod ask;
mod calls;
mod contents;
mod embed;
mod media;
mod outcome;
mod reply;
mod request;
mod schema;
mod settings;
mod stream;
mod turns;
mod values;
mod wire;
mod written;

#[cfg(test)]
mod tests;

pub use answer::encode_reply;
pub use ask::{encode_count, encode_request};
pub use embed::{decode_embed_reply, decode_embed_request, encode_embed_reply, encode_embed_request};
pub use reply::{Decoder, decode_reply};
pub use request::{decode_count, decode_request};
pub use stream::{ArrayEncoder, Encoder};

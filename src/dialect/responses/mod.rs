//! OpenAI's Responses API, as clients speak it: what they ask is read into the canonical form, and what a model answers
//! is written for them. Backends that have this API get their bytes relayed, so nothing here asks one or reads its
//! answer.
//!
//! Nothing is kept between two requests: whoever points to an earlier answer or a conversation is told to send it all.

mod answer;
mod conversation;
mod event;
mod item;
mod media;
mod part;
mod request;
mod shape;
mod stream;
mod wire;

pub use answer::encode_reply;
pub use request::decode_request;
pub use stream::Encoder;

//! Anthropic's Messages dialect (`/v1/messages`), as its clients speak it and as its API answers. Translates to and
//! from the canonical form of [`crate::dialect::chat`]; sends nothing and knows no other dialect.
//!
//! What this dialect says in other words than the canonical form, or not at all, is told at [`encode_request`].

mod ask;
mod block;
mod blocks;
mod history;
mod messages;
mod reply;
mod request;
mod settings;
mod shapes;
mod stream;
mod usage;
mod wire;
mod write;
mod written;

#[cfg(test)]
mod tests;

pub use ask::{encode_count, encode_request};
pub use reply::{decode_reply, encode_reply};
pub use request::{decode_count, decode_request};
pub use stream::Decoder;
pub use write::Encoder;

use crate::dialect::chat::Garbled;

/// What came from a backend is no answer of this dialect.
fn garbled(what: impl Into<String>) -> Garbled {
    Garbled { dialect: "an Anthropic message", what: what.into() }
}

/// The same, where it is not even JSON of its shape.
fn unreadable(error: &serde_json::Error) -> Garbled {
    garbled(format!("unreadable at line {}, column {}", error.line(), error.column()))
}

//! The one form that every dialect is translated through: what is asked of a model, and what it answers as it is made.
//! Each dialect has one decoder into it and one encoder out of it, never one per pair. What a dialect cannot say is
//! refused by name before anything is sent; nothing is lost quietly.
//!
//! The form is normal: two bodies that ask the same are the same here. A field that stands at its neutral value (a penalty
//! of 0, `n` of 1) is like one that is not there.

mod codec;
mod embed;
mod json;
mod reply;
mod request;
mod trouble;

pub use codec::{Label, StreamDecoder, StreamEncoder};
pub use embed::{EmbedReply, EmbedRequest};
pub use json::{Hint, Json};
pub use reply::{ChatEvent, ChatReply, Finish, ReplyPart, Spoken, Took};
pub use request::{
    ChatRequest, Decoded, Effort, Format, Media, MediaKind, Message, Part, Reasoning, Role, Sampling, Source, Tool,
    ToolChoice,
};
pub use trouble::{Garbled, Unsupported, read_body};

//! What every dialect brings along to be translated, so that one pipeline serves all of them. State machines without
//! I/O: bytes in, events out, and the other way round.

use super::{ChatEvent, Garbled};

/// What a client's reply is told under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// 26 characters, unlike those of every other reply; dialects put their own prefix in front (`chatcmpl-`, `msg_`).
    pub id: String,
    /// The model, as the backend was asked for it.
    pub model: String,
    /// Seconds since 1970.
    pub created: u64,
    /// The client asked that its stream say what was used; only OpenAI's chat completions ask.
    pub include_usage: bool,
}

/// Reads a backend's stream.
pub trait StreamDecoder: Send {
    /// Takes the data of one event: of a server-sent event what stands behind `data:`, of NDJSON a line. Errors that a
    /// backend sends in its stream do not come here.
    ///
    /// # Errors
    /// It is nothing that the dialect has.
    fn event(&mut self, data: &[u8], each: &mut dyn FnMut(ChatEvent)) -> Result<(), Garbled>;

    /// Whether the answer has come to its proper end: one that ends otherwise was cut.
    fn is_complete(&self) -> bool;
}

/// Writes a client's stream.
pub trait StreamEncoder: Send {
    /// Writes whatever `event` makes, with the framing of the dialect. [`ChatEvent::Start`] comes first and once, but an
    /// encoder must do without it; [`ChatEvent::Finish`] comes once, and usage may come before and after.
    fn event(&mut self, event: ChatEvent, out: &mut Vec<u8>);

    /// The answer is whole: writes what its dialect ends with. Nothing comes after it.
    fn end(&mut self, out: &mut Vec<u8>);
}

//! What a reply says in passing: tokens used, events seen, whether it came to its end. It reads a copy of bytes that are
//! on their way already; it may neither delay nor edit them, and its memory is bounded.

#[cfg(test)]
mod tests;
mod usage;

use memchr::memmem;

pub use self::usage::Usage;
use super::framing::Events;

/// How much of the end of a whole reply is kept to look for usage in.
const TAIL: usize = 64 * 1024;

/// How much of the beginning of a larger reply is kept: some servers tell usage before the data.
const HEAD: usize = 8 * 1024;

/// How a reply comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// One JSON body.
    Whole,
    /// Server-sent events.
    Stream,
}

/// What a reply said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Tokens used, if it told.
    pub usage: Option<Usage>,
    /// It was a stream and ended with `[DONE]`.
    pub done: bool,
    /// Events of a stream that carried data; `[DONE]` is none.
    pub events: u64,
    /// It is a stream and stands between two events; what is written next is an event of its own.
    pub at_boundary: bool,
}

/// Reads a reply in passing.
#[derive(Debug)]
pub struct Observer {
    form: Form,
    usage: Option<Usage>,
    done: bool,
    finished: bool,
    events: u64,
}

#[derive(Debug)]
enum Form {
    Whole { head: Vec<u8>, tail: Vec<u8> },
    Stream(Events),
}

impl Observer {
    /// An observer of one reply.
    pub fn new(kind: ReplyKind) -> Self {
        let form = match kind {
            ReplyKind::Whole => Form::Whole { head: Vec::new(), tail: Vec::new() },
            ReplyKind::Stream => Form::Stream(Events::default()),
        };
        Observer { form, usage: None, done: false, finished: false, events: 0 }
    }

    /// The next bytes of the reply, cut anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        match &mut self.form {
            Form::Whole { head, tail } => keep(head, tail, bytes),
            Form::Stream(events) => events.push(bytes, |data| {
                if data == b"[DONE]" {
                    self.done = true;
                } else {
                    self.events += 1;
                    self.usage = usage::find(data).or(self.usage);
                    self.finished |= tells_the_reason_of_its_end(data);
                }
            }),
        }
    }

    /// Whether `[DONE]` has come: whatever happens now, the client has it all.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Whether a stream may end here: with `[DONE]`, or, as some servers do, with the reason why it ends. One that ends
    /// otherwise was cut.
    pub fn is_complete(&self) -> bool {
        self.done || self.finished || matches!(self.form, Form::Whole { .. })
    }

    /// What was seen, now that the reply is over or cut.
    pub fn finish(self) -> Observed {
        let (usage, at_boundary) = match &self.form {
            Form::Whole { head, tail } => (usage::find(tail).or_else(|| usage::find(head)), false),
            Form::Stream(events) => (self.usage, events.at_boundary()),
        };
        Observed { usage, done: self.done, events: self.events, at_boundary }
    }
}

/// Whether an event has a `finish_reason` that is not null.
fn tells_the_reason_of_its_end(data: &[u8]) -> bool {
    const KEY: &[u8] = b"\"finish_reason\"";
    memmem::find_iter(data, KEY).any(|at| {
        let value = data[at + KEY.len()..].trim_ascii_start();
        value.strip_prefix(b":").is_some_and(|value| value.trim_ascii_start().starts_with(b"\""))
    })
}

/// Keeps the last [`TAIL`] bytes at least, and of a reply that is larger the first [`HEAD`].
fn keep(head: &mut Vec<u8>, tail: &mut Vec<u8>, bytes: &[u8]) {
    for piece in bytes.chunks(TAIL) {
        tail.extend_from_slice(piece);
        if tail.len() > 2 * TAIL {
            if head.is_empty() {
                head.extend_from_slice(&tail[..HEAD]);
            }
            tail.drain(..tail.len() - TAIL);
        }
    }
}

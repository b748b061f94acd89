//! What a reply says in passing: tokens used, events seen, whether it came to its end. It reads a copy of bytes that are
//! on their way already; it may neither delay nor edit them, and its memory is bounded.

mod end;
#[cfg(test)]
mod tests;
mod usage;

pub use self::usage::Usage;

/// What a chunk of OpenAI's dialect says was used.
pub(super) fn usage_in(data: &[u8]) -> Option<Spoken> {
    usage::find(data, Dialect::OpenAi)
}
use super::chat::Spoken;
use super::framing::{Events, Lines};
use crate::exchange::Dialect;
use end::End;

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
    /// Lines of JSON.
    Lines,
}

/// What a reply said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Tokens used, if it told.
    pub usage: Option<Usage>,
    /// It was a stream and ended with the last event that its dialect has, as `[DONE]`.
    pub done: bool,
    /// It was a stream in which its backend said that it failed.
    pub failed: bool,
    /// Events of a stream that carried data; `[DONE]` is none.
    pub events: u64,
    /// It is a stream and stands between two events; what is written next is an event of its own.
    pub at_boundary: bool,
}

/// Reads a reply in passing.
#[derive(Debug)]
pub struct Observer {
    dialect: Dialect,
    form: Form,
    spoken: Spoken,
    done: bool,
    failed: bool,
    finished: bool,
    events: u64,
}

#[derive(Debug)]
enum Form {
    Whole { head: Vec<u8>, tail: Vec<u8> },
    Stream(Events),
    Lines(Lines),
}

impl Observer {
    /// An observer of one reply of `dialect`.
    pub fn new(kind: ReplyKind, dialect: Dialect) -> Self {
        let form = match kind {
            ReplyKind::Whole => Form::Whole { head: Vec::new(), tail: Vec::new() },
            ReplyKind::Stream => Form::Stream(Events::default()),
            ReplyKind::Lines => Form::Lines(Lines::default()),
        };
        Observer { dialect, form, spoken: Spoken::default(), done: false, failed: false, finished: false, events: 0 }
    }

    /// The next bytes of the reply, cut anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut see = |data: &[u8]| {
            if data == b"[DONE]" {
                self.done = true;
                return;
            }
            self.events += 1;
            if let Some(spoken) = usage::find(data, self.dialect) {
                self.spoken.add(spoken);
            }
            match end::seen(data, self.dialect) {
                End::Last => self.done = true,
                End::Failed => (self.done, self.failed) = (true, true),
                End::Reason => self.finished = true,
                End::No => {}
            }
        };
        match &mut self.form {
            Form::Whole { head, tail } => keep(head, tail, bytes),
            Form::Stream(events) => events.push(bytes, see),
            Form::Lines(lines) => lines.push(bytes, &mut see),
        }
    }

    /// Whether the last event has come: whatever happens now, the client has it all.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the backend said in its stream that it failed.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Whether a stream may end here: with its last event, or, as some servers do, with the reason why it ends. One that ends
    /// otherwise was cut.
    pub fn is_complete(&self) -> bool {
        self.done || self.finished || matches!(self.form, Form::Whole { .. })
    }

    /// What was seen, now that the reply is over or cut.
    pub fn finish(self) -> Observed {
        let dialect = self.dialect;
        let (spoken, at_boundary) = match &self.form {
            Form::Whole { head, tail } => {
                let found = usage::find(tail, dialect).or_else(|| usage::find(head, dialect));
                (found.unwrap_or_default(), false)
            }
            Form::Stream(events) => (self.spoken, events.at_boundary()),
            Form::Lines(lines) => (self.spoken, lines.at_boundary()),
        };
        let usage = (!spoken.is_empty()).then(|| spoken.into());
        Observed { usage, done: self.done, failed: self.failed, events: self.events, at_boundary }
    }
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

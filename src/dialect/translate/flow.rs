//! A stream on its way from one dialect into another: bytes in, cut anywhere, bytes out. It holds no more than one event.

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use serde_json::Value;

use super::super::chat::{ChatEvent, ChatReply, Garbled, Label, Spoken, StreamDecoder, StreamEncoder, Took};
use super::super::fault::Fault;
use super::super::framing::{Events, Lines};
use super::super::observe::Usage;
use super::pair;
use crate::exchange::{Dialect, Endpoint};

/// The largest event of a backend that is read.
const MAX_EVENT: usize = 16 << 20;

/// A stream in translation.
pub struct Flow {
    from: Endpoint,
    frames: Frames,
    decoder: Box<dyn StreamDecoder>,
    encoder: Box<dyn StreamEncoder>,
    spoken: Spoken,
    state: State,
    /// Something was written.
    is_begun: bool,
}

enum Frames {
    Events(Events),
    Lines(Lines),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Flowing,
    /// The backend said in its stream that it failed; the client has been told.
    Failed,
}

impl Frames {
    fn of(to: Endpoint) -> Self {
        match to.dialect() {
            Dialect::Ollama => Frames::Lines(Lines::up_to(MAX_EVENT)),
            _ => Frames::Events(Events::up_to(MAX_EVENT)),
        }
    }

    fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) {
        match self {
            Frames::Events(events) => events.push(bytes, each),
            Frames::Lines(lines) => lines.push(bytes, &mut each),
        }
    }
}

impl Flow {
    pub(super) fn new(from: Endpoint, to: Endpoint, label: Label) -> Self {
        Flow {
            from,
            frames: Frames::of(to),
            decoder: pair::decoder(to),
            encoder: pair::encoder(from, label),
            spoken: Spoken::default(),
            state: State::Flowing,
            is_begun: false,
        }
    }

    /// Takes the next bytes of the backend, and writes what they make for the client.
    ///
    /// # Errors
    /// They are nothing that the backend's dialect has.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Garbled> {
        let Flow { frames, decoder, encoder, spoken, state, from, is_begun } = self;
        let (mut result, before) = (Ok(()), out.len());
        frames.push(bytes, |data| {
            if result.is_err() || *state == State::Failed {
                return;
            }
            if let Some(fault) = failure(data) {
                *state = State::Failed;
                let is_first = !*is_begun && out.len() == before;
                out.extend_from_slice(&last_words(&fault, *from, is_first));
                return;
            }
            result = decoder.event(data, &mut |event| {
                if let ChatEvent::Usage(said) = &event {
                    spoken.add(*said);
                }
                encoder.event(event, out);
            });
        });
        *is_begun |= out.len() > before;
        result
    }

    /// The backend has nothing more to say: writes what the client's dialect ends with. `false` where the answer has not
    /// come to its end: it was cut, and nothing is written.
    pub fn end(&mut self, out: &mut Vec<u8>) -> bool {
        if self.state == State::Failed {
            return true;
        }
        // Some servers end their last event with the stream.
        let _ = self.push(b"\n\n", out);
        if !self.decoder.is_complete() {
            return false;
        }
        self.encoder.end(out);
        true
    }

    /// How long the answer took, for dialects that tell; to be said before its end.
    pub fn took(&mut self, took: Took) {
        if !self.is_begun {
            return;
        }
        // Usage is told at the end, so this writes nothing.
        let spoken = Spoken { took: Some(took), ..Spoken::default() };
        self.encoder.event(ChatEvent::Usage(spoken), &mut Vec::new());
    }

    /// Whether the backend said in its stream that it failed.
    pub fn has_failed(&self) -> bool {
        self.state == State::Failed
    }

    /// What was used so far.
    pub fn usage(&self) -> Option<Usage> {
        (!self.spoken.is_empty()).then(|| self.spoken.into())
    }
}

/// How a client of `from` is told, inside a stream, that it failed.
fn last_words(fault: &Fault, from: Endpoint, is_first: bool) -> Bytes {
    if from != Endpoint::StreamContentArray {
        return fault.event(from.dialect(), true);
    }
    let mut last = BytesMut::from(if is_first { "[" } else { ",\n" });
    last.extend_from_slice(&fault.body(from.dialect()));
    last.extend_from_slice(b"\n]");
    last.freeze()
}

/// What a backend that sends `data` says went wrong, if it is that.
pub fn failure(data: &[u8]) -> Option<Fault> {
    let start = data.trim_ascii_start();
    let may_be = start.starts_with(b"{\"error\"") || memchr::memmem::find(data, b"\"error\"").is_some();
    if !may_be {
        return None;
    }
    let value: Value = serde_json::from_slice(data).ok()?;
    let error = value.get("error").filter(|error| !error.is_null())?;
    Some(Fault::told(status_of(error), data))
}

/// A stream that has begun has no status of its own any more: some errors tell in it what it would have been, and clients
/// judge by that whether to try again.
fn status_of(error: &Value) -> StatusCode {
    let code = error.get("code").and_then(Value::as_u64).filter(|code| (400..600).contains(code));
    let by_code = code.and_then(|code| StatusCode::from_u16(u16::try_from(code).ok()?).ok());
    let by_type = match error.get("type").and_then(Value::as_str) {
        Some("overloaded_error") => Some(StatusCode::SERVICE_UNAVAILABLE),
        Some("rate_limit_error" | "rate_limit_exceeded") => Some(StatusCode::TOO_MANY_REQUESTS),
        _ => None,
    };
    by_code.or(by_type).unwrap_or(StatusCode::BAD_GATEWAY)
}

/// The whole answer that a stream of the backend makes.
pub(super) fn fold(to: Endpoint, body: &[u8]) -> Result<ChatReply, Garbled> {
    let (mut frames, mut decoder) = (Frames::of(to), pair::decoder(to));
    let (mut events, mut result) = (Vec::new(), Ok(()));
    let mut take = |data: &[u8]| {
        if result.is_ok() {
            result = decoder.event(data, &mut |event| events.push(event));
        }
    };
    frames.push(body, &mut take);
    frames.push(b"\n\n", &mut take);
    result?;
    if !decoder.is_complete() {
        return Err(Garbled { dialect: to.dialect().as_str(), what: "the stream was cut".to_owned() });
    }
    Ok(ChatReply::fold(events))
}

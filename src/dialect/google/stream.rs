//! A stream as it is written for a client: server-sent events, or one JSON array where the client did not ask for those.
//! The last event tells why the answer ended and what was used, so that it is written when all is told.

use std::borrow::Cow;

use super::answer::{Answer, UsageMetadata, call_id, finish_reason};
use super::written::Part;
use crate::dialect::chat::{ChatEvent, Finish, Json, Label, Spoken, StreamEncoder};

/// Writes server-sent events: `streamGenerateContent?alt=sse`.
#[derive(Debug)]
pub struct Encoder(Writer);

/// Writes one JSON array of the same events: `streamGenerateContent`.
#[derive(Debug)]
pub struct ArrayEncoder(Writer);

impl Encoder {
    /// A stream told under `label`.
    pub fn new(label: Label) -> Self {
        Encoder(Writer::new(label, Framing::Events))
    }
}

impl ArrayEncoder {
    /// A stream told under `label`.
    pub fn new(label: Label) -> Self {
        ArrayEncoder(Writer::new(label, Framing::Array))
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: ChatEvent, out: &mut Vec<u8>) {
        self.0.event(event, out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.0.end(out);
    }
}

impl StreamEncoder for ArrayEncoder {
    fn event(&mut self, event: ChatEvent, out: &mut Vec<u8>) {
        self.0.event(event, out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.0.end(out);
        out.extend_from_slice(b"]");
    }
}

#[derive(Clone, Copy, Debug)]
enum Framing {
    Events,
    Array,
}

#[derive(Debug)]
struct Writer {
    label: Label,
    framing: Framing,
    is_begun: bool,
    /// Calls that are not written yet: the dialect tells each whole.
    calls: Vec<Call>,
    /// How many calls were told.
    told: usize,
    signature: String,
    used: Spoken,
    finish: Option<Finish>,
}

#[derive(Debug)]
struct Call {
    index: usize,
    id: String,
    name: String,
    arguments: String,
}

impl Writer {
    fn new(label: Label, framing: Framing) -> Self {
        Writer {
            label,
            framing,
            is_begun: false,
            calls: Vec::new(),
            told: 0,
            signature: String::new(),
            used: Spoken::default(),
            finish: None,
        }
    }

    fn event(&mut self, event: ChatEvent, out: &mut Vec<u8>) {
        match event {
            ChatEvent::Start { .. } => {}
            ChatEvent::Usage(used) => self.used.add(used),
            ChatEvent::Text(text) | ChatEvent::Refusal(text) => {
                self.settle(out);
                if !text.is_empty() {
                    self.write(Part::text(&text), out);
                }
            }
            ChatEvent::Reasoning(text) => {
                self.settle(out);
                if !text.is_empty() {
                    self.write(Part::thought(&text, None), out);
                }
            }
            ChatEvent::Signature(more) => self.signature.push_str(&more),
            ChatEvent::ToolCall { index, id, name } => {
                self.write_signature(out);
                self.write_whole_calls(out);
                self.calls.push(Call { index, id, name, arguments: String::new() });
            }
            ChatEvent::Arguments { index, json } => {
                if let Some(call) = self.calls.iter_mut().rfind(|call| call.index == index) {
                    call.arguments.push_str(&json);
                }
            }
            ChatEvent::Finish(finish) => {
                self.settle(out);
                self.finish = Some(finish);
            }
        }
    }

    /// Writes the last event.
    fn end(&mut self, out: &mut Vec<u8>) {
        self.settle(out);
        let reason = finish_reason(self.finish.as_ref());
        let usage = UsageMetadata::of(self.used);
        let last = Answer::new(Vec::new(), Some(reason), usage, &self.label);
        frame(self.framing, &mut self.is_begun, &last, out);
    }

    /// Something else begins, so that all calls and the signature are whole.
    fn settle(&mut self, out: &mut Vec<u8>) {
        self.write_signature(out);
        for call in std::mem::take(&mut self.calls) {
            self.write_call(call, out);
        }
    }

    /// Another call begins. Backends may make calls side by side: those in front that are whole are written.
    fn write_whole_calls(&mut self, out: &mut Vec<u8>) {
        let is_whole = |call: &Call| Json::parse(&call.arguments).is_some_and(|arguments| arguments.is_object());
        let whole = self.calls.iter().take_while(|call| is_whole(call)).count();
        let rest = self.calls.split_off(whole);
        for call in std::mem::replace(&mut self.calls, rest) {
            self.write_call(call, out);
        }
    }

    fn write_signature(&mut self, out: &mut Vec<u8>) {
        if self.signature.is_empty() {
            return;
        }
        let signature = std::mem::take(&mut self.signature);
        let part = Part::thought("", Some(&signature));
        if part.thought_signature.is_some() {
            self.write(part, out);
        }
    }

    fn write_call(&mut self, call: Call, out: &mut Vec<u8>) {
        let id = call_id(Cow::Owned(call.id), self.told, &self.label).into_owned();
        self.told += 1;
        let arguments = Json::arguments(&call.arguments);
        self.write(Part::call(Cow::Owned(id), &call.name, Cow::Owned(arguments)), out);
    }

    fn write(&mut self, part: Part<'_>, out: &mut Vec<u8>) {
        frame(self.framing, &mut self.is_begun, &Answer::new(vec![part], None, None, &self.label), out);
    }
}

/// Writes one event as it stands in the stream.
fn frame(framing: Framing, is_begun: &mut bool, answer: &Answer<'_>, out: &mut Vec<u8>) {
    let is_first = !std::mem::replace(is_begun, true);
    let (before, after): (&[u8], &[u8]) = match framing {
        Framing::Events => (b"data: ", b"\n\n"),
        Framing::Array if is_first => (b"[", b"\n"),
        Framing::Array => (b",\n", b"\n"),
    };
    out.extend_from_slice(before);
    serde_json::to_writer(&mut *out, answer).expect("text, numbers and lists are JSON");
    out.extend_from_slice(after);
}

//! A client's stream out of canonical events, in the order that Anthropic's API keeps: one block after the other, each
//! whole before the next begins.

use std::collections::VecDeque;

use serde::Serialize;

use super::block::{BlockKind, Pending};
use super::reply::{Answer, call_id, reason};
use super::usage::Tell;
use crate::dialect::chat::{ChatEvent, Finish, Label, Spoken, StreamEncoder};

/// Writes the events of `/v1/messages` with `stream`. What belongs to a block whose turn has not come is kept until it
/// has: the next call, while the arguments of one are not whole.
pub struct Encoder {
    label: Label,
    is_begun: bool,
    /// The first is the one being written.
    blocks: VecDeque<Pending>,
    /// How many blocks are written.
    written: usize,
    calls: usize,
    usage: Spoken,
    finish: Option<Finish>,
}

#[derive(Serialize)]
struct MessageStart<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: Answer<'a>,
}

#[derive(Serialize)]
struct MessageDelta<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    delta: Ending<'a>,
    usage: Tell,
}

#[derive(Serialize)]
struct Ending<'a> {
    stop_reason: &'a str,
    stop_sequence: Option<&'a str>,
}

#[derive(Serialize)]
struct MessageStop {
    #[serde(rename = "type")]
    kind: &'static str,
}

/// Writes one event with its framing.
pub(super) fn frame(name: &str, data: &impl Serialize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    serde_json::to_writer(&mut *out, data).expect("texts and numbers can be written");
    out.extend_from_slice(b"\n\n");
}

impl Encoder {
    /// One for the answer that `label` is about.
    pub fn new(label: Label) -> Self {
        Encoder {
            label,
            is_begun: false,
            blocks: VecDeque::new(),
            written: 0,
            calls: 0,
            usage: Spoken::default(),
            finish: None,
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.is_begun, true) {
            return;
        }
        let message = Answer {
            id: format!("msg_{}", self.label.id),
            kind: "message",
            role: "assistant",
            model: &self.label.model,
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage: self.usage.into(),
        };
        frame("message_start", &MessageStart { kind: "message_start", message }, out);
    }

    /// The block that `kind` goes on in: the last, or a new one.
    fn block(&mut self, kind: BlockKind) -> &mut Pending {
        if !self.blocks.back().is_some_and(|last| last.takes(&kind)) {
            self.blocks.push_back(Pending::new(kind));
        }
        self.blocks.back_mut().expect("it was pushed where there was none")
    }

    /// Writes whatever may be written by now.
    fn advance(&mut self, out: &mut Vec<u8>) {
        while let Some(first) = self.blocks.front_mut() {
            first.write(self.written, out);
            if self.blocks.len() == 1 || !self.blocks[0].is_whole() {
                return;
            }
            self.close(out);
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if let Some(first) = self.blocks.pop_front() {
            first.close(self.written, out);
            self.written += 1;
        }
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        while let Some(first) = self.blocks.front_mut() {
            first.write(self.written, out);
            self.close(out);
        }
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: ChatEvent, out: &mut Vec<u8>) {
        if let ChatEvent::Usage(usage) = event {
            self.usage.add(usage);
            return;
        }
        self.begin(out);
        match event {
            ChatEvent::Text(more) | ChatEvent::Refusal(more) if !more.is_empty() => {
                self.block(BlockKind::Text).add(&more);
            }
            ChatEvent::Reasoning(more) if !more.is_empty() => {
                self.block(BlockKind::Thinking { is_signed: false }).add(&more)
            }
            ChatEvent::Signature(more) if !more.is_empty() => {
                self.block(BlockKind::Thinking { is_signed: true }).sign(&more)
            }
            ChatEvent::ToolCall { index, id, name } => {
                let id = call_id(&id, &self.label, self.calls).into_owned();
                self.calls += 1;
                self.blocks.push_back(Pending::new(BlockKind::Call { index, id, name }));
            }
            ChatEvent::Arguments { index, json } => {
                if let Some(call) = self.blocks.iter_mut().rfind(|block| block.is_call(index)) {
                    call.add(&json);
                }
            }
            ChatEvent::Finish(finish) => {
                self.finish = Some(finish);
                self.flush(out);
            }
            _ => {}
        }
        self.advance(out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        self.flush(out);
        let usual = if self.calls > 0 { Finish::ToolCalls } else { Finish::Stop };
        let finish = self.finish.take().unwrap_or(usual);
        let (stop_reason, stop_sequence) = reason(&finish);
        let delta = Ending { stop_reason, stop_sequence };
        frame("message_delta", &MessageDelta { kind: "message_delta", delta, usage: self.usage.into() }, out);
        frame("message_stop", &MessageStop { kind: "message_stop" }, out);
    }
}

//! Whole answers: of a backend into the canonical form, and out of it for a client.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::usage::{Tell, Told};
use super::{garbled, unreadable};
use crate::dialect::chat::{ChatEvent, ChatReply, Finish, Garbled, Json, Label, ReplyPart};

/// A message, whole or as a stream begins it.
#[derive(Deserialize)]
pub(super) struct Message {
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    content: Option<Vec<Heard>>,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
    pub(super) usage: Option<Told>,
}

/// A block of an answer, of any type.
#[derive(Deserialize)]
pub(super) struct Heard {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) text: Option<String>,
    pub(super) thinking: Option<String>,
    pub(super) signature: Option<String>,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) input: Option<Json>,
}

impl Heard {
    /// What it says but for the arguments of a call; whether it is one. `calls` is how many there were before.
    pub(super) fn tell(&mut self, calls: usize, each: &mut dyn FnMut(ChatEvent)) -> Result<bool, Garbled> {
        let mut piece = |piece: Option<String>, event: fn(String) -> ChatEvent| {
            if let Some(piece) = piece.filter(|piece| !piece.is_empty()) {
                each(event(piece));
            }
        };
        match self.kind.as_deref() {
            Some("text") => piece(self.text.take(), ChatEvent::Text),
            Some("thinking") => {
                piece(self.thinking.take(), ChatEvent::Reasoning);
                piece(self.signature.take(), ChatEvent::Signature);
            }
            Some("tool_use") => {
                let name = self.name.take().ok_or_else(|| garbled("a call without a name"))?;
                each(ChatEvent::ToolCall { index: calls, id: self.id.take().unwrap_or_default(), name });
                return Ok(true);
            }
            _ => {}
        }
        Ok(false)
    }

    /// The arguments that stand in the block itself.
    pub(super) fn arguments(&self) -> String {
        self.input.as_ref().map_or("{}", |input| if input.get() == "null" { "{}" } else { input.get() }).to_owned()
    }
}

/// Why it ended, in canonical words. A reason that is new counts as an end like any other.
pub(super) fn finish(reason: &str, sequence: Option<String>) -> Finish {
    match (reason, sequence) {
        ("stop_sequence", Some(text)) => Finish::StopSequence(text),
        ("max_tokens" | "model_context_window_exceeded", _) => Finish::Length,
        ("tool_use", _) => Finish::ToolCalls,
        ("refusal", _) => Finish::ContentFilter,
        _ => Finish::Stop,
    }
}

/// The same in the words of this dialect: `stop_reason`, `stop_sequence`.
pub(super) fn reason(finish: &Finish) -> (&'static str, Option<&str>) {
    match finish {
        Finish::Stop => ("end_turn", None),
        Finish::StopSequence(text) => ("stop_sequence", Some(text)),
        Finish::Length => ("max_tokens", None),
        Finish::ToolCalls => ("tool_use", None),
        Finish::ContentFilter => ("refusal", None),
    }
}

/// Reads a whole answer. Redacted thinking, and what a server's own tools did, is passed over.
///
/// # Errors
/// It is no message.
pub fn decode_reply(body: &[u8]) -> Result<ChatReply, Garbled> {
    let message: Message = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    let content = message.content.ok_or_else(|| garbled("no `content`"))?;
    let mut events = vec![ChatEvent::Start { id: message.id, model: message.model }];
    let mut calls = 0;
    for mut block in content {
        if block.tell(calls, &mut |event| events.push(event))? {
            events.push(ChatEvent::Arguments { index: calls, json: block.arguments() });
            calls += 1;
        }
    }
    events.extend(message.usage.map(|usage| ChatEvent::Usage(usage.into())));
    events.extend(message.stop_reason.map(|reason| ChatEvent::Finish(finish(&reason, message.stop_sequence))));
    Ok(ChatReply::fold(events))
}

/// A message as a client reads it.
#[derive(Serialize)]
pub(super) struct Answer<'a> {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) role: &'static str,
    pub(super) model: &'a str,
    pub(super) content: Vec<Block<'a>>,
    pub(super) stop_reason: Option<&'a str>,
    pub(super) stop_sequence: Option<&'a str>,
    pub(super) usage: Tell,
}

/// A block as a client reads it: what its type does not have is `None`.
#[derive(Default, Serialize)]
pub(super) struct Block<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thinking: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) signature: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<Json>,
}

/// The id of a call, which is made up where the backend has none.
pub(super) fn call_id<'a>(id: &'a str, label: &Label, index: usize) -> Cow<'a, str> {
    if id.is_empty() { Cow::Owned(format!("toolu_{}{index}", label.id)) } else { Cow::Borrowed(id) }
}

/// Writes a whole answer. A refusal is written as text, thinking without a signature with an empty one; arguments that
/// are no object stand under the key `arguments`.
pub fn encode_reply(reply: &ChatReply, label: &Label) -> Vec<u8> {
    let mut content = Vec::with_capacity(reply.parts.len());
    let mut calls = 0;
    for part in &reply.parts {
        content.extend(block(part, label, &mut calls));
    }
    let (stop_reason, stop_sequence) = reply.finish.as_ref().map(reason).unzip();
    let answer = Answer {
        id: format!("msg_{}", label.id),
        kind: "message",
        role: "assistant",
        model: &label.model,
        content,
        stop_reason,
        stop_sequence: stop_sequence.flatten(),
        usage: reply.usage.into(),
    };
    serde_json::to_vec(&answer).expect("texts and numbers can be written")
}

fn block<'a>(part: &'a ReplyPart, label: &Label, calls: &mut usize) -> Option<Block<'a>> {
    Some(match part {
        ReplyPart::Text(text) | ReplyPart::Refusal(text) if text.is_empty() => return None,
        ReplyPart::Text(text) | ReplyPart::Refusal(text) => {
            Block { kind: "text", text: Some(text), ..Block::default() }
        }
        ReplyPart::Reasoning { text, signature } => Block {
            kind: "thinking",
            thinking: Some(text),
            signature: Some(signature.as_deref().unwrap_or("")),
            ..Block::default()
        },
        ReplyPart::ToolCall { id, name, arguments } => {
            let index = *calls;
            *calls += 1;
            Block {
                kind: "tool_use",
                id: Some(call_id(id, label, index)),
                name: Some(name),
                input: Some(Json::arguments(arguments)),
                ..Block::default()
            }
        }
    })
}

//! Whole answers: a backend's as the canonical form, and the canonical form as a client's.

use std::borrow::Cow;

use serde::Serialize;

use super::said::{self, Answer, Words, garbled};
use super::tell::{self, Call, Usage};
use crate::dialect::chat::{ChatReply, Garbled, Label, ReplyPart};

/// What a backend answers.
///
/// # Errors
/// It is no answer of this dialect.
pub fn decode_reply(body: &[u8]) -> Result<ChatReply, Garbled> {
    let mut answer: Answer<'_> = said::read(body)?;
    let choice = answer.choice().ok_or_else(|| garbled("it has no choice of index 0"))?;
    let message = choice.message.or(choice.delta).ok_or_else(|| garbled("its choice has no message"))?;
    let words = message.words();
    let calls = !words.calls.is_empty();
    let stop = said::finish(&super::loose::Scalar::Other, calls);
    Ok(ChatReply {
        usage: answer.spoken(),
        id: answer.id.text().map(Cow::into_owned),
        model: answer.model.text().map(Cow::into_owned),
        parts: parts(words)?,
        finish: said::finish(&choice.finish_reason, calls).or(stop),
    })
}

fn parts(words: Words<'_>) -> Result<Vec<ReplyPart>, Garbled> {
    let mut parts = Vec::with_capacity(words.calls.len() + 1);
    if !words.reasoning.is_empty() {
        parts.push(ReplyPart::Reasoning { text: words.reasoning.into_owned(), signature: None });
    }
    if !words.text.is_empty() {
        parts.push(ReplyPart::Text(words.text.into_owned()));
    }
    if !words.refusal.is_empty() {
        parts.push(ReplyPart::Refusal(words.refusal.into_owned()));
    }
    for call in words.calls {
        let nameless = || garbled("a call has no name");
        let function = call.function.ok_or_else(nameless)?;
        let arguments = function.arguments()?;
        let name = function.name.text().ok_or_else(nameless)?.into_owned();
        let id = call.id.text().map_or_else(String::new, Cow::into_owned);
        parts.push(ReplyPart::ToolCall { id, name, arguments });
    }
    Ok(parts)
}

/// What a client is answered.
pub fn encode_reply(reply: &ChatReply, label: &Label) -> Vec<u8> {
    let message = Message::new(reply, label);
    let finish_reason = tell::finish_reason(reply.finish.as_ref(), !message.tool_calls.is_empty());
    let answer = Whole {
        id: tell::id(label),
        object: "chat.completion",
        created: label.created,
        model: reply.model.as_deref().unwrap_or(&label.model),
        choices: [Choice { index: 0, message, logprobs: None, finish_reason }],
        usage: Usage::new(reply.usage),
    };
    serde_json::to_vec(&answer).expect("texts and numbers are JSON")
}

#[derive(Serialize)]
struct Whole<'a> {
    id: String,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [Choice<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u8,
    message: Message<'a>,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Option<String>,
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
}

impl<'a> Message<'a> {
    fn new(reply: &'a ChatReply, label: &Label) -> Self {
        let mut message = Message {
            role: "assistant",
            content: None,
            refusal: None,
            reasoning_content: None,
            tool_calls: Vec::new(),
        };
        for part in &reply.parts {
            let (texts, more) = match part {
                ReplyPart::Text(text) => (&mut message.content, text),
                ReplyPart::Refusal(text) => (&mut message.refusal, text),
                ReplyPart::Reasoning { text, .. } if text.is_empty() => continue,
                ReplyPart::Reasoning { text, .. } => (&mut message.reasoning_content, text),
                ReplyPart::ToolCall { id, name, arguments } => {
                    let index = message.tool_calls.len();
                    message.tool_calls.push(Call::whole(tell::call_id(id, index, label), name, arguments));
                    continue;
                }
            };
            texts.get_or_insert_default().push_str(more);
        }
        if message.refusal.is_none() && message.tool_calls.is_empty() {
            message.content.get_or_insert_default();
        }
        message
    }
}

//! A backend's answer, whole or as it is made. It is read leniently: what is unknown or of no use is passed over.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::value::RawValue;

use super::values::{Whole, compact};
use crate::dialect::chat::{ChatEvent, ChatReply, Finish, Garbled, Spoken, StreamDecoder};

const DIALECT: &str = "an answer of Google's Gemini API";

/// Reads a whole answer.
///
/// # Errors
/// It is none.
pub fn decode_reply(body: &[u8]) -> Result<ChatReply, Garbled> {
    let answer = read(body)?;
    if answer.candidates.as_ref().is_none_or(Vec::is_empty) && !answer.is_blocked() {
        return Err(garbled("it holds no candidates"));
    }
    let mut events = Vec::new();
    Decoder::default().take(answer, &mut |event| events.push(event))?;
    Ok(ChatReply::fold(events))
}

/// Reads a stream, whose every event is an answer of its own.
#[derive(Debug, Default)]
pub struct Decoder {
    is_started: bool,
    is_finished: bool,
    calls: usize,
    used: Spoken,
}

impl StreamDecoder for Decoder {
    fn event(&mut self, data: &[u8], each: &mut dyn FnMut(ChatEvent)) -> Result<(), Garbled> {
        self.take(read(data)?, each)
    }

    fn is_complete(&self) -> bool {
        self.is_finished
    }
}

impl Decoder {
    fn take(&mut self, mut answer: Answer<'_>, each: &mut dyn FnMut(ChatEvent)) -> Result<(), Garbled> {
        if !std::mem::replace(&mut self.is_started, true) {
            each(ChatEvent::Start { id: answer.response_id.take(), model: answer.model_version.take() });
        }
        let is_blocked = answer.is_blocked();
        let used = answer.usage_metadata.map(Spoken::from).unwrap_or_default();
        let candidates = answer.candidates.unwrap_or_default();
        let first = candidates.into_iter().find(|candidate| candidate.index.is_none_or(|index| index == Whole(0)));
        let mut finish = None;
        match first {
            Some(candidate) => {
                let parts = candidate.content.and_then(|content| content.parts).unwrap_or_default();
                for part in parts {
                    self.part(part, each)?;
                }
                finish = candidate.finish_reason.and_then(|reason| finish_of(&reason.0, self.calls > 0));
            }
            None if is_blocked => finish = Some(Finish::ContentFilter),
            None => {}
        }
        if used != self.used && !used.is_empty() {
            self.used = used;
            each(ChatEvent::Usage(used));
        }
        if let Some(finish) = finish.filter(|_| !self.is_finished) {
            self.is_finished = true;
            each(ChatEvent::Finish(finish));
        }
        Ok(())
    }

    fn part(&mut self, part: Part<'_>, each: &mut dyn FnMut(ChatEvent)) -> Result<(), Garbled> {
        if let Some(call) = part.function_call {
            let name = call.name.filter(|name| !name.is_empty()).ok_or_else(|| garbled("a call has no name"))?;
            let index = self.calls;
            self.calls += 1;
            each(ChatEvent::ToolCall { index, id: call.id.unwrap_or_default(), name });
            let json = call.args.map_or_else(|| "{}".to_owned(), |arguments| compact(arguments.get()));
            each(ChatEvent::Arguments { index, json });
            return Ok(());
        }
        let text = part.text.unwrap_or_default();
        if part.thought != Some(true) {
            if !text.is_empty() {
                each(ChatEvent::Text(text));
            }
            return Ok(());
        }
        let signature = part.thought_signature.filter(|signature| !signature.is_empty());
        if !text.is_empty() || signature.is_some() {
            each(ChatEvent::Reasoning(text));
        }
        if let Some(signature) = signature {
            each(ChatEvent::Signature(signature));
        }
        Ok(())
    }
}

/// What a reason means; `None` where it is that there is none yet.
fn finish_of(reason: &str, has_calls: bool) -> Option<Finish> {
    Some(match reason {
        "" | "0" | "FINISH_REASON_UNSPECIFIED" => return None,
        "STOP" | "1" if has_calls => Finish::ToolCalls,
        "MAX_TOKENS" | "2" => Finish::Length,
        "SAFETY" | "3" | "RECITATION" | "4" | "BLOCKLIST" | "7" | "PROHIBITED_CONTENT" | "8" | "SPII" | "9" => {
            Finish::ContentFilter
        }
        "IMAGE_SAFETY" | "IMAGE_PROHIBITED_CONTENT" | "IMAGE_RECITATION" | "MODEL_ARMOR" => Finish::ContentFilter,
        _ => Finish::Stop,
    })
}

fn read(body: &[u8]) -> Result<Answer<'_>, Garbled> {
    serde_json::from_slice(body).map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Data => "a field has another type",
            _ => "it is not JSON",
        };
        garbled(&format!("{what} (line {}, column {})", error.line(), error.column()))
    })
}

/// What came is not what it should be.
pub(super) fn garbled(what: &str) -> Garbled {
    Garbled { dialect: DIALECT, what: what.to_owned() }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    #[serde(borrow)]
    candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow)]
    prompt_feedback: Option<PromptFeedback<'a>>,
    usage_metadata: Option<UsageMetadata>,
    response_id: Option<String>,
    model_version: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(borrow)]
    content: Option<Content<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Code<'a>>,
    index: Option<Whole>,
}

#[derive(Debug, Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    parts: Option<Vec<Part<'a>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    text: Option<String>,
    thought: Option<bool>,
    thought_signature: Option<String>,
    #[serde(borrow)]
    function_call: Option<FunctionCall<'a>>,
}

#[derive(Debug, Deserialize)]
struct FunctionCall<'a> {
    id: Option<String>,
    name: Option<String>,
    #[serde(borrow)]
    args: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback<'a> {
    #[serde(borrow)]
    block_reason: Option<Code<'a>>,
}

/// Counts of tokens.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UsageMetadata {
    prompt_token_count: Option<Whole>,
    candidates_token_count: Option<Whole>,
    thoughts_token_count: Option<Whole>,
    cached_content_token_count: Option<Whole>,
}

impl Answer<'_> {
    /// The prompt was refused.
    fn is_blocked(&self) -> bool {
        let reason = self.prompt_feedback.as_ref().and_then(|feedback| feedback.block_reason.as_ref());
        reason.is_some_and(|reason| !matches!(reason.0.as_ref(), "" | "0" | "BLOCK_REASON_UNSPECIFIED"))
    }
}

impl From<UsageMetadata> for Spoken {
    fn from(told: UsageMetadata) -> Self {
        let count = |told: Option<Whole>| told.and_then(Whole::natural);
        let said = count(told.candidates_token_count);
        let thought = count(told.thoughts_token_count);
        let is_told = said.is_some() || thought.is_some();
        let completion = said.unwrap_or(0).saturating_add(thought.unwrap_or(0));
        Spoken {
            took: None,
            prompt_tokens: count(told.prompt_token_count),
            completion_tokens: is_told.then_some(completion),
            cached_tokens: count(told.cached_content_token_count),
            cache_write_tokens: None,
            reasoning_tokens: thought,
        }
    }
}

/// A value of an enumeration: its name, or its number where a server writes that.
#[derive(Debug)]
struct Code<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Code<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(CodeVisitor).map(Code)
    }
}

struct CodeVisitor;

impl<'de> Visitor<'de> for CodeVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word or a number")
    }

    fn visit_borrowed_str<E: Error>(self, word: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(word))
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(word.to_owned()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(number.to_string()))
    }
}

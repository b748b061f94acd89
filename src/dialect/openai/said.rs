//! A backend's answer, whole or a chunk of a stream, field by field as it is read. Servers leave out what they like and
//! have fields of their own; only what cannot be done without is missed.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::loose::{List, Scalar, TextOr, Word};
use super::usage::Usage;
use crate::dialect::chat::{Finish, Garbled, Spoken};

/// A whole answer, or a chunk of one.
#[derive(Deserialize)]
pub(super) struct Answer<'a> {
    #[serde(borrow, default)]
    pub(super) id: Scalar<'a>,
    #[serde(borrow, default)]
    pub(super) model: Scalar<'a>,
    #[serde(borrow, default)]
    choices: List<Choice<'a>>,
    #[serde(borrow)]
    usage: Option<Usage<'a>>,
    /// Groq's place for usage in streams.
    #[serde(borrow)]
    x_groq: Option<Groq<'a>>,
}

#[derive(Deserialize)]
struct Groq<'a> {
    #[serde(borrow)]
    usage: Option<Usage<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(borrow, default)]
    index: Scalar<'a>,
    #[serde(borrow)]
    pub(super) message: Option<Said<'a>>,
    #[serde(borrow)]
    pub(super) delta: Option<Said<'a>>,
    #[serde(borrow, default)]
    pub(super) finish_reason: Scalar<'a>,
}

/// What is said, in whole or in part.
#[derive(Default, Deserialize)]
pub(super) struct Said<'a> {
    #[serde(borrow, default)]
    content: TextOr<'a, Vec<Piece<'a>>>,
    #[serde(borrow, default)]
    reasoning_content: Scalar<'a>,
    #[serde(borrow, default)]
    reasoning: Scalar<'a>,
    #[serde(borrow, default)]
    refusal: Scalar<'a>,
    #[serde(borrow, default)]
    tool_calls: List<Call<'a>>,
    /// What calls were before there were several.
    #[serde(borrow)]
    function_call: Option<Function<'a>>,
}

/// Mistral's content.
#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(borrow, default)]
    text: Scalar<'a>,
    #[serde(borrow, default)]
    thinking: TextOr<'a, Vec<Piece<'a>>>,
}

#[derive(Deserialize)]
pub(super) struct Call<'a> {
    #[serde(borrow, default)]
    pub(super) index: Scalar<'a>,
    #[serde(borrow, default)]
    pub(super) id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) function: Option<Function<'a>>,
}

#[derive(Default, Deserialize)]
pub(super) struct Function<'a> {
    #[serde(borrow, default)]
    pub(super) name: Scalar<'a>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

/// What is said, by kind. Nothing is empty but what is not there.
#[derive(Default)]
pub(super) struct Words<'a> {
    pub(super) reasoning: Cow<'a, str>,
    pub(super) text: Cow<'a, str>,
    pub(super) refusal: Cow<'a, str>,
    pub(super) calls: Vec<Call<'a>>,
}

/// What is wrong with an answer.
pub(super) fn garbled(what: impl Into<String>) -> Garbled {
    Garbled { dialect: "an answer of OpenAI's dialect", what: what.into() }
}

/// Reads an answer, of which nothing is told where it cannot be read.
pub(super) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Garbled> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(garbled("it is no JSON object"));
    }
    serde_json::from_slice(body).map_err(|error| {
        let why = if error.is_data() { "a field is of a wrong type" } else { "it is no JSON" };
        garbled(format!("{why} at line {}, column {}", error.line(), error.column()))
    })
}

impl<'a> Answer<'a> {
    /// The first choice; there are others only where a client asks for them, which is never translated.
    pub(super) fn choice(&mut self) -> Option<Choice<'a>> {
        let choices = std::mem::take(&mut self.choices.0);
        choices.into_iter().find(|choice| choice.index.count().unwrap_or(0) == 0)
    }

    /// What was used, as far as it is said.
    pub(super) fn spoken(&self) -> Spoken {
        let of_groq = self.x_groq.as_ref().and_then(|groq| groq.usage.as_ref());
        self.usage.as_ref().or(of_groq).map(Usage::spoken).unwrap_or_default()
    }
}

impl<'a> Said<'a> {
    /// What is said, by kind.
    pub(super) fn words(self) -> Words<'a> {
        let mut words = Words::default();
        match self.content {
            TextOr::Nothing => {}
            TextOr::Text(text) => words.text = text,
            TextOr::Other(pieces) => gather(pieces, &mut words),
        }
        // Some servers send the same under both names.
        if let Some(reasoning) = self.reasoning_content.text().or(self.reasoning.text()) {
            words.reasoning = reasoning;
        }
        words.refusal = self.refusal.text().unwrap_or_default();
        words.calls = self.tool_calls.0;
        let legacy = |function| Call { index: Scalar::Nothing, id: Scalar::Nothing, function: Some(function) };
        words.calls.extend(self.function_call.map(legacy));
        words
    }
}

fn gather<'a>(pieces: Vec<Piece<'a>>, words: &mut Words<'a>) {
    for piece in pieces {
        words.text += piece.text.text().unwrap_or_default();
        match piece.thinking {
            TextOr::Nothing => {}
            TextOr::Text(text) => words.reasoning += text,
            TextOr::Other(thoughts) => {
                let thoughts = thoughts.into_iter().filter_map(|thought| thought.text.text());
                thoughts.for_each(|text| words.reasoning += text);
            }
        }
    }
}

impl Function<'_> {
    /// The text of the arguments; some servers send the object itself.
    ///
    /// # Errors
    /// It is a string that is no text.
    pub(super) fn arguments(&self) -> Result<String, Garbled> {
        let text = self.arguments.map_or("", RawValue::get);
        if !text.starts_with('"') {
            return Ok(text.to_owned());
        }
        let text: Word<'_> = serde_json::from_str(text).map_err(|_| garbled("the arguments of a call are no text"))?;
        Ok(text.0.into_owned())
    }
}

/// Why an answer ends, in any server's word; `None` where nothing is said. An answer that calls waits for results, even
/// where its server says no more than that it stopped.
pub(super) fn finish(reason: &Scalar<'_>, calls: bool) -> Option<Finish> {
    let stop = if calls { Finish::ToolCalls } else { Finish::Stop };
    match reason {
        Scalar::Nothing => None,
        Scalar::Text(word) => Some(match word.as_ref() {
            "length" | "max_tokens" => Finish::Length,
            "tool_calls" | "function_call" => Finish::ToolCalls,
            "content_filter" => Finish::ContentFilter,
            _ => stop,
        }),
        Scalar::Count(_) | Scalar::Other => Some(stop),
    }
}

//! Answers of a backend's `/api/chat`, whole or as lines of a stream, which have the same shape. What a server of
//! another version leaves out or adds is passed over.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::compact::on_one_line;
use super::loose::{MaybeCount, MaybeWord};
use crate::dialect::chat::{ChatEvent, ChatReply, Finish, Garbled, Spoken, StreamDecoder};

/// Reads a whole answer.
///
/// # Errors
/// It is none.
pub fn decode_reply(body: &[u8]) -> Result<ChatReply, Garbled> {
    let mut events = Vec::new();
    let line = parse(body)?;
    if line.message.is_none() {
        return Err(garbled("it has no `message`"));
    }
    let mut calls = 0;
    begin(&line, &mut |event| events.push(event));
    said(&line, &mut calls, &mut |event| events.push(event))?;
    finish(&line, calls > 0, &mut |event| events.push(event));
    Ok(ChatReply::fold(events))
}

/// Reads a stream, line by line.
#[derive(Debug, Default)]
pub struct Decoder {
    has_begun: bool,
    is_complete: bool,
    /// How many calls came.
    calls: usize,
}

impl StreamDecoder for Decoder {
    fn event(&mut self, data: &[u8], each: &mut dyn FnMut(ChatEvent)) -> Result<(), Garbled> {
        if self.is_complete {
            return Ok(());
        }
        let line = parse(data)?;
        let is_last = line.done == Some(true);
        if line.message.is_none() && !is_last {
            return Err(garbled("a line has no `message`"));
        }
        if !std::mem::replace(&mut self.has_begun, true) {
            begin(&line, each);
        }
        said(&line, &mut self.calls, each)?;
        if is_last {
            finish(&line, self.calls > 0, each);
            self.is_complete = true;
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.is_complete
    }
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default)]
    model: MaybeWord<'a>,
    #[serde(borrow)]
    message: Option<Said<'a>>,
    done: Option<bool>,
    #[serde(borrow, default)]
    done_reason: MaybeWord<'a>,
    #[serde(default)]
    prompt_eval_count: MaybeCount,
    #[serde(default)]
    eval_count: MaybeCount,
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow, default)]
    content: MaybeWord<'a>,
    #[serde(borrow, default)]
    thinking: MaybeWord<'a>,
    #[serde(borrow)]
    tool_calls: Option<Vec<Call<'a>>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow, default)]
    id: MaybeWord<'a>,
    #[serde(borrow)]
    function: Option<Called<'a>>,
}

#[derive(Deserialize)]
struct Called<'a> {
    #[serde(borrow, default)]
    name: MaybeWord<'a>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

fn parse(data: &[u8]) -> Result<Line<'_>, Garbled> {
    serde_json::from_slice(data).map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Data => "a field has another type",
            _ => "it is no JSON",
        };
        garbled(&format!("{what} (line {}, column {})", error.line(), error.column()))
    })
}

/// What is wrong with an answer.
pub(super) fn garbled(what: &str) -> Garbled {
    Garbled { dialect: "Ollama's API", what: what.to_owned() }
}

fn begin(line: &Line<'_>, each: &mut dyn FnMut(ChatEvent)) {
    let model = line.model.0.as_deref().filter(|model| !model.is_empty());
    each(ChatEvent::Start { id: None, model: model.map(str::to_owned) });
}

/// Tells what the model thought, said and called; `calls` counts the calls.
fn said(line: &Line<'_>, calls: &mut usize, each: &mut dyn FnMut(ChatEvent)) -> Result<(), Garbled> {
    let Some(message) = &line.message else { return Ok(()) };
    let words = |word: &MaybeWord<'_>| word.0.as_deref().filter(|word| !word.is_empty()).map(str::to_owned);
    if let Some(thought) = words(&message.thinking) {
        each(ChatEvent::Reasoning(thought));
    }
    if let Some(text) = words(&message.content) {
        each(ChatEvent::Text(text));
    }
    for call in message.tool_calls.iter().flatten() {
        let called = call.function.as_ref().and_then(|called| Some((words(&called.name)?, called.arguments)));
        let Some((name, arguments)) = called else {
            return Err(garbled("a call has no name"));
        };
        let index = *calls;
        *calls += 1;
        each(ChatEvent::ToolCall { index, id: words(&call.id).unwrap_or_default(), name });
        each(ChatEvent::Arguments { index, json: arguments_text(arguments) });
    }
    Ok(())
}

/// Arguments as text. Some servers write the text of an object where the object belongs.
fn arguments_text(arguments: Option<&RawValue>) -> String {
    let text = arguments.map_or("{}", RawValue::get);
    if text.starts_with('"') { serde_json::from_str(text).unwrap_or_default() } else { on_one_line(text).into_owned() }
}

fn finish(line: &Line<'_>, has_calls: bool, each: &mut dyn FnMut(ChatEvent)) {
    let spoken =
        Spoken { prompt_tokens: line.prompt_eval_count.0, completion_tokens: line.eval_count.0, ..Spoken::default() };
    if !spoken.is_empty() {
        each(ChatEvent::Usage(spoken));
    }
    each(ChatEvent::Finish(match line.done_reason.0.as_deref() {
        Some("length") => Finish::Length,
        _ if has_calls => Finish::ToolCalls,
        _ => Finish::Stop,
    }));
}

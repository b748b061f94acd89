//! Whole answers for clients, and the pieces that streamed ones are made of too. Nobody measures here how long anything
//! took: where nobody has said, durations are 0.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;

use super::clock::rfc3339;
use super::compact::on_one_line;
use crate::dialect::chat::{ChatReply, Finish, Json, Label, ReplyPart, Spoken, Took};

/// Writes an answer of `/api/chat`.
pub fn encode_reply(reply: &ChatReply, label: &Label) -> Vec<u8> {
    encode(reply, label, Shape::Chat)
}

/// Writes an answer of `/api/generate`.
pub fn encode_generate_reply(reply: &ChatReply, label: &Label) -> Vec<u8> {
    encode(reply, label, Shape::Generate)
}

/// Which of the two endpoints answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `/api/chat`: what is said stands in `message`.
    Chat,
    /// `/api/generate`: it stands in `response` and beside it.
    Generate,
}

/// What is said in one line of a stream, or in a whole answer.
#[derive(Default)]
pub(super) struct Saying<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) thinking: Cow<'a, str>,
    pub(super) calls: Vec<SaidCall<'a>>,
    /// Where it is the last.
    pub(super) ending: Option<Ending>,
}

/// How an answer ends.
#[derive(Clone, Copy)]
pub(super) struct Ending {
    pub(super) reason: &'static str,
    pub(super) usage: Spoken,
}

impl Ending {
    pub(super) fn new(finish: Option<&Finish>, usage: Spoken) -> Self {
        Ending { reason: if finish == Some(&Finish::Length) { "length" } else { "stop" }, usage }
    }
}

/// A call, in answers and in the history of a request.
#[derive(Serialize)]
pub(super) struct SaidCall<'a> {
    id: Cow<'a, str>,
    function: SaidFunction<'a>,
}

#[derive(Serialize)]
struct SaidFunction<'a> {
    index: usize,
    name: &'a str,
    arguments: Cow<'a, Json>,
}

impl<'a> SaidCall<'a> {
    pub(super) fn new(id: Cow<'a, str>, index: usize, name: &'a str, arguments: Cow<'a, Json>) -> Self {
        SaidCall { id, function: SaidFunction { index, name, arguments } }
    }

    /// A call of an answer: an id is made where the backend has none, and the arguments fit on one line.
    pub(super) fn of_reply(label: &Label, index: usize, id: &'a str, name: &'a str, arguments: &str) -> Self {
        let made = || Cow::Owned(format!("call_{}{index}", label.id));
        let id = if id.is_empty() { made() } else { Cow::Borrowed(id) };
        let arguments = Json::arguments(arguments);
        let shorter = match on_one_line(arguments.get()) {
            Cow::Borrowed(_) => None,
            Cow::Owned(text) => Json::parse(&text),
        };
        SaidCall::new(id, index, name, Cow::Owned(shorter.unwrap_or(arguments)))
    }
}

/// What every line of an answer begins with.
#[derive(Debug)]
pub(super) struct Head {
    model: String,
    created_at: String,
    shape: Shape,
}

impl Head {
    pub(super) fn new(label: &Label, shape: Shape) -> Self {
        Head { model: label.model.clone(), created_at: rfc3339(label.created), shape }
    }

    /// Writes one line, without its end.
    pub(super) fn write(&self, saying: &Saying<'_>, out: &mut Vec<u8>) {
        let Saying { text, thinking, calls, ending } = saying;
        let mut line = Line { model: &self.model, created_at: &self.created_at, ..Line::default() };
        match self.shape {
            Shape::Chat => {
                line.message = Some(SaidMessage { role: "assistant", content: text, thinking, tool_calls: calls });
            }
            Shape::Generate => {
                line.response = Some(text);
                line.thinking = thinking;
                line.tool_calls = calls;
            }
        }
        if let Some(ending) = ending {
            line.done = true;
            line.done_reason = Some(ending.reason);
            let Took { first, total } = ending.usage.took.unwrap_or_default();
            line.total_duration = Some(nanoseconds(total));
            line.load_duration = Some(0);
            line.prompt_eval_count = ending.usage.prompt_tokens;
            line.prompt_eval_duration = Some(nanoseconds(first));
            line.eval_count = ending.usage.completion_tokens;
            line.eval_duration = Some(nanoseconds(total.saturating_sub(first)));
        }
        serde_json::to_writer(out, &line).expect("a line is made of strings, numbers and JSON");
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[derive(Default, Serialize)]
struct Line<'a> {
    model: &'a str,
    created_at: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<SaidMessage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    thinking: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tool_calls: &'a [SaidCall<'a>],
    done: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    done_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    load_duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_eval_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_eval_duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eval_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eval_duration: Option<u64>,
}

#[derive(Serialize)]
struct SaidMessage<'a> {
    role: &'static str,
    content: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    thinking: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tool_calls: &'a [SaidCall<'a>],
}

fn encode(reply: &ChatReply, label: &Label, shape: Shape) -> Vec<u8> {
    let ending = Ending::new(reply.finish.as_ref(), reply.usage);
    let mut saying = Saying { ending: Some(ending), ..Saying::default() };
    for part in &reply.parts {
        match part {
            ReplyPart::Text(text) | ReplyPart::Refusal(text) => append(&mut saying.text, text),
            ReplyPart::Reasoning { text, .. } => append(&mut saying.thinking, text),
            ReplyPart::ToolCall { id, name, arguments } => {
                saying.calls.push(SaidCall::of_reply(label, saying.calls.len(), id, name, arguments));
            }
        }
    }
    let mut out = Vec::with_capacity(512 + saying.text.len() + saying.thinking.len());
    Head::new(label, shape).write(&saying, &mut out);
    out
}

/// Pieces of one text, as a stream would tell them: with nothing between them.
fn append<'a>(text: &mut Cow<'a, str>, more: &'a str) {
    if text.is_empty() {
        *text = Cow::Borrowed(more);
    } else {
        text.to_mut().push_str(more);
    }
}

//! The messages of the canonical form as a backend is sent them. A message of one text is written as a string, which
//! every server reads; the longer form only where there is more.

use std::borrow::Cow;

use serde::Serialize;

use super::content::{Content, Piece};
use crate::dialect::chat::{Json, Message, Part, Role, Unsupported};

/// A message.
#[derive(Serialize)]
pub(super) struct Turn<'a> {
    role: &'static str,
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

/// Writes the messages, and notes what cannot be.
pub(super) fn write<'a>(messages: &'a [Message], unsupported: &mut Unsupported) -> Vec<Turn<'a>> {
    let mut turns = Vec::with_capacity(messages.len());
    for (at, message) in messages.iter().enumerate() {
        let mut gathered = Gathered::default();
        for part in &message.parts {
            if let Err(what) = gathered.take(part, message.role) {
                unsupported.0.push(format!("messages[{at}]: {what}"));
            }
        }
        turns.append(&mut gathered.results);
        if message.role != Role::Tool {
            turns.push(gathered.turn(message.role));
        }
    }
    turns
}

/// The parts of a message, by where they are written.
#[derive(Default)]
struct Gathered<'a> {
    content: Vec<Piece<'a>>,
    reasoning: Option<Cow<'a, str>>,
    refusal: Option<Cow<'a, str>>,
    calls: Vec<Call<'a>>,
    results: Vec<Turn<'a>>,
}

impl<'a> Gathered<'a> {
    fn take(&mut self, part: &'a Part, role: Role) -> Result<(), &'static str> {
        match (part, role) {
            (Part::Text(text), Role::System | Role::User | Role::Assistant) => {
                self.content.push(Piece::Text { text: Cow::Borrowed(text) });
            }
            (Part::Media(media), Role::User) => self.content.push(Piece::new(media)?),
            (Part::Media(_), Role::System) => return Err("media in instructions"),
            (Part::Media(_), Role::Assistant) => return Err("media from the assistant"),
            // Its signature means nothing to anybody but its vendor.
            (Part::Reasoning { text, .. }, Role::Assistant) => join(&mut self.reasoning, text, "\n\n"),
            (Part::Refusal(text), Role::Assistant) => join(&mut self.refusal, text, ""),
            (Part::ToolCall { id, name, arguments }, Role::Assistant) => {
                self.calls.push(Call::new(id, name, arguments))
            }
            (Part::ToolResult { id, content, is_error }, Role::Tool) => {
                self.results.push(result(id, content, *is_error)?);
            }
            _ => return Err("a part that its role cannot have"),
        }
        Ok(())
    }

    fn turn(self, role: Role) -> Turn<'a> {
        let role = match role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        };
        let content = match self.content.is_empty() && !self.calls.is_empty() {
            true => Content::Null,
            false => Content::new(self.content),
        };
        let (reasoning_content, refusal) = (self.reasoning, self.refusal);
        Turn { role, content, reasoning_content, refusal, tool_calls: self.calls, tool_call_id: None }
    }
}

/// Adds `more` to what there is; nothing is added by nothing.
fn join<'a>(text: &mut Option<Cow<'a, str>>, more: &'a str, between: &str) {
    match text {
        _ if more.is_empty() => {}
        Some(text) => {
            let text = text.to_mut();
            text.push_str(between);
            text.push_str(more);
        }
        None => *text = Some(Cow::Borrowed(more)),
    }
}

fn result<'a>(id: &'a str, content: &'a [Part], is_error: bool) -> Result<Turn<'a>, &'static str> {
    let mut pieces = Vec::with_capacity(content.len());
    for part in content {
        match part {
            Part::Text(text) => pieces.push(Piece::Text { text: Cow::Borrowed(text) }),
            _ => return Err("tool results with media"),
        }
    }
    if is_error {
        tell_error(&mut pieces);
    }
    Ok(Turn {
        role: "tool",
        content: Content::new(pieces),
        reasoning_content: None,
        refusal: None,
        tool_calls: Vec::new(),
        tool_call_id: Some(id),
    })
}

/// The dialect has no flag for it: the text says that the tool failed, unless it does already.
fn tell_error(pieces: &mut Vec<Piece<'_>>) {
    let starts_with =
        |text: &str, word: &str| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    match pieces.first_mut() {
        Some(Piece::Text { text }) if starts_with(text, "error") || text.starts_with("<tool_use_error") => {}
        Some(Piece::Text { text }) => *text = Cow::Owned(format!("Error: {text}")),
        _ => pieces.push(Piece::Text { text: Cow::Borrowed("Error") }),
    }
}

#[derive(Serialize)]
struct Call<'a> {
    id: &'a str,
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

impl<'a> Call<'a> {
    fn new(id: &'a str, name: &'a str, arguments: &'a Json) -> Self {
        Call { id, r#type: "function", function: Function { name, arguments: arguments.get() } }
    }
}

//! The conversation of a request, as a backend reads it.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;

use super::say::SaidCall;
use crate::dialect::chat::{Media, MediaKind, Message, Part, Role, Source, Unsupported};

/// What stands between two texts of one message.
const BETWEEN: &str = "\n\n";

#[derive(Default, Serialize)]
pub(super) struct AskMessage<'a> {
    role: &'static str,
    content: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    thinking: Cow<'a, str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<SaidCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

/// Writes `messages`, and notes what in them cannot be said.
pub(super) fn encode<'a>(messages: &'a [Message], refused: &mut Unsupported) -> Vec<AskMessage<'a>> {
    let mut written = Vec::with_capacity(messages.len());
    let mut names = HashMap::new();
    for (at, message) in messages.iter().enumerate() {
        let mut said = AskMessage { role: word(message.role), ..AskMessage::default() };
        let mut is_said = message.parts.is_empty();
        for part in &message.parts {
            match part {
                Part::ToolResult { id, content, is_error } => {
                    let tool_name = names.get(id.as_str()).copied();
                    let mut result = AskMessage { tool_name, tool_call_id: Some(id), ..AskMessage::default() };
                    result.role = word(Role::Tool);
                    result.take_result(content, *is_error, at, refused);
                    written.push(result);
                }
                Part::ToolCall { id, name, arguments } => {
                    names.insert(id.as_str(), name.as_str());
                    let index = said.tool_calls.len();
                    said.tool_calls.push(SaidCall::new(Cow::Borrowed(id), index, name, Cow::Borrowed(arguments)));
                    is_said = true;
                }
                other => is_said |= said.take(other, at, refused),
            }
        }
        if is_said {
            written.push(said);
        }
    }
    written
}

impl<'a> AskMessage<'a> {
    /// Takes in what is no call and no result, and says whether there was anything in it.
    fn take(&mut self, part: &'a Part, at: usize, refused: &mut Unsupported) -> bool {
        match part {
            Part::Text(text) | Part::Refusal(text) => join(&mut self.content, text),
            Part::Reasoning { text, .. } if text.is_empty() => return false,
            Part::Reasoning { text, .. } => join(&mut self.thinking, text),
            Part::Media(media) => match image(media) {
                Ok(data) => self.images.push(data),
                Err(what) => refused.note(true, &format!("messages[{at}]: {what}")),
            },
            Part::ToolCall { .. } | Part::ToolResult { .. } => return false,
        }
        true
    }

    fn take_result(&mut self, content: &'a [Part], is_error: bool, at: usize, refused: &mut Unsupported) {
        for part in content {
            self.take(part, at, refused);
        }
        if is_error && !says_error(&self.content) {
            self.content = Cow::Owned(format!("Error: {}", self.content));
        }
    }
}

fn word(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

fn join<'a>(text: &mut Cow<'a, str>, more: &'a str) {
    if text.is_empty() {
        *text = Cow::Borrowed(more);
    } else if !more.is_empty() {
        let text = text.to_mut();
        text.push_str(BETWEEN);
        text.push_str(more);
    }
}

fn says_error(text: &str) -> bool {
    let begins = |with: &str| text.get(..with.len()).is_some_and(|first| first.eq_ignore_ascii_case(with));
    begins("error") || text.starts_with("<tool_use_error")
}

fn image(media: &Media) -> Result<&str, &'static str> {
    match (media.kind, &media.source) {
        (MediaKind::Image, Source::Data { data, .. }) => Ok(data),
        (MediaKind::Image, Source::Url(_)) => Err("image by URL"),
        (MediaKind::Audio, _) => Err("audio"),
        (MediaKind::Video, _) => Err("video"),
        (MediaKind::File, _) => Err("file"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(parts: Vec<Part>) -> String {
        let message = Message { role: Role::Tool, parts };
        let mut refused = Unsupported::default();
        encode(&[message], &mut refused)[0].content.clone().into_owned()
    }

    #[test]
    fn a_failure_is_told_in_words() {
        let result = |text: &str| {
            let content = vec![Part::Text(text.to_owned())];
            vec![Part::ToolResult { id: "a".to_owned(), content, is_error: true }]
        };
        assert_eq!(content(result("no such city")), "Error: no such city");
        assert_eq!(content(result("ERROR 5")), "ERROR 5");
        assert_eq!(content(result("<tool_use_error>no</tool_use_error>")), "<tool_use_error>no</tool_use_error>");
        assert_eq!(content(result("ヽ(°〇°)ﾉ")), "Error: ヽ(°〇°)ﾉ");
        assert_eq!(content(result("")), "Error: ");
    }

    #[test]
    fn texts_of_one_message_are_joined_and_a_bare_signature_is_nothing() {
        let text = |text: &str| Part::Text(text.to_owned());
        assert_eq!(content(vec![text("a"), text(""), text("b")]), "a\n\nb");
        let thought = Part::Reasoning { text: String::new(), signature: Some("s".to_owned()) };
        let message = Message { role: Role::Assistant, parts: vec![thought] };
        assert!(encode(&[message], &mut Unsupported::default()).is_empty());
    }
}

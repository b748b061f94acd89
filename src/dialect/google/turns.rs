//! The messages of the canonical form as contents for a backend.

use std::borrow::Cow;
use std::collections::HashMap;

use super::media;
use super::written::{Blob, Content, FileData, FunctionResponse, Outcome, Part, ResponsePart};
use crate::dialect::chat::{self, Media, Message, Role, Source, Unsupported};

/// Stands for the signature of a call that another vendor's model made: Gemini 3 refuses a conversation whose calls have
/// none. <https://ai.google.dev/gemini-api/docs/thought-signatures>
const UNSIGNED: &str = "skip_thought_signature_validator";

/// Models that ask for no signatures, and do not know what stands for one.
const OLDER: [&str; 2] = ["gemini-1", "gemini-2"];

/// The instruction, and what was said.
pub(super) struct Turns<'a> {
    pub(super) instruction: Option<Content<'a>>,
    pub(super) contents: Vec<Content<'a>>,
}

/// `messages` as contents for `model`; what cannot be said is noted in `refused`.
pub(super) fn turns<'a>(messages: &'a [Message], model: &str, refused: &mut Unsupported) -> Turns<'a> {
    let wants_signatures = !OLDER.iter().any(|older| model.contains(older));
    let contents = Vec::with_capacity(messages.len());
    let mut writer = Writer { names: HashMap::new(), contents, wants_signatures, refused };
    let mut instructions = Vec::new();
    let mut after_result = false;
    for (at, message) in messages.iter().enumerate() {
        let is_result = message.role == Role::Tool;
        match message.role {
            Role::System if writer.contents.is_empty() => writer.instruction(at, message, &mut instructions),
            Role::System => writer.refuse(at, "instructions after the conversation has begun"),
            Role::User => writer.user(at, message),
            Role::Assistant => writer.model(at, message),
            Role::Tool => writer.result(at, message, after_result),
        }
        after_result = is_result;
    }
    writer.refused.note(writer.contents.is_empty(), "messages: nothing is said but instructions");
    let instruction = Some(Content { role: None, parts: instructions }).filter(|content| !content.parts.is_empty());
    Turns { instruction, contents: writer.contents }
}

struct Writer<'a, 'u> {
    /// The function of each call, by the id of the call.
    names: HashMap<&'a str, &'a str>,
    contents: Vec<Content<'a>>,
    wants_signatures: bool,
    refused: &'u mut Unsupported,
}

impl<'a> Writer<'a, '_> {
    fn refuse(&mut self, at: usize, what: &str) {
        self.refused.0.push(format!("messages[{at}]: {what}"));
    }

    fn add(&mut self, role: &'static str, parts: Vec<Part<'a>>) {
        if !parts.is_empty() {
            self.contents.push(Content { role: Some(role), parts });
        }
    }

    fn instruction(&mut self, at: usize, message: &'a Message, instructions: &mut Vec<Part<'a>>) {
        for part in &message.parts {
            match part {
                chat::Part::Text(text) => instructions.push(Part::text(text)),
                _ => self.refuse(at, "instructions that are no text"),
            }
        }
    }

    fn user(&mut self, at: usize, message: &'a Message) {
        let mut parts = Vec::with_capacity(message.parts.len());
        for part in &message.parts {
            match part {
                chat::Part::Text(text) => parts.push(Part::text(text)),
                chat::Part::Media(media) => parts.push(media_part(media)),
                _ => self.refuse(at, "a user says text and media only"),
            }
        }
        self.add("user", parts);
    }

    fn model(&mut self, at: usize, message: &'a Message) {
        let mut parts = Vec::with_capacity(message.parts.len());
        let mut unsigned = self.wants_signatures.then(|| UNSIGNED.to_owned());
        for part in &message.parts {
            match part {
                chat::Part::Text(text) | chat::Part::Refusal(text) => parts.push(Part::text(text)),
                chat::Part::Reasoning { text, signature } => {
                    let thought = Part::thought(text, signature.as_deref());
                    if !text.is_empty() || thought.thought_signature.is_some() {
                        parts.push(thought);
                    }
                }
                chat::Part::ToolCall { id, name, arguments } => {
                    self.names.insert(id, name);
                    let call = Part::call(Cow::Borrowed(id), name, Cow::Borrowed(arguments));
                    // Of calls made side by side the first is signed for all.
                    parts.push(Part { thought_signature: unsigned.take(), ..call });
                }
                chat::Part::Media(_) => self.refuse(at, "media of the model's own"),
                chat::Part::ToolResult { .. } => self.refuse(at, "a result that the model tells"),
            }
        }
        self.add("model", parts);
    }

    /// Results that follow on one another are one content.
    fn result(&mut self, at: usize, message: &'a Message, after_result: bool) {
        let mut parts = Vec::with_capacity(message.parts.len());
        for part in &message.parts {
            match part {
                chat::Part::ToolResult { id, content, is_error } => match self.names.get(id.as_str()).copied() {
                    Some(name) => parts.push(self.response(at, (id, name), content, *is_error)),
                    None => self.refuse(at, "tool result without its call"),
                },
                _ => self.refuse(at, "a tool tells results only"),
            }
        }
        match self.contents.last_mut() {
            Some(content) if after_result => content.parts.append(&mut parts),
            _ => self.add("user", parts),
        }
    }

    fn response(
        &mut self,
        at: usize,
        (id, name): (&'a str, &'a str),
        content: &'a [chat::Part],
        is_error: bool,
    ) -> Part<'a> {
        let mut text: Option<Cow<'a, str>> = None;
        let mut parts = Vec::new();
        for part in content {
            match part {
                chat::Part::Text(more) => match &mut text {
                    None => text = Some(Cow::Borrowed(more)),
                    Some(text) => {
                        let text = text.to_mut();
                        text.push('\n');
                        text.push_str(more);
                    }
                },
                chat::Part::Media(Media { source: Source::Data { media_type, data }, .. }) => {
                    parts.push(ResponsePart { inline_data: Blob { mime_type: media_type, data } });
                }
                chat::Part::Media(_) => self.refuse(at, "a tool result with media that stand elsewhere"),
                _ => self.refuse(at, "a tool result of more than text and media"),
            }
        }
        let text = Some(text.unwrap_or_default());
        let response = match is_error {
            true => Outcome { error: text, ..Outcome::default() },
            false => Outcome { output: text, ..Outcome::default() },
        };
        Part { function_response: Some(FunctionResponse { id, name, response, parts }), ..Part::default() }
    }
}

fn media_part(media: &Media) -> Part<'_> {
    match &media.source {
        Source::Data { media_type, data } => {
            Part { inline_data: Some(Blob { mime_type: media_type, data }), ..Part::default() }
        }
        Source::Url(file_uri) => {
            let mime_type = media::type_by_ending(file_uri).filter(|told| media::kind(told) == media.kind);
            Part { file_data: Some(FileData { mime_type, file_uri }), ..Part::default() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::chat::Json;

    #[test]
    fn the_first_call_of_each_content_is_signed_for_newer_models() {
        let call = |id: &str| chat::Part::ToolCall {
            id: id.to_owned(),
            name: "f".to_owned(),
            arguments: Json::object("").expect("an object"),
        };
        let message = || Message { role: Role::Assistant, parts: vec![call("a"), call("b")] };
        let messages = [message(), message()];
        let signed = |model: &str| {
            let contents = turns(&messages, model, &mut Unsupported::default()).contents;
            let parts = contents.into_iter().flat_map(|content| content.parts);
            parts.map(|part| part.thought_signature.as_deref() == Some(UNSIGNED)).collect::<Vec<_>>()
        };
        assert_eq!(signed("gemini-3-pro-preview"), [true, false, true, false]);
        assert_eq!(signed("gemini-flash-latest"), [true, false, true, false]);
        assert_eq!(signed("models/gemini-2.5-pro"), [false; 4]);
    }
}

//! The conversation of a canonical request into messages of this dialect: instructions in front, results of tools in
//! the user's messages.

use std::borrow::Cow;

use data_encoding::BASE64;

use super::written::{Block, Content, Said, Source};
use crate::dialect::chat::{self, Media, MediaKind, Message, Part, Role, Unsupported};

/// Instructions and conversation. Messages of tools and the user that follow each other become one message, as long as
/// reading it gives the same messages back.
pub(super) fn write<'a>(
    messages: &'a [Message],
    unsupported: &mut Unsupported,
) -> (Option<Content<'a>>, Vec<Said<'a>>) {
    let in_front = messages.iter().take_while(|message| message.role == Role::System).count();
    let mut system = Vec::new();
    let mut said: Vec<Said<'a>> = Vec::with_capacity(messages.len());
    let mut previous = Role::System;
    for (index, message) in messages.iter().enumerate() {
        let mut history = History { message: index, role: message.role, unsupported: &mut *unsupported };
        let blocks = message.parts.iter().filter_map(|part| history.block(part)).collect::<Vec<_>>();
        if index < in_front {
            system.extend(blocks);
            continue;
        }
        if message.role == Role::System {
            history.refuse("instructions after the conversation has begun");
        }
        if blocks.is_empty() {
            continue;
        }
        let role = if message.role == Role::Assistant { "assistant" } else { "user" };
        let goes_on = match previous {
            Role::Tool => role == "user",
            Role::User => message.role == Role::Tool,
            Role::System | Role::Assistant => false,
        };
        previous = message.role;
        match said.last_mut() {
            Some(last) if goes_on => last.content.0.extend(blocks),
            _ => said.push(Said { role, content: Content(blocks) }),
        }
    }
    unsupported.note(said.is_empty(), "messages: none but instructions");
    (Some(Content(system)).filter(|system| !system.0.is_empty()), said)
}

/// Where it is written.
struct History<'u> {
    message: usize,
    role: Role,
    unsupported: &'u mut Unsupported,
}

impl History<'_> {
    fn refuse(&mut self, what: &str) {
        self.unsupported.0.push(format!("messages[{}]: {what}", self.message));
    }

    /// `None` where it is left out, or refused.
    fn block<'a>(&mut self, part: &'a Part) -> Option<Block<'a>> {
        match part {
            Part::Text(text) | Part::Refusal(text) => text_block(text),
            Part::Media(media) => self.media(media),
            Part::ToolCall { id, name, arguments } => Some(Block {
                kind: "tool_use",
                id: Some(fit_id(id)),
                name: Some(name),
                input: Some(arguments),
                ..Block::default()
            }),
            Part::ToolResult { id, content, is_error } => Some(Block {
                kind: "tool_result",
                tool_use_id: Some(fit_id(id)),
                content: self.result(content),
                is_error: is_error.then_some(true),
                ..Block::default()
            }),
            Part::Reasoning { text, signature } => signature.as_ref().map(|signature| Block {
                kind: "thinking",
                thinking: Some(text),
                signature: Some(signature),
                ..Block::default()
            }),
        }
    }

    /// A result may be one empty text, which is written as a string.
    fn result<'a>(&mut self, content: &'a [Part]) -> Option<Content<'a>> {
        match content {
            [] => None,
            [Part::Text(text)] => Some(Content(vec![Block { kind: "text", text: Some(text), ..Block::default() }])),
            parts => Some(Content(parts.iter().filter_map(|part| self.block(part)).collect())),
        }
    }

    fn media<'a>(&mut self, media: &'a Media) -> Option<Block<'a>> {
        let kind = match media.kind {
            _ if matches!(self.role, Role::System | Role::Assistant) => {
                self.refuse("media that neither the user nor a tool sends");
                return None;
            }
            MediaKind::Image => "image",
            MediaKind::File => "document",
            MediaKind::Audio => {
                self.refuse("audio");
                return None;
            }
            MediaKind::Video => {
                self.refuse("video");
                return None;
            }
        };
        let title = media.name.as_deref().filter(|_| media.kind == MediaKind::File);
        Some(Block { kind, source: Some(source(media)), title, ..Block::default() })
    }
}

fn text_block(text: &str) -> Option<Block<'_>> {
    (!text.is_empty()).then(|| Block { kind: "text", text: Some(text), ..Block::default() })
}

/// A document of plain text goes as the text it is, all else as it came.
fn source(media: &Media) -> Source<'_> {
    match &media.source {
        chat::Source::Url(url) => Source { kind: "url", url: Some(url), ..Source::default() },
        chat::Source::Data { media_type, data } => {
            let plain = || BASE64.decode(data.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let is_plain = media.kind == MediaKind::File && media_type == "text/plain";
            let (kind, data) = match is_plain.then(plain).flatten() {
                Some(text) => ("text", Cow::Owned(text)),
                None => ("base64", Cow::Borrowed(data.as_str())),
            };
            Source { kind, media_type: Some(media_type), data: Some(data), url: None }
        }
    }
}

/// An id of a call in the characters that the API takes.
fn fit_id(id: &str) -> Cow<'_, str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !id.is_empty() && id.chars().all(fits) {
        return Cow::Borrowed(id);
    }
    let fitted: String = id.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    Cow::Owned(if fitted.is_empty() { "_".to_owned() } else { fitted })
}

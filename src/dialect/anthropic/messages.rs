//! The conversation of a body: who said what. Results of tools, which stand in the user's messages here, become
//! messages of their own.

use std::collections::HashSet;

use super::blocks::{self, Place};
use super::settings::bad;
use super::shapes::Content;
use super::wire::{Inner, Outer, Said};
use crate::dialect::chat::{Message, Part, Role};
use crate::dialect::inspect::BadRequest;

/// Reads the instructions and the conversation.
pub(super) fn read(
    system: Content<Inner<'_>>,
    said: Vec<Said<'_>>,
    uncarried: &mut Vec<String>,
) -> Result<Vec<Message>, BadRequest> {
    let mut conversation =
        Conversation { messages: Vec::with_capacity(said.len() + 1), calls: HashSet::new(), uncarried };
    conversation.instructions(system)?;
    for (index, said) in said.into_iter().enumerate() {
        conversation.take(said, index)?;
    }
    Ok(conversation.messages)
}

struct Conversation<'u> {
    messages: Vec<Message>,
    /// The ids of all calls so far.
    calls: HashSet<String>,
    uncarried: &'u mut Vec<String>,
}

impl Conversation<'_> {
    fn instructions(&mut self, system: Content<Inner<'_>>) -> Result<(), BadRequest> {
        let parts = match system {
            Content::Text(text) => vec![Part::Text(text)],
            Content::Blocks(blocks) => {
                let mut parts = Vec::with_capacity(blocks.len());
                for (index, block) in blocks.into_iter().enumerate() {
                    parts.extend(blocks::instruction(block, Place::System(index))?);
                }
                parts
            }
            Content::Object => return Err(bad("system", "send a string or an array of text blocks")),
        };
        self.push(Role::System, tidy(parts));
        Ok(())
    }

    fn take(&mut self, said: Said<'_>, message: usize) -> Result<(), BadRequest> {
        let role = match said.role.as_ref().map(|role| &*role.0) {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("system") => Role::System,
            _ => return Err(bad(format_args!("messages[{message}].role"), "send `user` or `assistant`")),
        };
        match said.content {
            Some(Content::Text(text)) => self.messages.push(Message::text(role, text)),
            Some(Content::Blocks(blocks)) => self.blocks(role, blocks, message)?,
            Some(Content::Object) | None => {
                let path = format_args!("messages[{message}].content");
                return Err(bad(path, "send a string or an array of content blocks"));
            }
        }
        Ok(())
    }

    fn blocks(&mut self, role: Role, blocks: Vec<Outer<'_>>, message: usize) -> Result<(), BadRequest> {
        let mut parts = Vec::with_capacity(blocks.len());
        for (index, block) in blocks.into_iter().enumerate() {
            let place = Place::Message { message, block: index, inner: None };
            let Some(part) = blocks::part(block, role, place, self.uncarried)? else { continue };
            match &part {
                Part::ToolResult { id, .. } => {
                    if !self.calls.contains(id) {
                        let problem = "no call before it has this id: send the assistant's message with the call too";
                        return Err(bad(format_args!("{place}.tool_use_id"), problem));
                    }
                    self.push(role, tidy(std::mem::take(&mut parts)));
                    self.messages.push(Message { role: Role::Tool, parts: vec![part] });
                }
                Part::ToolCall { id, .. } => {
                    self.calls.insert(id.clone());
                    parts.push(part);
                }
                _ => parts.push(part),
            }
        }
        self.push(role, tidy(parts));
        Ok(())
    }

    fn push(&mut self, role: Role, parts: Vec<Part>) {
        if !parts.is_empty() {
            self.messages.push(Message { role, parts });
        }
    }
}

/// Without the empty texts that stand beside other parts.
fn tidy(mut parts: Vec<Part>) -> Vec<Part> {
    if parts.len() > 1 {
        let is_empty = |part: &Part| matches!(part, Part::Text(text) if text.is_empty());
        if parts.iter().all(is_empty) {
            parts.truncate(1);
        } else {
            parts.retain(|part| !is_empty(part));
        }
    }
    parts
}

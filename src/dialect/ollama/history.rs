//! The conversation of a request, as clients write it.

use super::calls::Calls;
use super::images;
use super::loose::Word;
use super::wire::{CallBody, MessageBody};
use crate::dialect::chat::{Json, Message, Part, Role};
use crate::dialect::inspect::BadRequest;

/// The conversation, and what in it no other dialect has.
///
/// # Errors
/// What is wrong in it and where.
pub(super) fn decode(bodies: Vec<MessageBody<'_>>, uncarried: &mut Vec<String>) -> Result<Vec<Message>, BadRequest> {
    let mut calls = Calls::default();
    let each = bodies.into_iter().enumerate();
    each.map(|(at, body)| message(body, at, &mut calls, uncarried)).collect()
}

/// A text and pictures, in the one order that this dialect has. A message of nothing is one of an empty text.
pub(super) fn text_and_images(
    text: Option<String>,
    images: Option<Vec<Word<'_>>>,
    path: &str,
) -> Result<Vec<Part>, BadRequest> {
    let images = images.unwrap_or_default();
    let mut parts = Vec::with_capacity(1 + images.len());
    parts.extend(text.filter(|text| !text.is_empty()).map(Part::Text));
    for (at, image) in images.into_iter().enumerate() {
        parts.push(images::decode(image.0, || format!("{path}images[{at}]"))?);
    }
    Ok(parts)
}

fn message(
    body: MessageBody<'_>,
    at: usize,
    calls: &mut Calls,
    uncarried: &mut Vec<String>,
) -> Result<Message, BadRequest> {
    let role = role(body.role.as_ref(), at)?;
    let mut parts = Vec::new();
    if let Some(text) = body.thinking.filter(|text| !text.is_empty()) {
        match role {
            Role::Assistant => parts.push(Part::Reasoning { text, signature: None }),
            _ => uncarried.push(format!("messages[{at}].thinking")),
        }
    }
    let content = text_and_images(body.content, body.images, &format!("messages[{at}]."))?;
    if role == Role::Tool {
        let name = body.tool_name.or(body.name);
        let id = calls.answer(said(body.tool_call_id.as_ref()), said(name.as_ref()), &format!("messages[{at}]"))?;
        parts.push(Part::ToolResult { id, content: or_empty_text(content), is_error: false });
    } else {
        parts.extend(content);
    }
    for (number, body) in body.tool_calls.unwrap_or_default().into_iter().enumerate() {
        let path = || format!("messages[{at}].tool_calls[{number}]");
        if role != Role::Assistant {
            return Err(bad(path(), "stands in a message that is not the assistant's: only that one calls tools"));
        }
        parts.push(call(body, calls, path)?);
    }
    Ok(Message { role, parts: or_empty_text(parts) })
}

fn or_empty_text(parts: Vec<Part>) -> Vec<Part> {
    if parts.is_empty() { vec![Part::Text(String::new())] } else { parts }
}

/// Ollama reads roles in any case.
fn role(word: Option<&Word<'_>>, at: usize) -> Result<Role, BadRequest> {
    let known = [("user", Role::User), ("assistant", Role::Assistant), ("tool", Role::Tool), ("system", Role::System)];
    let found = word.and_then(|word| known.iter().find(|(name, _)| word.0.eq_ignore_ascii_case(name)));
    let problem = "must be `system`, `user`, `assistant` or `tool`";
    found.map(|(_, role)| *role).ok_or_else(|| bad(format!("messages[{at}].role"), problem))
}

fn call(body: CallBody, calls: &mut Calls, path: impl Fn() -> String) -> Result<Part, BadRequest> {
    let Some(called) = body.function else {
        return Err(bad(format!("{}.function", path()), "must be an object of `name` and `arguments`"));
    };
    let Some(name) = called.name.filter(|name| !name.is_empty()) else {
        return Err(bad(format!("{}.function.name", path()), "must be the name of the tool that is called"));
    };
    let arguments = called.arguments.or_else(|| Json::object(""));
    let Some(arguments) = arguments.filter(Json::is_object) else {
        let problem = "must be a JSON object, not a text that holds one";
        return Err(bad(format!("{}.function.arguments", path()), problem));
    };
    Ok(Part::ToolCall { id: calls.begin(body.id, &name), name, arguments })
}

fn said<'a>(word: Option<&'a Word<'_>>) -> Option<&'a str> {
    word.map(|word| word.0.as_ref()).filter(|word| !word.is_empty())
}

/// What is wrong at `path`.
pub(super) fn bad(path: String, problem: &str) -> BadRequest {
    BadRequest::Value { path, problem: problem.to_owned() }
}

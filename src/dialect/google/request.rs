//! A client's body as a request in the canonical form: the frame. What is said stands in `contents`, how it is to be
//! answered in `settings`.

use super::contents;
use super::settings;
use super::values::Many;
use super::wire::{Body, Content, CountBody};
use crate::dialect::chat::{ChatRequest, Decoded, Message, read_body};
use crate::dialect::inspect::BadRequest;

/// Reads the body of `generateContent`, or of `streamGenerateContent` where it is to `stream`.
///
/// # Errors
/// It is none.
pub fn decode_request(body: &str, stream: bool) -> Result<Decoded, BadRequest> {
    let mut uncarried = Vec::new();
    let body: Body<'_> = read_body(body, &mut uncarried)?;
    decode(body, stream, uncarried)
}

/// Reads the body of `countTokens`, which holds a conversation or a whole request.
///
/// # Errors
/// It is none.
pub fn decode_count(body: &str) -> Result<Decoded, BadRequest> {
    let mut uncarried = Vec::new();
    let body: CountBody<'_> = read_body(body, &mut uncarried)?;
    match (body.generate_content_request, body.contents) {
        (Some(_), Some(_)) => Err(bad("generateContentRequest", "stands beside contents: send one of them")),
        (Some(whole), None) => decode(whole, false, uncarried),
        (None, contents) => {
            let request = ChatRequest { messages: messages(None, contents, &mut uncarried)?, ..ChatRequest::default() };
            Ok(Decoded { request, uncarried, left_out: Vec::new() })
        }
    }
}

fn decode(body: Body<'_>, stream: bool, mut uncarried: Vec<String>) -> Result<Decoded, BadRequest> {
    let mut request = ChatRequest { stream, include_usage: stream, ..ChatRequest::default() };
    request.messages = messages(body.system_instruction, body.contents, &mut uncarried)?;
    if let Some(tools) = body.tools {
        request.tools = settings::tools(tools, &mut uncarried)?;
    }
    if let Some(calling) = body.tool_config.and_then(|config| config.function_calling_config) {
        request.tool_choice = settings::tool_choice(calling, &mut uncarried)?;
    }
    if let Some(config) = body.generation_config {
        settings::generation(config, &mut request, &mut uncarried)?;
    }
    if body.cached_content.is_some_and(|name| !name.0.is_empty()) {
        uncarried.push("cachedContent".to_owned());
    }
    Ok(Decoded { request, uncarried, left_out: Vec::new() })
}

fn messages(
    instruction: Option<Content<'_>>,
    contents: Option<Many<Content<'_>>>,
    uncarried: &mut Vec<String>,
) -> Result<Vec<Message>, BadRequest> {
    let contents = contents.map_or_else(Vec::new, |contents| contents.0);
    if contents.is_empty() {
        return Err(BadRequest::Missing { field: "contents", wanted: "the conversation, a list of contents" });
    }
    contents::messages(instruction, contents, uncarried)
}

/// A value that is not what the dialect has at `path`.
pub(super) fn bad(path: impl Into<String>, problem: &str) -> BadRequest {
    BadRequest::Value { path: path.into(), problem: problem.to_owned() }
}

//! A client's body into the canonical form. Its messages are read in [`super::messages`].

use super::messages;
use super::settings;
use super::shapes::Content;
use super::wire::Body;
use crate::dialect::chat::{ChatRequest, Decoded, Sampling, read_body};
use crate::dialect::inspect::BadRequest;

/// Reads the body of `/v1/messages`.
///
/// `include_usage` is as `stream`: a stream of this dialect always says it. A `role` of `system` inside the
/// conversation stays where it stands. Citations of earlier answers, and what only Anthropic's caches, bills and
/// schedulers heed, are passed over.
///
/// # Errors
/// What is wrong and where.
pub fn decode_request(body: &str) -> Result<Decoded, BadRequest> {
    let decoded = decode_count(body)?;
    match decoded.request.max_tokens {
        Some(_) => Ok(decoded),
        None => Err(BadRequest::Missing { field: "max_tokens", wanted: "how many tokens the answer may have at most" }),
    }
}

/// Reads the body of `/v1/messages/count_tokens`, which needs no `max_tokens`.
///
/// # Errors
/// What is wrong and where.
pub fn decode_count(body: &str) -> Result<Decoded, BadRequest> {
    let mut uncarried = Vec::new();
    let body: Body<'_> = read_body(body, &mut uncarried)?;
    uncarried.extend(body.container.is_some().then(|| "container".to_owned()));
    uncarried.extend(body.mcp_servers.is_some_and(|servers| !servers.is_empty()).then(|| "mcp_servers".to_owned()));

    let said = body.messages.unwrap_or_default();
    if said.is_empty() {
        return Err(BadRequest::Missing { field: "messages", wanted: "an array of at least one message" });
    }
    let system = body.system.unwrap_or(Content::Blocks(Vec::new()));
    let (tool_choice, parallel_tool_calls) = settings::choice(body.tool_choice)?;
    let stream = body.stream.unwrap_or(false);
    let request = ChatRequest {
        messages: messages::read(system, said, &mut uncarried)?,
        tools: settings::tools(body.tools.unwrap_or_default(), &mut uncarried)?,
        tool_choice,
        parallel_tool_calls,
        max_tokens: body.max_tokens,
        sampling: Sampling {
            temperature: body.temperature,
            top_p: body.top_p,
            top_k: body.top_k,
            ..Sampling::default()
        },
        stop: body.stop_sequences.unwrap_or_default(),
        format: settings::format(body.output_config.as_ref(), body.output_format.as_ref())?,
        reasoning: settings::reasoning(body.thinking, body.output_config.as_ref(), &mut uncarried)?,
        stream,
        include_usage: stream,
        user: body.metadata.and_then(|metadata| metadata.user_id),
        context_length: None,
        keep_alive: None,
    };
    Ok(Decoded { request, uncarried, left_out: Vec::new() })
}

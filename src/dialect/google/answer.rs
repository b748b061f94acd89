//! An answer as it is written for a client: whole, and the shape of one event of a stream.

use std::borrow::Cow;

use serde::Serialize;

use super::ask::written;
use super::written::{Content, Part};
use crate::dialect::chat::{ChatReply, Finish, Json, Label, ReplyPart, Spoken};

/// Writes a whole answer.
pub fn encode_reply(reply: &ChatReply, label: &Label) -> Vec<u8> {
    let mut calls = 0;
    let parts = reply.parts.iter().map(|part| match part {
        ReplyPart::Text(text) | ReplyPart::Refusal(text) => Part::text(text),
        ReplyPart::Reasoning { text, signature } => Part::thought(text, signature.as_deref()),
        ReplyPart::ToolCall { id, name, arguments } => {
            let id = call_id(Cow::Borrowed(id), calls, label);
            calls += 1;
            Part::call(id, name, Cow::Owned(Json::arguments(arguments)))
        }
    });
    let parts: Vec<Part<'_>> = parts.collect();
    let reason = finish_reason(reply.finish.as_ref());
    written(&Answer::new(parts, Some(reason), UsageMetadata::of(reply.usage), label))
}

/// The id of a call: the backend's, or one that is made.
pub(super) fn call_id<'a>(id: Cow<'a, str>, index: usize, label: &Label) -> Cow<'a, str> {
    if id.is_empty() { Cow::Owned(format!("call_{}{index}", label.id)) } else { id }
}

/// The dialect's word for why an answer ended. That calls wait has none: they are seen.
pub(super) fn finish_reason(finish: Option<&Finish>) -> &'static str {
    match finish {
        Some(Finish::Length) => "MAX_TOKENS",
        Some(Finish::ContentFilter) => "SAFETY",
        Some(Finish::Stop | Finish::StopSequence(_) | Finish::ToolCalls) | None => "STOP",
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer<'a> {
    candidates: [Candidate<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_metadata: Option<UsageMetadata>,
    model_version: &'a str,
    response_id: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_reason: Option<&'static str>,
    index: usize,
}

/// Counts of tokens; the thoughts are not among those of the candidates.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UsageMetadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_token_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidates_token_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thoughts_token_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_content_token_count: Option<u64>,
    total_token_count: u64,
}

impl<'a> Answer<'a> {
    /// An answer of `parts`. Google's clients take a content without any part for a broken one.
    pub(super) fn new(
        mut parts: Vec<Part<'a>>,
        finish_reason: Option<&'static str>,
        usage_metadata: Option<UsageMetadata>,
        label: &'a Label,
    ) -> Self {
        if parts.is_empty() {
            parts.push(Part::text(""));
        }
        let content = Content { role: Some("model"), parts };
        Answer {
            candidates: [Candidate { content, finish_reason, index: 0 }],
            usage_metadata,
            model_version: &label.model,
            response_id: &label.id,
        }
    }
}

impl UsageMetadata {
    /// What was used, if that is told.
    pub(super) fn of(used: Spoken) -> Option<Self> {
        let thought = used.reasoning_tokens;
        (!used.is_empty()).then(|| UsageMetadata {
            prompt_token_count: used.prompt_tokens,
            candidates_token_count: used.completion_tokens.map(|all| all.saturating_sub(thought.unwrap_or(0))),
            thoughts_token_count: thought,
            cached_content_token_count: used.cached_tokens,
            total_token_count: used.total_tokens(),
        })
    }
}

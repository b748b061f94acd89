//! What whole answers and streams to clients have in common: ids, usage, calls, why an answer ends.

use std::borrow::Cow;

use serde::Serialize;

use crate::dialect::chat::{Finish, Label, Spoken};

/// A call, or what a chunk says of one.
#[derive(Serialize)]
pub(super) struct Call<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) r#type: Option<&'static str>,
    pub(super) function: Function<'a>,
}

#[derive(Serialize)]
pub(super) struct Function<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    pub(super) arguments: &'a str,
}

impl<'a> Call<'a> {
    /// A call as a whole. Clients parse its arguments, so that none are an empty object.
    pub(super) fn whole(id: Cow<'a, str>, name: &'a str, arguments: &'a str) -> Self {
        let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
        let function = Function { name: Some(name), arguments };
        Call { index: None, id: Some(id), r#type: Some("function"), function }
    }
}

/// The id of an answer.
pub(super) fn id(label: &Label) -> String {
    format!("chatcmpl-{}", label.id)
}

/// The id of the call at `index`: the backend's, or one that is made.
pub(super) fn call_id<'a>(id: &'a str, index: usize, label: &Label) -> Cow<'a, str> {
    if id.is_empty() { Cow::Owned(format!("call_{}{index}", label.id)) } else { Cow::Borrowed(id) }
}

/// Why an answer ends; where nobody said, it has said all or waits for its calls.
pub(super) fn finish_reason(finish: Option<&Finish>, calls: bool) -> &'static str {
    match finish {
        Some(Finish::Stop | Finish::StopSequence(_)) => "stop",
        Some(Finish::Length) => "length",
        Some(Finish::ToolCalls) => "tool_calls",
        Some(Finish::ContentFilter) => "content_filter",
        None if calls => "tool_calls",
        None => "stop",
    }
}

/// Tokens used.
#[derive(Serialize)]
pub(super) struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Serialize)]
struct PromptDetails {
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_tokens: Option<u64>,
}

#[derive(Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
}

impl Usage {
    /// `None` where nothing is known: a zero would be a lie.
    pub(super) fn new(spoken: Spoken) -> Option<Self> {
        let Spoken { cached_tokens, cache_write_tokens, .. } = spoken;
        let knows_cache = cached_tokens.or(cache_write_tokens).is_some();
        (!spoken.is_empty()).then(|| Usage {
            prompt_tokens: spoken.prompt_tokens.unwrap_or(0),
            completion_tokens: spoken.completion_tokens.unwrap_or(0),
            total_tokens: spoken.total_tokens(),
            prompt_tokens_details: knows_cache.then_some(PromptDetails { cached_tokens, cache_write_tokens }),
            completion_tokens_details: spoken
                .reasoning_tokens
                .map(|reasoning_tokens| CompletionDetails { reasoning_tokens }),
        })
    }
}

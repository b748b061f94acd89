//! A request as clients write it. One flat struct stands for all kinds of items and one for all kinds of parts, because
//! their `type` may stand behind the fields it governs; what a kind must have is for the reader of it to say.

use serde::Deserialize;

use super::shape::{Arguments, Choice, Content, Input, Words};
use crate::dialect::chat::{Hint, Json};

/// The whole body.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Body<'a> {
    pub input: Option<Input<'a>>,
    pub instructions: Option<Words<'a>>,
    pub stream: Option<bool>,
    pub max_output_tokens: Option<u64>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub tools: Option<Vec<Tool<'a>>>,
    pub tool_choice: Option<Choice<'a>>,
    pub parallel_tool_calls: Option<bool>,
    pub text: Option<TextOptions<'a>>,
    pub reasoning: Option<ReasoningOptions<'a>>,
    pub user: Option<Words<'a>>,

    // What only a server that keeps conversations can do.
    pub previous_response_id: Option<Hint>,
    pub conversation: Option<Hint>,
    pub background: Option<bool>,

    // What no other dialect has a word for.
    pub top_logprobs: Option<u64>,
    pub max_tool_calls: Option<Hint>,
    pub prompt: Option<Hint>,
    pub moderation: Option<Hint>,
    pub context_management: Option<Hint>,
    pub image: Option<Hint>,

    /// The name is the business of whoever sends the request on.
    pub model: Hint,
    /// Nothing is stored, and the answer says so.
    pub store: Hint,
    /// What more to tell; what there is to tell is told anyway.
    pub include: Hint,
    /// Padding against eavesdroppers.
    pub stream_options: Hint,
    /// What to do when the prompt is too long: whoever runs the model decides.
    pub truncation: Hint,
    /// Labels of the client's own.
    pub metadata: Hint,
    /// Codex's labels.
    pub client_metadata: Hint,
    /// Which of OpenAI's programs the client's organisation is in; Codex sends it.
    pub access_programs: Hint,
    /// Whom to blame, for OpenAI alone.
    pub safety_identifier: Hint,
    pub prompt_cache_key: Hint,
    pub prompt_cache_options: Hint,
    pub prompt_cache_retention: Hint,
    /// How much to pay for how much speed.
    pub service_tier: Hint,
}

/// An item of `input`, of whatever kind.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Item<'a> {
    #[serde(rename = "type")]
    pub kind: Option<Words<'a>>,
    pub role: Option<Words<'a>>,
    pub content: Option<Content<'a>>,
    pub call_id: Option<Words<'a>>,
    pub name: Option<Words<'a>>,
    pub arguments: Option<Arguments<'a>>,
    pub output: Option<Content<'a>>,
    pub summary: Option<Vec<Part<'a>>>,
    pub encrypted_content: Option<Words<'a>>,
    pub namespace: Option<Hint>,
    pub caller: Option<Caller<'a>>,
    #[serde(rename = "async")]
    pub is_async: Option<bool>,
    /// Where nothing is stored it means nothing, unless there is nothing else: that is a reference.
    pub id: Option<Hint>,
    pub status: Hint,
    /// Commentary or the final answer.
    pub phase: Hint,
    /// Codex's labels, by both names they had.
    pub internal_chat_message_metadata_passthrough: Hint,
    pub metadata: Hint,
}

/// Who made a call: the model, or a program that it wrote.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Caller<'a> {
    #[serde(rename = "type")]
    pub kind: Option<Words<'a>>,
    pub caller_id: Hint,
}

/// A part of a message, of what a tool gave, or of a reasoning.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Part<'a> {
    #[serde(rename = "type")]
    pub kind: Option<Words<'a>>,
    pub text: Option<Words<'a>>,
    pub refusal: Option<Words<'a>>,
    pub image_url: Option<Words<'a>>,
    pub detail: Option<Words<'a>>,
    pub file_id: Option<Hint>,
    pub file_data: Option<Words<'a>>,
    pub file_url: Option<Words<'a>>,
    pub filename: Option<Words<'a>>,
    pub input_audio: Option<Audio<'a>>,
    /// Where the client's own text came from.
    pub annotations: Hint,
    pub logprobs: Hint,
    pub prompt_cache_breakpoint: Hint,
}

/// A sound.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Audio<'a> {
    pub data: Option<Words<'a>>,
    pub format: Option<Words<'a>>,
}

/// A tool, of whatever kind.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Tool<'a> {
    #[serde(rename = "type")]
    pub kind: Option<Words<'a>>,
    pub name: Option<Words<'a>>,
    pub description: Option<Words<'a>>,
    pub parameters: Option<Json>,
    pub strict: Option<bool>,
    pub defer_loading: Option<bool>,
    #[serde(rename = "async")]
    pub is_async: Option<bool>,
    pub allowed_callers: Option<Vec<Words<'a>>>,
    pub output_schema: Option<Hint>,
}

/// `tool_choice` as an object.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Chosen<'a> {
    #[serde(rename = "type")]
    pub kind: Option<Words<'a>>,
    pub name: Option<Words<'a>>,
    /// The rest of what kinds have that are not carried.
    pub mode: Hint,
    pub tools: Hint,
    pub server_label: Hint,
}

/// `text`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct TextOptions<'a> {
    pub format: Option<FormatOptions<'a>>,
    /// A wish for a longer or a shorter answer, which the same words of a prompt would make.
    pub verbosity: Hint,
}

/// `text.format`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct FormatOptions<'a> {
    #[serde(rename = "type")]
    pub kind: Option<Words<'a>>,
    pub name: Option<Words<'a>>,
    pub description: Option<Words<'a>>,
    pub schema: Option<Json>,
    pub strict: Option<bool>,
}

/// `reasoning`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct ReasoningOptions<'a> {
    pub effort: Option<Words<'a>>,
    pub mode: Option<Words<'a>>,
    /// How much of it to tell: all that there is.
    pub summary: Hint,
    pub generate_summary: Hint,
    /// Which turns it is shown again in.
    pub context: Hint,
}

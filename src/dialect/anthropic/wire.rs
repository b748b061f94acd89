//! The bodies of clients, as they are read: flat structs of all fields that this dialect has. What they mean is for
//! [`super::request`] to say.

use serde::Deserialize;

use super::shapes::{Citations, Content, Metadata, Source, Word};
use crate::dialect::chat::{Hint, Json};

/// A block that may stand in another.
pub(super) type Inner<'a> = Block<'a, Hint>;

/// A block of a message.
pub(super) type Outer<'a> = Block<'a, Content<Inner<'a>>>;

/// The body of `/v1/messages` and of `/v1/messages/count_tokens`.
#[derive(Deserialize)]
pub(super) struct Body<'a> {
    /// Read where the request is routed.
    #[serde(rename = "model")]
    _model: Option<Hint>,
    #[serde(borrow)]
    pub(super) messages: Option<Vec<Said<'a>>>,
    pub(super) system: Option<Content<Inner<'a>>>,
    pub(super) tools: Option<Vec<Tool<'a>>>,
    pub(super) tool_choice: Option<Choice<'a>>,
    pub(super) max_tokens: Option<u64>,
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    pub(super) top_k: Option<u64>,
    pub(super) stop_sequences: Option<Vec<String>>,
    pub(super) stream: Option<bool>,
    pub(super) thinking: Option<Thinking<'a>>,
    pub(super) output_config: Option<OutputConfig<'a>>,
    /// The older name of `output_config.format`.
    pub(super) output_format: Option<OutputFormat<'a>>,
    pub(super) metadata: Option<Metadata>,
    pub(super) container: Option<Hint>,
    pub(super) mcp_servers: Option<Vec<Hint>>,
    /// Where a cache is to be written.
    #[serde(rename = "cache_control")]
    _cache_control: Option<Hint>,
    /// Which capacity pays for it.
    #[serde(rename = "service_tier")]
    _service_tier: Option<Hint>,
    /// What may be forgotten of a long conversation.
    #[serde(rename = "context_management")]
    _context_management: Option<Hint>,
    /// A header, in the SDK's own form.
    #[serde(rename = "betas")]
    _betas: Option<Hint>,
    /// Where on earth it is computed.
    #[serde(rename = "inference_geo")]
    _inference_geo: Option<Hint>,
    /// How fast.
    #[serde(rename = "speed")]
    _speed: Option<Hint>,
    /// Asks why a cache was missed.
    #[serde(rename = "diagnostics")]
    _diagnostics: Option<Hint>,
    /// Whom it is billed to.
    #[serde(rename = "user_profile_id")]
    _user_profile_id: Option<Hint>,
}

/// One of `messages`.
#[derive(Deserialize)]
pub(super) struct Said<'a> {
    #[serde(borrow)]
    pub(super) role: Option<Word<'a>>,
    pub(super) content: Option<Content<Outer<'a>>>,
}

/// A content block of any type; `C` is what its own `content` is read as, so that nothing nests without end.
#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a, C: Deserialize<'de>"))]
pub(super) struct Block<'a, C> {
    #[serde(rename = "type")]
    pub(super) kind: Option<Word<'a>>,
    pub(super) text: Option<String>,
    pub(super) source: Option<Source<'a>>,
    pub(super) title: Option<String>,
    pub(super) context: Option<String>,
    pub(super) citations: Option<Citations>,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) input: Option<Json>,
    pub(super) toolset_name: Option<Hint>,
    pub(super) tool_use_id: Option<String>,
    pub(super) content: Option<C>,
    pub(super) is_error: Option<bool>,
    pub(super) thinking: Option<String>,
    pub(super) signature: Option<String>,
    /// Where a cache is to be written.
    #[serde(rename = "cache_control")]
    _cache_control: Option<Hint>,
    /// Who made the call: the model, or code that it ran on a server.
    #[serde(rename = "caller")]
    _caller: Option<Hint>,
    /// What is done to a picture that is too large.
    #[serde(rename = "transformations")]
    _transformations: Option<Hint>,
}

/// Where a picture or a document is.
#[derive(Default, Deserialize)]
pub(super) struct SourceFields<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Option<Word<'a>>,
    pub(super) media_type: Option<String>,
    pub(super) data: Option<String>,
    pub(super) url: Option<String>,
    #[serde(rename = "file_id")]
    _file_id: Option<Hint>,
    #[serde(rename = "content")]
    _content: Option<Hint>,
}

/// One of `tools`.
#[derive(Deserialize)]
pub(super) struct Tool<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Option<Word<'a>>,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) input_schema: Option<Json>,
    pub(super) strict: Option<bool>,
    /// Where a cache is to be written.
    #[serde(rename = "cache_control")]
    _cache_control: Option<Hint>,
    /// How its arguments are streamed.
    #[serde(rename = "eager_input_streaming")]
    _eager_input_streaming: Option<Hint>,
    /// That it may be shown to the model later.
    #[serde(rename = "defer_loading")]
    _defer_loading: Option<Hint>,
    /// How it may be called, for example.
    #[serde(rename = "input_examples")]
    _input_examples: Option<Hint>,
    /// Which of the tools of the server may call it too.
    #[serde(rename = "allowed_callers")]
    _allowed_callers: Option<Hint>,
}

/// `tool_choice`.
#[derive(Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Option<Word<'a>>,
    pub(super) name: Option<String>,
    pub(super) disable_parallel_tool_use: Option<bool>,
}

/// `thinking`.
#[derive(Deserialize)]
pub(super) struct Thinking<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Option<Word<'a>>,
    pub(super) budget_tokens: Option<u64>,
    /// Whether the client is shown it.
    #[serde(rename = "display")]
    _display: Option<Hint>,
}

/// `output_config`.
#[derive(Deserialize)]
pub(super) struct OutputConfig<'a> {
    #[serde(borrow)]
    pub(super) effort: Option<Word<'a>>,
    pub(super) format: Option<OutputFormat<'a>>,
}

/// `output_config.format`.
#[derive(Deserialize)]
pub(super) struct OutputFormat<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Option<Word<'a>>,
    pub(super) schema: Option<Json>,
}

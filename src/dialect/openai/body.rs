//! A client's request, field by field as it is read. What the fields mean is not decided here.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::loose::{List, TextOr, Word};
use crate::dialect::chat::{Hint, Json};

/// The whole body. A field of type `Option<Hint>` that is no hint only matters by being there.
#[derive(Deserialize)]
pub(super) struct Body<'a> {
    /// Its name is the business of whoever sends the request on.
    #[serde(default, rename = "model")]
    _model: Hint,
    #[serde(borrow, default)]
    pub(super) messages: List<Message<'a>>,
    #[serde(borrow, default)]
    pub(super) tools: List<Tool<'a>>,
    #[serde(borrow, default)]
    pub(super) tool_choice: TextOr<'a, Choice<'a>>,
    pub(super) parallel_tool_calls: Option<bool>,
    pub(super) max_tokens: Option<i64>,
    pub(super) max_completion_tokens: Option<i64>,
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    pub(super) top_k: Option<i64>,
    pub(super) min_p: Option<f64>,
    pub(super) seed: Option<i64>,
    pub(super) frequency_penalty: Option<f64>,
    pub(super) presence_penalty: Option<f64>,
    pub(super) repeat_penalty: Option<f64>,
    /// vLLM's name for it.
    pub(super) repetition_penalty: Option<f64>,
    #[serde(borrow, default)]
    pub(super) stop: TextOr<'a, Vec<String>>,
    #[serde(borrow)]
    pub(super) response_format: Option<ResponseFormat<'a>>,
    #[serde(borrow)]
    pub(super) reasoning_effort: Option<Word<'a>>,
    pub(super) stream: Option<bool>,
    pub(super) stream_options: Option<StreamOptions>,
    pub(super) user: Option<String>,
    pub(super) n: Option<i64>,
    #[serde(borrow)]
    pub(super) logit_bias: Option<&'a RawValue>,
    pub(super) logprobs: Option<bool>,
    pub(super) top_logprobs: Option<i64>,
    #[serde(borrow, default)]
    pub(super) modalities: List<Word<'a>>,
    #[serde(borrow)]
    pub(super) verbosity: Option<Word<'a>>,
    pub(super) audio: Option<Hint>,
    pub(super) prediction: Option<Hint>,
    pub(super) web_search_options: Option<Hint>,
    pub(super) function_call: Option<Hint>,
    pub(super) functions: Option<Hint>,
    /// Whether OpenAI keeps the answer for its customer.
    #[serde(default, rename = "store")]
    _store: Hint,
    /// Labels of what is kept.
    #[serde(default, rename = "metadata")]
    _metadata: Hint,
    /// How fast and at what price.
    #[serde(default, rename = "service_tier")]
    _service_tier: Hint,
    /// Whom to block.
    #[serde(default, rename = "safety_identifier")]
    _safety_identifier: Hint,
    /// Where to look for a cached prompt.
    #[serde(default, rename = "prompt_cache_key")]
    _prompt_cache_key: Hint,
    /// How long to cache it.
    #[serde(default, rename = "prompt_cache_retention")]
    _prompt_cache_retention: Hint,
    /// OpenRouter's: what to cache.
    #[serde(default, rename = "cache_control")]
    _cache_control: Hint,
}

#[derive(Deserialize)]
pub(super) struct StreamOptions {
    pub(super) include_usage: Option<bool>,
    /// Random bytes that hide how long each piece is.
    #[serde(default, rename = "include_obfuscation")]
    _include_obfuscation: Hint,
}

#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) role: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) content: TextOr<'a, Vec<Part<'a>>>,
    #[serde(borrow)]
    pub(super) name: Option<Word<'a>>,
    pub(super) reasoning_content: Option<String>,
    pub(super) reasoning: Option<String>,
    pub(super) refusal: Option<String>,
    #[serde(borrow, default)]
    pub(super) tool_calls: List<Call<'a>>,
    pub(super) tool_call_id: Option<String>,
    pub(super) function_call: Option<Hint>,
    pub(super) audio: Option<Hint>,
    /// Where an answer found what it says: the model never sees it.
    #[serde(default, rename = "annotations")]
    _annotations: Hint,
    #[serde(default, rename = "cache_control")]
    _cache_control: Hint,
}

#[derive(Deserialize)]
pub(super) struct Part<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    pub(super) text: Option<String>,
    pub(super) refusal: Option<String>,
    #[serde(borrow, default)]
    pub(super) image_url: TextOr<'a, Address<'a>>,
    #[serde(borrow, default)]
    pub(super) audio_url: TextOr<'a, Address<'a>>,
    #[serde(borrow, default)]
    pub(super) video_url: TextOr<'a, Address<'a>>,
    #[serde(borrow)]
    pub(super) input_audio: Option<Sound<'a>>,
    #[serde(borrow)]
    pub(super) file: Option<File<'a>>,
    #[serde(default, rename = "cache_control")]
    _cache_control: Hint,
}

#[derive(Deserialize)]
pub(super) struct Address<'a> {
    #[serde(borrow)]
    pub(super) url: Cow<'a, str>,
    pub(super) detail: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Sound<'a> {
    #[serde(borrow)]
    pub(super) data: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) format: Cow<'a, str>,
}

#[derive(Deserialize)]
pub(super) struct File<'a> {
    #[serde(borrow)]
    pub(super) file_data: Option<Word<'a>>,
    pub(super) filename: Option<String>,
    pub(super) file_id: Option<Hint>,
}

#[derive(Deserialize)]
pub(super) struct Call<'a> {
    pub(super) id: Option<String>,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Word<'a>>,
    #[serde(borrow)]
    pub(super) function: Option<Function<'a>>,
    #[serde(default, rename = "custom")]
    _custom: Hint,
    /// Left over from the stream that the call came in.
    #[serde(default, rename = "index")]
    _index: Hint,
}

#[derive(Deserialize)]
pub(super) struct Function<'a> {
    pub(super) name: String,
    #[serde(borrow)]
    pub(super) arguments: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Tool<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Word<'a>>,
    pub(super) function: Option<Signature>,
    #[serde(default, rename = "custom")]
    _custom: Hint,
    #[serde(default, rename = "cache_control")]
    _cache_control: Hint,
}

#[derive(Deserialize)]
pub(super) struct Signature {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) parameters: Option<Json>,
    pub(super) strict: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    pub(super) function: Option<Named>,
    #[serde(default, rename = "allowed_tools")]
    _allowed_tools: Hint,
    #[serde(default, rename = "custom")]
    _custom: Hint,
}

#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
}

#[derive(Deserialize)]
pub(super) struct ResponseFormat<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    pub(super) json_schema: Option<Schema>,
    /// llama.cpp's, beside `json_object`.
    pub(super) schema: Option<Json>,
}

#[derive(Deserialize)]
pub(super) struct Schema {
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) schema: Option<Json>,
    pub(super) strict: Option<bool>,
}

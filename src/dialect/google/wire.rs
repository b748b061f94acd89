//! A client's body as it is written. Every field is also read in snake case, as the API does. What is not here is noted
//! as unknown by the reader.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::values::{Many, Number, Whole, Word};
use crate::dialect::chat::{Hint, Json};

/// The body of `generateContent` and `streamGenerateContent`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    #[serde(borrow)]
    pub(super) contents: Option<Many<Content<'a>>>,
    #[serde(borrow, alias = "system_instruction")]
    pub(super) system_instruction: Option<Content<'a>>,
    pub(super) tools: Option<Many<Tools>>,
    #[serde(borrow, alias = "tool_config")]
    pub(super) tool_config: Option<ToolConfig<'a>>,
    #[serde(borrow, alias = "generation_config")]
    pub(super) generation_config: Option<GenerationConfig<'a>>,
    #[serde(borrow, alias = "cached_content")]
    pub(super) cached_content: Option<Word<'a>>,
    /// It is in the path.
    #[serde(rename = "model")]
    _model: Option<Hint>,
    /// What Google's own filter lets pass.
    #[serde(rename = "safetySettings", alias = "safety_settings")]
    _safety_settings: Option<Hint>,
    /// For the bill.
    #[serde(rename = "labels")]
    _labels: Option<Hint>,
    /// Whether Google keeps it.
    #[serde(rename = "store")]
    _store: Option<Hint>,
    /// How soon, and for how much.
    #[serde(rename = "serviceTier", alias = "service_tier")]
    _service_tier: Option<Hint>,
}

/// The body of `countTokens`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CountBody<'a> {
    #[serde(borrow)]
    pub(super) contents: Option<Many<Content<'a>>>,
    #[serde(borrow, alias = "generate_content_request")]
    pub(super) generate_content_request: Option<Body<'a>>,
    /// It is in the path.
    #[serde(rename = "model")]
    _model: Option<Hint>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Content<'a> {
    #[serde(borrow)]
    pub(super) role: Option<Word<'a>>,
    #[serde(borrow)]
    pub(super) parts: Option<Many<Part<'a>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part<'a> {
    pub(super) text: Option<String>,
    pub(super) thought: Option<bool>,
    #[serde(alias = "thought_signature")]
    pub(super) thought_signature: Option<String>,
    #[serde(borrow, alias = "inline_data")]
    pub(super) inline_data: Option<Blob<'a>>,
    #[serde(borrow, alias = "file_data")]
    pub(super) file_data: Option<FileData<'a>>,
    #[serde(alias = "function_call")]
    pub(super) function_call: Option<FunctionCall>,
    #[serde(borrow, alias = "function_response")]
    pub(super) function_response: Option<FunctionResponse<'a>>,
    #[serde(alias = "executable_code")]
    pub(super) executable_code: Option<Hint>,
    #[serde(alias = "code_execution_result")]
    pub(super) code_execution_result: Option<Hint>,
    /// Of a tool that Google runs.
    #[serde(alias = "tool_call")]
    pub(super) tool_call: Option<Hint>,
    #[serde(alias = "tool_response")]
    pub(super) tool_response: Option<Hint>,
    /// Which part of a film is meant.
    #[serde(alias = "video_metadata")]
    pub(super) video_metadata: Option<Hint>,
    /// How closely to look.
    #[serde(rename = "mediaResolution", alias = "media_resolution")]
    _media_resolution: Option<Hint>,
    /// The client's own note.
    #[serde(rename = "partMetadata", alias = "part_metadata")]
    _part_metadata: Option<Hint>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Blob<'a> {
    #[serde(borrow, alias = "mime_type")]
    pub(super) mime_type: Option<Word<'a>>,
    pub(super) data: Option<String>,
    #[serde(alias = "display_name")]
    pub(super) display_name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileData<'a> {
    #[serde(borrow, alias = "mime_type")]
    pub(super) mime_type: Option<Word<'a>>,
    #[serde(alias = "file_uri")]
    pub(super) file_uri: Option<String>,
    #[serde(alias = "display_name")]
    pub(super) display_name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct FunctionCall {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) args: Option<Json>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FunctionResponse<'a> {
    pub(super) id: Option<String>,
    #[serde(borrow)]
    pub(super) name: Option<Word<'a>>,
    #[serde(borrow)]
    pub(super) response: Option<&'a RawValue>,
    /// What came of the call besides, as pictures.
    #[serde(borrow)]
    pub(super) parts: Option<Many<ResponsePart<'a>>>,
    /// More is to come: only of calls that do not block.
    #[serde(alias = "will_continue")]
    pub(super) will_continue: Option<bool>,
    /// When the model is to hear of it: only of calls that do not block.
    pub(super) scheduling: Option<Hint>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResponsePart<'a> {
    #[serde(borrow, alias = "inline_data")]
    pub(super) inline_data: Option<Blob<'a>>,
    #[serde(borrow, alias = "file_data")]
    pub(super) file_data: Option<FileData<'a>>,
}

/// A set of functions, or a tool that Google runs.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tools {
    #[serde(alias = "function_declarations")]
    pub(super) function_declarations: Option<Many<FunctionDeclaration>>,
    #[serde(alias = "google_search")]
    pub(super) google_search: Option<Hint>,
    #[serde(alias = "google_search_retrieval")]
    pub(super) google_search_retrieval: Option<Hint>,
    #[serde(alias = "code_execution")]
    pub(super) code_execution: Option<Hint>,
    #[serde(alias = "url_context")]
    pub(super) url_context: Option<Hint>,
    #[serde(alias = "file_search")]
    pub(super) file_search: Option<Hint>,
    #[serde(alias = "google_maps")]
    pub(super) google_maps: Option<Hint>,
    #[serde(alias = "computer_use")]
    pub(super) computer_use: Option<Hint>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FunctionDeclaration {
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) parameters: Option<Json>,
    #[serde(alias = "parameters_json_schema")]
    pub(super) parameters_json_schema: Option<Json>,
    /// What a result looks like.
    /// What the function returns: nobody else has a word for it, and the model sees what comes.
    #[serde(rename = "response")]
    _response: Option<Hint>,
    #[serde(rename = "responseJsonSchema", alias = "response_json_schema")]
    _response_json_schema: Option<Hint>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig<'a> {
    #[serde(borrow, alias = "function_calling_config")]
    pub(super) function_calling_config: Option<CallingConfig<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallingConfig<'a> {
    #[serde(borrow)]
    pub(super) mode: Option<Word<'a>>,
    #[serde(alias = "allowed_function_names")]
    pub(super) allowed_function_names: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GenerationConfig<'a> {
    pub(super) temperature: Option<Number>,
    #[serde(alias = "top_p")]
    pub(super) top_p: Option<Number>,
    #[serde(alias = "top_k")]
    pub(super) top_k: Option<Whole>,
    pub(super) seed: Option<Whole>,
    #[serde(alias = "max_output_tokens")]
    pub(super) max_output_tokens: Option<Whole>,
    #[serde(alias = "stop_sequences")]
    pub(super) stop_sequences: Option<Vec<String>>,
    #[serde(alias = "frequency_penalty")]
    pub(super) frequency_penalty: Option<Number>,
    #[serde(alias = "presence_penalty")]
    pub(super) presence_penalty: Option<Number>,
    #[serde(borrow, alias = "response_mime_type")]
    pub(super) response_mime_type: Option<Word<'a>>,
    #[serde(alias = "response_schema")]
    pub(super) response_schema: Option<Json>,
    #[serde(alias = "response_json_schema", alias = "_responseJsonSchema")]
    pub(super) response_json_schema: Option<Json>,
    #[serde(borrow, alias = "thinking_config")]
    pub(super) thinking_config: Option<ThinkingConfig<'a>>,
    #[serde(alias = "candidate_count")]
    pub(super) candidate_count: Option<Whole>,
    #[serde(alias = "response_logprobs")]
    pub(super) response_logprobs: Option<bool>,
    pub(super) logprobs: Option<Whole>,
    #[serde(borrow, alias = "response_modalities")]
    pub(super) response_modalities: Option<Vec<Word<'a>>>,
    #[serde(alias = "speech_config")]
    pub(super) speech_config: Option<Hint>,
    #[serde(alias = "enable_enhanced_civic_answers")]
    pub(super) enable_enhanced_civic_answers: Option<bool>,
    /// How closely to look at media.
    #[serde(rename = "mediaResolution", alias = "media_resolution")]
    _media_resolution: Option<Hint>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ThinkingConfig<'a> {
    #[serde(alias = "thinking_budget")]
    pub(super) thinking_budget: Option<Whole>,
    #[serde(borrow, alias = "thinking_level")]
    pub(super) thinking_level: Option<Word<'a>>,
    /// Whether the answer tells thoughts: other dialects always do.
    #[serde(rename = "includeThoughts", alias = "include_thoughts")]
    _include_thoughts: Option<Hint>,
}

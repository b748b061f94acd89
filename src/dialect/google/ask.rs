//! A request in the canonical form as a body for a backend.

use serde::Serialize;

use super::turns::{Turns, turns};
use super::written::Content;
use crate::dialect::chat::{ChatRequest, Effort, Format, Json, Reasoning, Tool, ToolChoice, Unsupported};

/// The API takes no more texts that end an answer.
const MAX_STOPS: usize = 5;

/// Writes the body of `generateContent` and `streamGenerateContent`. The model and whether to stream are for the path.
///
/// # Errors
/// The dialect cannot say all of it.
pub fn encode_request(request: &ChatRequest, model: &str) -> Result<Vec<u8>, Unsupported> {
    let mut refused = Unsupported::default();
    note_unsayable(request, &mut refused);
    let Turns { instruction, contents } = turns(&request.messages, model, &mut refused);
    refused.check()?;
    let body = Body {
        model: None,
        contents,
        system_instruction: instruction,
        tools: tools(&request.tools),
        tool_config: request.tool_choice.as_ref().map(tool_config),
        generation_config: Some(generation_config(request)).filter(|config| *config != GenerationConfig::default()),
    };
    Ok(written(&body))
}

/// Writes the body of `countTokens`: what `request` says, with its tools.
///
/// # Errors
/// The dialect cannot say all of it.
pub fn encode_count(request: &ChatRequest, model: &str) -> Result<Vec<u8>, Unsupported> {
    let mut refused = Unsupported::default();
    let Turns { instruction, contents } = turns(&request.messages, model, &mut refused);
    refused.check()?;
    let generate_content_request = Body {
        model: Some(resource(model)),
        contents,
        system_instruction: instruction,
        tools: tools(&request.tools),
        tool_config: None,
        generation_config: None,
    };
    Ok(written(&CountBody { generate_content_request }))
}

/// The name of a model as it stands in a body.
pub(super) fn resource(model: &str) -> String {
    if model.contains('/') { model.to_owned() } else { format!("models/{model}") }
}

/// `body` as JSON.
pub(super) fn written(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("text, numbers and lists are JSON")
}

fn note_unsayable(request: &ChatRequest, refused: &mut Unsupported) {
    let sampling = &request.sampling;
    refused.note(sampling.min_p.is_some(), "min_p");
    refused.note(sampling.repeat_penalty.is_some(), "repeat_penalty");
    refused.note(request.parallel_tool_calls == Some(false), "parallel_tool_calls");
    refused.note(request.context_length.is_some(), "context_length");
    refused.note(sampling.seed.is_some_and(|seed| i32::try_from(seed).is_err()), "seed: beyond 32 bits");
    refused.note(request.stop.len() > MAX_STOPS, "stop: more than 5 texts");
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CountBody<'a> {
    generate_content_request: Body<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    contents: Vec<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<[Tools<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation_config: Option<GenerationConfig<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tools<'a> {
    function_declarations: Vec<FunctionDeclaration<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FunctionDeclaration<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<&'a Json>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig<'a> {
    function_calling_config: CallingConfig<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallingConfig<'a> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_function_names: Option<[&'a str; 1]>,
}

#[derive(Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<ThinkingConfig>,
}

#[derive(PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ThinkingConfig {
    thinking_budget: i64,
    /// Refused where nothing is thought.
    #[serde(skip_serializing_if = "Option::is_none")]
    include_thoughts: Option<bool>,
}

fn tools(tools: &[Tool]) -> Option<[Tools<'_>; 1]> {
    if tools.is_empty() {
        return None;
    }
    let declarations = tools.iter().map(|tool| FunctionDeclaration {
        name: &tool.name,
        description: tool.description.as_deref(),
        parameters_json_schema: tool.parameters.as_ref(),
    });
    Some([Tools { function_declarations: declarations.collect() }])
}

fn tool_config(choice: &ToolChoice) -> ToolConfig<'_> {
    let (mode, allowed_function_names) = match choice {
        ToolChoice::Auto => ("AUTO", None),
        ToolChoice::None => ("NONE", None),
        ToolChoice::Required => ("ANY", None),
        ToolChoice::Named(name) => ("ANY", Some([name.as_str()])),
    };
    ToolConfig { function_calling_config: CallingConfig { mode, allowed_function_names } }
}

fn generation_config(request: &ChatRequest) -> GenerationConfig<'_> {
    let sampling = &request.sampling;
    let schema = match &request.format {
        Some(Format::JsonSchema { schema, .. }) => Some(schema),
        _ => None,
    };
    GenerationConfig {
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        seed: sampling.seed,
        max_output_tokens: request.max_tokens,
        stop_sequences: &request.stop,
        frequency_penalty: sampling.frequency_penalty,
        presence_penalty: sampling.presence_penalty,
        response_mime_type: request.format.is_some().then_some("application/json"),
        response_json_schema: schema,
        thinking_config: request.reasoning.as_ref().and_then(thinking_config),
    }
}

/// Effort as a budget: levels are known to the newest models only, budgets to all that think.
fn thinking_config(reasoning: &Reasoning) -> Option<ThinkingConfig> {
    let budget = match (reasoning.effort, reasoning.budget_tokens) {
        (Some(Effort::None), _) => 0,
        (_, Some(tokens)) => i64::try_from(tokens).unwrap_or(i64::MAX),
        (Some(Effort::Minimal), None) => 1024,
        (Some(Effort::Low), None) => 2048,
        (Some(Effort::Medium), None) => 8192,
        (Some(Effort::High), None) => 16384,
        (Some(Effort::Max), None) => 32768,
        (Some(Effort::Adaptive), None) => -1,
        (None, None) => return None,
    };
    Some(ThinkingConfig { thinking_budget: budget, include_thoughts: (budget != 0).then_some(true) })
}

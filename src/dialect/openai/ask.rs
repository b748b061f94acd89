//! The canonical form as a request to a backend. Its messages are written next door.

use serde::Serialize;

use super::turns::{self, Turn};
use crate::dialect::chat::{ChatRequest, Effort, Format, Json, Reasoning, Tool as Asked, ToolChoice, Unsupported};

/// By which name a backend knows how long the answer may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `max_tokens`, which almost every server knows.
    MaxTokens,
    /// `max_completion_tokens`, which OpenAI's own reasoning models insist on.
    MaxCompletionTokens,
}

/// What to ask a backend for, of which no more is known than that it speaks this dialect.
///
/// # Errors
/// What the dialect has no word for.
pub fn encode_request(request: &ChatRequest, model: &str) -> Result<Vec<u8>, Unsupported> {
    encode_request_for(request, model, Limit::MaxTokens)
}

/// The same, for a backend that knows `limit`.
///
/// # Errors
/// What the dialect has no word for.
pub fn encode_request_for(request: &ChatRequest, model: &str, limit: Limit) -> Result<Vec<u8>, Unsupported> {
    let mut unsupported = Unsupported::default();
    let messages = turns::write(&request.messages, &mut unsupported);
    unsupported.check()?;
    let body = Body::new(request, model, limit, messages);
    Ok(serde_json::to_vec(&body).expect("texts and numbers are JSON"))
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeat_penalty: Option<f64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
}

impl<'a> Body<'a> {
    fn new(request: &'a ChatRequest, model: &'a str, limit: Limit, messages: Vec<Turn<'a>>) -> Self {
        let has_tools = !request.tools.is_empty();
        let sampling = &request.sampling;
        Body {
            model,
            messages,
            tools: request.tools.iter().map(Tool::new).collect(),
            tool_choice: request.tool_choice.as_ref().and_then(|choice| Choice::new(choice, has_tools)),
            parallel_tool_calls: request.parallel_tool_calls.filter(|_| has_tools),
            max_tokens: request.max_tokens.filter(|_| limit == Limit::MaxTokens),
            max_completion_tokens: request.max_tokens.filter(|_| limit == Limit::MaxCompletionTokens),
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            top_k: sampling.top_k,
            min_p: sampling.min_p,
            seed: sampling.seed,
            frequency_penalty: sampling.frequency_penalty,
            presence_penalty: sampling.presence_penalty,
            repeat_penalty: sampling.repeat_penalty,
            stop: &request.stop,
            response_format: request.format.as_ref().map(ResponseFormat::new),
            reasoning_effort: request.reasoning.as_ref().and_then(effort).map(Effort::as_str),
            user: request.user.as_deref(),
            stream: request.stream,
            // What is used is always worth knowing, whether or not the client asks.
            stream_options: request.stream.then_some(StreamOptions { include_usage: true }),
        }
    }
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

impl<'a> Tool<'a> {
    fn new(tool: &'a Asked) -> Self {
        let function = Function {
            name: &tool.name,
            description: tool.description.as_deref(),
            parameters: tool.parameters.as_ref(),
            strict: tool.strict,
        };
        Tool { r#type: "function", function }
    }
}

/// A word, or the name of a function.
enum Choice<'a> {
    Word(&'static str),
    Named(&'a str),
}

impl<'a> Choice<'a> {
    /// Servers refuse any choice where there is nothing to choose from.
    fn new(choice: &'a ToolChoice, has_tools: bool) -> Option<Self> {
        match choice {
            ToolChoice::Auto => has_tools.then_some(Choice::Word("auto")),
            ToolChoice::None => has_tools.then_some(Choice::Word("none")),
            ToolChoice::Required => Some(Choice::Word("required")),
            ToolChoice::Named(name) => Some(Choice::Named(name)),
        }
    }
}

impl Serialize for Choice<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Named<'a> {
            r#type: &'static str,
            function: Name<'a>,
        }
        #[derive(Serialize)]
        struct Name<'a> {
            name: &'a str,
        }
        match self {
            Choice::Word(word) => to.serialize_str(word),
            Choice::Named(name) => Named { r#type: "function", function: Name { name } }.serialize(to),
        }
    }
}

#[derive(Serialize)]
struct ResponseFormat<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    json_schema: Option<Schema<'a>>,
}

#[derive(Serialize)]
struct Schema<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    schema: &'a Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

impl<'a> ResponseFormat<'a> {
    /// A schema must have a name here; one that has none is called by what it is for.
    fn new(format: &'a Format) -> Self {
        match format {
            Format::JsonObject => ResponseFormat { r#type: "json_object", json_schema: None },
            Format::JsonSchema { name, description, schema, strict } => {
                let name = name.as_deref().unwrap_or("answer");
                let schema = Schema { name, description: description.as_deref(), schema, strict: *strict };
                ResponseFormat { r#type: "json_schema", json_schema: Some(schema) }
            }
        }
    }
}

/// The word for how much to think; the dialect has none for as much as the model finds right, and knows no budget.
fn effort(reasoning: &Reasoning) -> Option<Effort> {
    match (reasoning.effort, reasoning.budget_tokens) {
        (Some(Effort::Adaptive), _) => None,
        (Some(effort), _) => Some(effort),
        (None, budget) => budget.map(|tokens| match tokens {
            0 => Effort::None,
            1..=1024 => Effort::Minimal,
            1025..=2048 => Effort::Low,
            2049..=8192 => Effort::Medium,
            8193..=16384 => Effort::High,
            _ => Effort::Max,
        }),
    }
}

//! The canonical request into a body for Anthropic's API. Its messages are written in [`super::history`].

use std::borrow::Cow;

use super::history;
use super::settings::NO_ARGUMENTS;
use super::written::{Body, Choice, Metadata, OutputConfig, OutputFormat, Thinking, Tool};
use crate::dialect::chat::{ChatRequest, Effort, Format, Json, Reasoning, Sampling, ToolChoice, Unsupported};

/// The dialect demands `max_tokens`: this many where nothing is said.
const DEFAULT_MAX_TOKENS: u64 = 4096;
/// The API takes no smaller budget.
const LEAST_BUDGET: u64 = 1024;

/// Writes the body of `/v1/messages`.
///
/// Refused: `seed`, penalties, `min_p`, a temperature above 1, stop texts of white space alone, a format of any JSON
/// object, audio and video, media that a system or an assistant says, instructions after the conversation has begun.
///
/// In other words: an effort becomes a budget of tokens below `max_tokens` (a budget that is said wins), so it comes
/// back as one; instructions in several messages become one; a refusal of the model becomes text; in ids of calls `_`
/// stands for each character that the API refuses.
///
/// Left out: reasoning without a signature, which the API refuses; empty texts and messages; a schema's name,
/// description and `strict`, which it always is; how closely to look at a picture, and its name; `context_length` and
/// `keep_alive`; choices about tools where there are none.
///
/// # Errors
/// What it cannot say.
pub fn encode_request(request: &ChatRequest, model: &str) -> Result<Vec<u8>, Unsupported> {
    let mut unsupported = Unsupported::default();
    let max_tokens = request.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
    refuse_sampling(&request.sampling, &mut unsupported);
    let is_blank = |text: &String| text.trim().is_empty();
    unsupported.note(request.stop.iter().any(is_blank), "stop: a text of white space alone");

    let body = Body {
        max_tokens: Some(max_tokens),
        stream: request.stream.then_some(true),
        temperature: request.sampling.temperature,
        top_p: request.sampling.top_p,
        top_k: request.sampling.top_k,
        stop_sequences: &request.stop,
        metadata: request.user.as_deref().map(|user_id| Metadata { user_id }),
        ..counted(request, model, Some(max_tokens), &mut unsupported)
    };
    written(&body, unsupported)
}

/// Writes the body of `/v1/messages/count_tokens`: of a request only what makes its prompt.
///
/// # Errors
/// What it cannot say.
pub fn encode_count(request: &ChatRequest, model: &str) -> Result<Vec<u8>, Unsupported> {
    let mut unsupported = Unsupported::default();
    let body = counted(request, model, None, &mut unsupported);
    written(&body, unsupported)
}

fn written(body: &Body<'_>, unsupported: Unsupported) -> Result<Vec<u8>, Unsupported> {
    unsupported.check()?;
    Ok(serde_json::to_vec(body).expect("texts and numbers can be written"))
}

fn counted<'a>(
    request: &'a ChatRequest,
    model: &'a str,
    max_tokens: Option<u64>,
    unsupported: &mut Unsupported,
) -> Body<'a> {
    let (system, messages) = history::write(&request.messages, unsupported);
    Body {
        model,
        system,
        messages,
        tools: request.tools.iter().map(tool).collect(),
        tool_choice: choice(request),
        thinking: request.reasoning.as_ref().and_then(|reasoning| thinking(reasoning, max_tokens)),
        output_config: output_config(request.format.as_ref(), unsupported),
        ..Body::default()
    }
}

fn refuse_sampling(sampling: &Sampling, unsupported: &mut Unsupported) {
    unsupported.note(sampling.temperature.is_some_and(|temperature| temperature > 1.0), "temperature above 1");
    unsupported.note(sampling.min_p.is_some(), "min_p");
    unsupported.note(sampling.seed.is_some(), "seed");
    unsupported.note(sampling.frequency_penalty.is_some(), "frequency_penalty");
    unsupported.note(sampling.presence_penalty.is_some(), "presence_penalty");
    unsupported.note(sampling.repeat_penalty.is_some(), "repeat_penalty");
}

fn tool(tool: &crate::dialect::chat::Tool) -> Tool<'_> {
    let nothing = || Cow::Owned(Json::parse(NO_ARGUMENTS).expect("it is JSON"));
    Tool {
        name: &tool.name,
        description: tool.description.as_deref(),
        input_schema: tool.parameters.as_ref().map_or_else(nothing, Cow::Borrowed),
        strict: tool.strict,
    }
}

fn choice(request: &ChatRequest) -> Option<Choice<'_>> {
    let one_at_a_time = request.parallel_tool_calls == Some(false);
    let (kind, name) = match &request.tool_choice {
        None if one_at_a_time => ("auto", None),
        None => return None,
        Some(ToolChoice::Auto) => ("auto", None),
        Some(ToolChoice::None) => ("none", None),
        Some(ToolChoice::Required) => ("any", None),
        Some(ToolChoice::Named(name)) => ("tool", Some(name.as_str())),
    };
    if request.tools.is_empty() && matches!(kind, "auto" | "none") {
        return None;
    }
    let disable_parallel_tool_use = (one_at_a_time && kind != "none").then_some(true);
    Some(Choice { kind, name, disable_parallel_tool_use })
}

fn thinking(reasoning: &Reasoning, max_tokens: Option<u64>) -> Option<Thinking> {
    let wanted = match (reasoning.effort, reasoning.budget_tokens) {
        (Some(Effort::None), _) => return Some(Thinking { kind: "disabled", budget_tokens: None }),
        (_, Some(budget)) => budget.max(LEAST_BUDGET),
        (Some(Effort::Adaptive), None) => return Some(Thinking { kind: "adaptive", budget_tokens: None }),
        (Some(effort), None) => budget_of(effort),
        (None, None) => return None,
    };
    let budget = match max_tokens {
        Some(most) if wanted >= most && most <= LEAST_BUDGET => return None,
        Some(most) if wanted >= most => LEAST_BUDGET.max(most / 2),
        _ => wanted,
    };
    Some(Thinking { kind: "enabled", budget_tokens: Some(budget) })
}

fn budget_of(effort: Effort) -> u64 {
    match effort {
        Effort::None | Effort::Minimal => LEAST_BUDGET,
        Effort::Low => 2048,
        Effort::Medium | Effort::Adaptive => 8192,
        Effort::High => 16384,
        Effort::Max => 32768,
    }
}

fn output_config<'a>(format: Option<&'a Format>, unsupported: &mut Unsupported) -> Option<OutputConfig<'a>> {
    unsupported.note(matches!(format, Some(Format::JsonObject)), "response_format json_object");
    match format {
        Some(Format::JsonSchema { schema, .. }) => {
            Some(OutputConfig { format: OutputFormat { kind: "json_schema", schema } })
        }
        _ => None,
    }
}

//! What a body says beside its conversation: tools, how much to think, what the answer must look like.

use super::wire::{Choice, OutputConfig, OutputFormat, Thinking, Tool};
use crate::dialect::chat::{self, Effort, Format, Json, Reasoning, ToolChoice};
use crate::dialect::inspect::BadRequest;

/// How a tool without arguments is written, and read back.
pub(super) const NO_ARGUMENTS: &str = r#"{"type":"object","properties":{}}"#;

/// A value that must be another.
pub(super) fn bad(path: impl ToString, problem: &str) -> BadRequest {
    BadRequest::Value { path: path.to_string(), problem: problem.to_owned() }
}

/// The tools of the client's own; those of the server go to `uncarried`.
pub(super) fn tools(tools: Vec<Tool<'_>>, uncarried: &mut Vec<String>) -> Result<Vec<chat::Tool>, BadRequest> {
    let mut kept = Vec::with_capacity(tools.len());
    for (index, tool) in tools.into_iter().enumerate() {
        match tool.kind.as_ref().map_or("custom", |kind| &kind.0) {
            "custom" => kept.push(custom(tool, index)?),
            _ => uncarried.push(format!("tools[{index}]")),
        }
    }
    Ok(kept)
}

fn custom(tool: Tool<'_>, index: usize) -> Result<chat::Tool, BadRequest> {
    let place = |field: &str| format!("tools[{index}].{field}");
    let name = tool.name.filter(|name| !name.is_empty());
    let schema = tool.input_schema.filter(Json::is_object);
    Ok(chat::Tool {
        name: name.ok_or_else(|| bad(place("name"), "send what the tool is called by"))?,
        description: tool.description,
        parameters: schema
            .ok_or_else(|| bad(place("input_schema"), "send a JSON schema of an object"))
            .map(|schema| Some(schema).filter(|schema| schema.get() != NO_ARGUMENTS))?,
        strict: tool.strict.filter(|strict| *strict),
    })
}

/// Whether a tool must be called, and whether more than one may be. An `auto` that only carries
/// `disable_parallel_tool_use` is no choice.
pub(super) fn choice(choice: Option<Choice<'_>>) -> Result<(Option<ToolChoice>, Option<bool>), BadRequest> {
    let Some(choice) = choice else { return Ok((None, None)) };
    let one_at_a_time = choice.disable_parallel_tool_use.unwrap_or(false).then_some(false);
    let chosen = match choice.kind.as_ref().map(|kind| &*kind.0) {
        Some("auto") if one_at_a_time.is_some() => None,
        Some("auto") => Some(ToolChoice::Auto),
        Some("any") => Some(ToolChoice::Required),
        Some("none") => return Ok((Some(ToolChoice::None), None)),
        Some("tool") => match choice.name {
            Some(name) => Some(ToolChoice::Named(name)),
            None => return Err(bad("tool_choice.name", "send the name of the tool")),
        },
        _ => return Err(bad("tool_choice.type", "send `auto`, `any`, `tool` or `none`")),
    };
    Ok((chosen, one_at_a_time))
}

/// What the answer must look like. Schemas have neither name nor description here, and always count to the letter.
pub(super) fn format(
    config: Option<&OutputConfig<'_>>,
    older: Option<&OutputFormat<'_>>,
) -> Result<Option<Format>, BadRequest> {
    let (format, path) = match (config.and_then(|config| config.format.as_ref()), older) {
        (Some(format), _) => (format, "output_config.format"),
        (None, Some(format)) => (format, "output_format"),
        (None, None) => return Ok(None),
    };
    if format.kind.as_ref().is_none_or(|kind| kind.0 != "json_schema") {
        return Err(bad(format!("{path}.type"), "send `json_schema`"));
    }
    match format.schema.clone().filter(Json::is_object) {
        Some(schema) => Ok(Some(Format::JsonSchema { name: None, description: None, schema, strict: None })),
        None => Err(bad(format!("{path}.schema"), "send a JSON schema")),
    }
}

/// How much to think: what `thinking` says, and `output_config.effort`, which says it better than `adaptive`.
pub(super) fn reasoning(
    thinking: Option<Thinking<'_>>,
    config: Option<&OutputConfig<'_>>,
    uncarried: &mut Vec<String>,
) -> Result<Option<Reasoning>, BadRequest> {
    let word = config.and_then(|config| config.effort.as_ref());
    let effort = match word.map(|word| &*word.0) {
        None => None,
        Some(word @ ("low" | "medium" | "high" | "xhigh" | "max")) => Effort::from_word(word),
        Some(_) => return Err(bad("output_config.effort", "send `low`, `medium`, `high`, `xhigh` or `max`")),
    };
    let Some(thinking) = thinking else {
        return Ok(effort.map(|effort| Reasoning { effort: Some(effort), budget_tokens: None }));
    };
    let (effort, budget_tokens) = match thinking.kind.as_ref().map(|kind| &*kind.0) {
        Some("enabled") => match thinking.budget_tokens {
            Some(budget) => (effort, Some(budget)),
            None => return Err(bad("thinking.budget_tokens", "send how many tokens may be thought")),
        },
        Some("adaptive") => (effort.or(Some(Effort::Adaptive)), None),
        Some("disabled") => (Some(Effort::None), None),
        Some("between_tools") => {
            uncarried.push("thinking.type".to_owned());
            (effort, None)
        }
        _ => return Err(bad("thinking.type", "send `enabled`, `adaptive` or `disabled`")),
    };
    let reasoning = Reasoning { effort, budget_tokens };
    Ok(Some(reasoning).filter(|reasoning| *reasoning != Reasoning::default()))
}

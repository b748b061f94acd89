//! What a client asks for, in the canonical form: its options and its tools. The conversation itself is read next door.

use super::conversation::{forget, messages, note_kind};
use super::shape::{Choice, Words};
use super::wire::{Body, FormatOptions, ReasoningOptions, Tool as WireTool};
use crate::dialect::chat::{
    ChatRequest, Decoded, Effort, Format, Json, Reasoning, Sampling, Tool, ToolChoice, Unsupported, read_body,
};
use crate::dialect::inspect::BadRequest;

/// Tools, and ways to choose among them, that this dialect has and no other.
const UNCARRIED_TOOLS: [&str; 19] = [
    "allowed_tools",
    "apply_patch",
    "code_interpreter",
    "computer",
    "computer_use",
    "computer_use_preview",
    "custom",
    "file_search",
    "image_generation",
    "local_shell",
    "mcp",
    "namespace",
    "programmatic_tool_calling",
    "shell",
    "tool_search",
    "web_search",
    "web_search_2025_08_26",
    "web_search_preview",
    "web_search_preview_2025_03_11",
];

/// Those of them that agents offer with every request. The reply says that they were left out.
const LEFT_OUT_TOOLS: [&str; 11] = [
    "custom",
    "image_generation",
    "local_shell",
    "namespace",
    "programmatic_tool_calling",
    "shell",
    "tool_search",
    "web_search",
    "web_search_2025_08_26",
    "web_search_preview",
    "web_search_preview_2025_03_11",
];

/// Reads a client's request.
///
/// # Errors
/// What is wrong with it and where, and what to send instead.
pub fn decode_request(body: &str) -> Result<Decoded, BadRequest> {
    let mut uncarried = Vec::new();
    let body: Body<'_> = read_body(body, &mut uncarried)?;
    refuse_state(&body)?;
    note_fields(&body, &mut uncarried);
    let messages = messages(body.instructions, body.input, &mut uncarried)?;
    let mut left_out = Vec::new();
    let tools = tools(body.tools.unwrap_or_default(), &mut uncarried, &mut left_out)?;
    let (mut tool_choice, mut parallel_tool_calls) = (None, body.parallel_tool_calls.filter(|may| !may));
    if let Some(choice) = body.tool_choice {
        tool_choice = chosen(choice, &mut uncarried)?;
    }
    if tools.is_empty() {
        tool_choice = tool_choice.filter(|choice| !matches!(choice, ToolChoice::Auto | ToolChoice::None));
        parallel_tool_calls = None;
    }
    let stream = body.stream == Some(true);
    let request = ChatRequest {
        messages,
        tools,
        tool_choice,
        parallel_tool_calls,
        max_tokens: body.max_output_tokens,
        sampling: Sampling { temperature: body.temperature, top_p: body.top_p, ..Sampling::default() },
        format: body.text.and_then(|text| text.format).map(format).transpose()?.flatten(),
        reasoning: body.reasoning.map(|options| reasoning(&options, &mut uncarried)).transpose()?.flatten(),
        stream,
        include_usage: stream,
        user: body.user.map(Words::into_string),
        ..ChatRequest::default()
    };
    Ok(Decoded { request, uncarried, left_out })
}

/// What only a server that keeps answers could serve.
fn refuse_state(body: &Body<'_>) -> Result<(), BadRequest> {
    let refusals = [
        (body.previous_response_id.is_some(), "previous_response_id"),
        (body.conversation.is_some(), "conversation"),
        (body.background == Some(true), "background"),
    ];
    match refusals.into_iter().find(|(is_there, _)| *is_there) {
        None => Ok(()),
        Some((_, "background")) => Err(problem(
            "background",
            "no answers are kept here to be asked for later: leave it out, and wait or stream",
        )),
        Some((_, path)) => Err(problem(
            path,
            "no conversations are kept here: leave it out, and send the whole conversation as `input`",
        )),
    }
}

fn note_fields(body: &Body<'_>, uncarried: &mut Vec<String>) {
    let mut noted = Unsupported::default();
    noted.note(body.top_logprobs.is_some_and(|count| count > 0), "top_logprobs");
    noted.note(body.max_tool_calls.is_some(), "max_tool_calls");
    noted.note(body.prompt.is_some(), "prompt");
    noted.note(body.moderation.is_some(), "moderation");
    noted.note(body.context_management.is_some(), "context_management");
    noted.note(body.image.is_some(), "image");
    uncarried.append(&mut noted.0);
}

fn tools(
    tools: Vec<WireTool<'_>>,
    uncarried: &mut Vec<String>,
    left_out: &mut Vec<String>,
) -> Result<Vec<Tool>, BadRequest> {
    let mut all = Vec::with_capacity(tools.len());
    for (at, tool) in tools.into_iter().enumerate() {
        match tool.kind.as_ref().map(Words::as_str) {
            Some("function") => all.push(function(at, tool, uncarried)?),
            // An agent names these whether it needs them or not; a model elsewhere does without.
            Some(kind) if LEFT_OUT_TOOLS.contains(&kind) => {
                forget(uncarried, "tools", at);
                left_out.push(format!("tools[{at}].type: {kind}"));
            }
            Some(kind) => {
                let known = UNCARRIED_TOOLS.contains(&kind).then_some(kind);
                note_kind(uncarried, "tools", at, known);
            }
            None => return Err(problem(&format!("tools[{at}].type"), "is required: `function`")),
        }
    }
    Ok(all)
}

fn function(at: usize, tool: WireTool<'_>, uncarried: &mut Vec<String>) -> Result<Tool, BadRequest> {
    let Some(name) = tool.name.filter(|name| !name.as_str().is_empty()) else {
        return Err(problem(&format!("tools[{at}].name"), "is required: a string that is not empty"));
    };
    if tool.parameters.as_ref().is_some_and(|parameters| !parameters.is_object()) {
        return Err(problem(&format!("tools[{at}].parameters"), "must be a JSON schema: an object"));
    }
    let by_program = |callers: &Vec<Words<'_>>| callers.iter().any(|caller| caller.as_str() != "direct");
    let mut note = |is_there: bool, field: &str| {
        if is_there {
            uncarried.push(format!("tools[{at}].{field}"));
        }
    };
    note(tool.defer_loading == Some(true), "defer_loading");
    note(tool.is_async == Some(true), "async");
    note(tool.allowed_callers.as_ref().is_some_and(by_program), "allowed_callers");
    note(tool.output_schema.is_some(), "output_schema");
    Ok(Tool {
        name: name.into_string(),
        description: tool.description.map(Words::into_string),
        parameters: tool.parameters,
        strict: tool.strict.filter(|strict| *strict),
    })
}

fn chosen(choice: Choice<'_>, uncarried: &mut Vec<String>) -> Result<Option<ToolChoice>, BadRequest> {
    let object = match choice {
        Choice::Word(word) => {
            return Ok(Some(match word.as_str() {
                "auto" => ToolChoice::Auto,
                "none" => ToolChoice::None,
                "required" => ToolChoice::Required,
                _ => return Err(problem("tool_choice", "must be `auto`, `none`, `required`, or name a function")),
            }));
        }
        Choice::Object(object) => object,
    };
    match object.kind.as_ref().map(Words::as_str) {
        Some("function") => match object.name {
            Some(name) => Ok(Some(ToolChoice::Named(name.into_string()))),
            None => Err(problem("tool_choice.name", "is required: the name of a function")),
        },
        Some(kind) if UNCARRIED_TOOLS.contains(&kind) => {
            uncarried.push(format!("tool_choice.type: {kind}"));
            Ok(None)
        }
        _ => Err(problem("tool_choice.type", "must be `function`")),
    }
}

fn format(format: FormatOptions<'_>) -> Result<Option<Format>, BadRequest> {
    match format.kind.as_ref().map(Words::as_str) {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(Format::JsonObject)),
        Some("json_schema") => {
            let Some(schema) = format.schema.filter(Json::is_object) else {
                return Err(problem("text.format.schema", "is required: a JSON schema"));
            };
            Ok(Some(Format::JsonSchema {
                name: format.name.map(Words::into_string),
                description: format.description.map(Words::into_string),
                schema,
                strict: format.strict.filter(|strict| *strict),
            }))
        }
        _ => Err(problem("text.format.type", "must be `text`, `json_object` or `json_schema`")),
    }
}

fn reasoning(options: &ReasoningOptions<'_>, uncarried: &mut Vec<String>) -> Result<Option<Reasoning>, BadRequest> {
    if options.mode.as_ref().is_some_and(|mode| mode.as_str() != "standard") {
        uncarried.push("reasoning.mode".to_owned());
    }
    let Some(word) = &options.effort else { return Ok(None) };
    match Effort::from_word(word.as_str()) {
        Some(effort) => Ok(Some(Reasoning { effort: Some(effort), budget_tokens: None })),
        None => {
            Err(problem("reasoning.effort", "must be `none`, `minimal`, `low`, `medium`, `high`, `xhigh` or `max`"))
        }
    }
}

fn problem(path: &str, problem: &str) -> BadRequest {
    BadRequest::Value { path: path.to_owned(), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests;

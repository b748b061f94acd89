//! A client's request as the canonical form. Its messages are read next door.

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::body::{Body, Choice, ResponseFormat, Tool as ReadTool};
use super::loose::{TextOr, Word};
use super::messages::Conversation;
use crate::dialect::chat::{
    ChatRequest, Decoded, Effort, Format, Json, Reasoning, Sampling, Tool, ToolChoice, read_body,
};
use crate::dialect::inspect::BadRequest;

/// What a client asks for.
///
/// # Errors
/// What is wrong with its body, and where.
pub fn decode_request(body: &str) -> Result<Decoded, BadRequest> {
    check_is_object(body)?;
    let mut uncarried = Vec::new();
    let mut read: Body<'_> = read_body(body, &mut uncarried)?;
    note_uncarried(&read, &mut uncarried);
    let mut request = ChatRequest {
        max_tokens: max_tokens(&read),
        sampling: sampling(&read),
        stop: stop(std::mem::take(&mut read.stop)),
        reasoning: reasoning(read.reasoning_effort.as_ref())?,
        stream: read.stream == Some(true),
        user: read.user.take().filter(|user| !user.is_empty()),
        ..ChatRequest::default()
    };
    let asks_usage = read.stream_options.as_ref().and_then(|options| options.include_usage);
    request.include_usage = request.stream && asks_usage == Some(true);
    request.format = read.response_format.take().map_or(Ok(None), |format| self::format(format, &mut uncarried))?;
    request.tools = tools(std::mem::take(&mut read.tools.0), &mut uncarried)?;
    request.tool_choice = tool_choice(std::mem::take(&mut read.tool_choice), &mut uncarried)?;
    request.parallel_tool_calls = read.parallel_tool_calls.filter(|parallel| !parallel);
    forget_what_needs_tools(&mut request);
    request.messages = Conversation::new(&mut uncarried).read(std::mem::take(&mut read.messages.0))?;
    Ok(Decoded { request, uncarried, left_out: Vec::new() })
}

/// What is wrong at `path`.
pub(super) fn bad(path: impl ToString, problem: &str) -> BadRequest {
    BadRequest::Value { path: path.to_string(), problem: problem.to_owned() }
}

/// Says so where a body is JSON, but no object.
pub(super) fn check_is_object(body: &str) -> Result<(), BadRequest> {
    match body.trim_ascii_start().as_bytes().first() {
        None => Err(BadRequest::Empty),
        Some(b'{') => Ok(()),
        Some(_) if serde_json::from_str::<IgnoredAny>(body).is_ok() => Err(BadRequest::NotAnObject),
        Some(_) => Ok(()),
    }
}

/// Known fields that no other dialect has, where they stand at anything but their neutral value.
fn note_uncarried(body: &Body<'_>, uncarried: &mut Vec<String>) {
    let says_more_than_text = |modalities: &[Word<'_>]| modalities.iter().any(|modality| modality.0 != "text");
    let fields = [
        (body.n.is_some_and(|n| n != 1), "n"),
        (body.logit_bias.is_some_and(|bias| !is_empty(bias)), "logit_bias"),
        (body.logprobs == Some(true), "logprobs"),
        (body.top_logprobs.is_some_and(|count| count != 0), "top_logprobs"),
        (says_more_than_text(&body.modalities.0), "modalities"),
        (body.verbosity.as_ref().is_some_and(|word| word.0 != "medium"), "verbosity"),
        (body.audio.is_some(), "audio"),
        (body.prediction.is_some(), "prediction"),
        (body.web_search_options.is_some(), "web_search_options"),
        (body.function_call.is_some(), "function_call"),
        (body.functions.is_some(), "functions"),
    ];
    uncarried.extend(fields.iter().filter(|(is_there, _)| *is_there).map(|(_, field)| (*field).to_owned()));
}

/// Whether it is `{}` or `[]`.
fn is_empty(value: &RawValue) -> bool {
    let inner = value.get().get(1..value.get().len() - 1);
    inner.is_some_and(|inner| inner.trim().is_empty())
}

/// The larger of the two names that it goes by. A negative number is llama.cpp's word for no limit.
fn max_tokens(body: &Body<'_>) -> Option<u64> {
    let limits = [body.max_tokens, body.max_completion_tokens];
    limits.into_iter().flatten().filter_map(|limit| u64::try_from(limit).ok()).max()
}

fn sampling(body: &Body<'_>) -> Sampling {
    let unless = |neutral: f64, value: Option<f64>| value.filter(|value| *value != neutral);
    Sampling {
        temperature: body.temperature,
        top_p: body.top_p,
        // A negative number is vLLM's word for all tokens, as if nothing were said.
        top_k: body.top_k.and_then(|count| u64::try_from(count).ok()),
        min_p: body.min_p,
        seed: body.seed,
        frequency_penalty: unless(0.0, body.frequency_penalty),
        presence_penalty: unless(0.0, body.presence_penalty),
        repeat_penalty: unless(1.0, body.repeat_penalty.or(body.repetition_penalty)),
    }
}

fn stop(read: TextOr<'_, Vec<String>>) -> Vec<String> {
    let mut texts = match read {
        TextOr::Nothing => Vec::new(),
        TextOr::Text(text) => vec![text.into_owned()],
        TextOr::Other(texts) => texts,
    };
    texts.retain(|text| !text.is_empty());
    texts
}

fn reasoning(effort: Option<&Word<'_>>) -> Result<Option<Reasoning>, BadRequest> {
    let Some(word) = effort else { return Ok(None) };
    let effort = Effort::from_word(&word.0)
        .ok_or_else(|| bad("reasoning_effort", "must be none, minimal, low, medium, high or xhigh"))?;
    Ok(Some(Reasoning { effort: Some(effort), budget_tokens: None }))
}

fn format(read: ResponseFormat<'_>, uncarried: &mut Vec<String>) -> Result<Option<Format>, BadRequest> {
    const SCHEMA: &str = "response_format.json_schema";
    match (read.kind.as_ref(), read.json_schema, read.schema) {
        ("text", ..) => Ok(None),
        ("json_schema", Some(read), _) => {
            let schema = match read.schema {
                Some(schema) if schema.is_object() => schema,
                Some(_) => return Err(bad(format_args!("{SCHEMA}.schema"), "must be an object: send a JSON schema")),
                None => return Err(bad(format_args!("{SCHEMA}.schema"), "is missing: send a JSON schema")),
            };
            let strict = read.strict.filter(|strict| *strict);
            Ok(Some(Format::JsonSchema { name: read.name, description: read.description, schema, strict }))
        }
        ("json_object" | "json_schema", _, Some(schema)) => by_schema_alone(schema).map(Some),
        ("json_schema", None, None) => Err(bad(SCHEMA, "is missing: send an object with name and schema")),
        ("json_object", ..) => Ok(Some(Format::JsonObject)),
        ("grammar" | "regex" | "structural_tag" | "python", ..) => {
            uncarried.push("response_format".to_owned());
            Ok(None)
        }
        _ => Err(bad("response_format.type", "must be text, json_object or json_schema")),
    }
}

fn by_schema_alone(schema: Json) -> Result<Format, BadRequest> {
    if !schema.is_object() {
        return Err(bad("response_format.schema", "must be an object: send a JSON schema"));
    }
    Ok(Format::JsonSchema { name: None, description: None, schema, strict: None })
}

fn tools(read: Vec<ReadTool<'_>>, uncarried: &mut Vec<String>) -> Result<Vec<Tool>, BadRequest> {
    let mut tools = Vec::with_capacity(read.len());
    for (index, tool) in read.into_iter().enumerate() {
        if tool.kind.as_ref().is_some_and(|kind| kind.0 != "function") {
            uncarried.push(format!("tools[{index}]"));
            continue;
        }
        let Some(function) = tool.function else {
            return Err(bad(format_args!("tools[{index}].function"), "is missing: send the function's name"));
        };
        if function.parameters.as_ref().is_some_and(|schema| !schema.is_object()) {
            let path = format_args!("tools[{index}].function.parameters");
            return Err(bad(path, "must be an object: send a JSON schema"));
        }
        tools.push(Tool {
            name: function.name,
            description: function.description,
            parameters: function.parameters,
            strict: function.strict.filter(|strict| *strict),
        });
    }
    Ok(tools)
}

fn tool_choice(read: TextOr<'_, Choice<'_>>, uncarried: &mut Vec<String>) -> Result<Option<ToolChoice>, BadRequest> {
    const WANTED: &str = "must be auto, none, required, or an object that names a function";
    match read {
        TextOr::Nothing => Ok(None),
        TextOr::Text(word) => match word.as_ref() {
            "auto" => Ok(Some(ToolChoice::Auto)),
            "none" => Ok(Some(ToolChoice::None)),
            // "any" is Mistral's word.
            "required" | "any" => Ok(Some(ToolChoice::Required)),
            _ => Err(bad("tool_choice", WANTED)),
        },
        TextOr::Other(choice) => match (choice.kind.as_ref(), choice.function) {
            ("function", Some(function)) => Ok(Some(ToolChoice::Named(function.name))),
            ("function", None) => Err(bad("tool_choice.function", "is missing: send the function's name")),
            ("allowed_tools" | "custom", _) => {
                uncarried.push("tool_choice".to_owned());
                Ok(None)
            }
            _ => Err(bad("tool_choice.type", "must be function")),
        },
    }
}

/// Without tools there is nothing to choose from, and saying so asks for nothing.
fn forget_what_needs_tools(request: &mut ChatRequest) {
    if !request.tools.is_empty() {
        return;
    }
    request.parallel_tool_calls = None;
    if matches!(request.tool_choice, Some(ToolChoice::Auto | ToolChoice::None)) {
        request.tool_choice = None;
    }
}

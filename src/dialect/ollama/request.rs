//! Requests of clients for `/api/chat` and `/api/generate`. Which of them is streamed in which shape is said by
//! [`super::Encoder`].

use serde_json::value::RawValue;

use super::history::{self, bad};
use super::loose::{Think, Whole};
use super::options;
use super::wire::{ChatBody, GenerateBody, ToolBody};
use crate::dialect::chat::{ChatRequest, Decoded, Effort, Format, Json, Message, Reasoning, Role, Tool, read_body};
use crate::dialect::inspect::BadRequest;

/// Reads the body of `/api/chat`. One without messages asks that the model be loaded, or unloaded where `keep_alive`
/// is 0.
///
/// # Errors
/// What is wrong with it and where.
pub fn decode_request(body: &str) -> Result<Decoded, BadRequest> {
    let mut uncarried = Vec::new();
    let body: ChatBody<'_> = read_body(body, &mut uncarried)?;
    let shared = Shared {
        stream: body.stream,
        format: body.format,
        think: body.think,
        keep_alive: body.keep_alive,
        logprobs: body.logprobs,
        top_logprobs: body.top_logprobs,
        debug_render_only: body.debug_render_only,
    };
    let mut request = shared.take(&mut uncarried)?;
    options::take(body.options.unwrap_or_default(), &mut request, &mut uncarried);
    let tools = body.tools.unwrap_or_default().into_iter().enumerate();
    request.tools = tools.map(|(at, body)| tool(body, at)).collect::<Result<_, _>>()?;
    request.messages = history::decode(body.messages.unwrap_or_default(), &mut uncarried)?;
    Ok(Decoded { request, uncarried, left_out: Vec::new() })
}

/// Reads the body of `/api/generate`. One without a prompt asks that the model be loaded, or unloaded where
/// `keep_alive` is 0: it has no messages here.
///
/// # Errors
/// What is wrong with it and where.
pub fn decode_generate(body: &str) -> Result<Decoded, BadRequest> {
    let mut uncarried = Vec::new();
    let body: GenerateBody<'_> = read_body(body, &mut uncarried)?;
    let only_here = [
        ("suffix", body.suffix.is_some_and(|suffix| !suffix.0.is_empty())),
        ("template", body.template.is_some_and(|template| !template.0.is_empty())),
        ("context", body.context.is_some_and(|context| !is_empty_array(context))),
        ("raw", body.raw == Some(true)),
    ];
    uncarried.extend(only_here.into_iter().filter(|(_, is_said)| *is_said).map(|(name, _)| name.to_owned()));
    let shared = Shared {
        stream: body.stream,
        format: body.format,
        think: body.think,
        keep_alive: body.keep_alive,
        logprobs: body.logprobs,
        top_logprobs: body.top_logprobs,
        debug_render_only: body.debug_render_only,
    };
    let mut request = shared.take(&mut uncarried)?;
    options::take(body.options.unwrap_or_default(), &mut request, &mut uncarried);
    if let Some(prompt) = body.prompt.filter(|prompt| !prompt.is_empty()) {
        let system = body.system.filter(|system| !system.is_empty());
        request.messages.extend(system.map(|system| Message::text(Role::System, system)));
        let parts = history::text_and_images(Some(prompt), body.images, "")?;
        request.messages.push(Message { role: Role::User, parts });
    }
    Ok(Decoded { request, uncarried, left_out: Vec::new() })
}

/// What the two bodies have in common.
struct Shared {
    stream: Option<bool>,
    format: Option<Json>,
    think: Option<Think>,
    keep_alive: Option<Json>,
    logprobs: Option<bool>,
    top_logprobs: Option<Whole>,
    debug_render_only: Option<bool>,
}

impl Shared {
    fn take(self, uncarried: &mut Vec<String>) -> Result<ChatRequest, BadRequest> {
        let only_here = [
            ("logprobs", self.logprobs == Some(true)),
            ("top_logprobs", self.top_logprobs.is_some_and(|count| count.0 != 0)),
            ("_debug_render_only", self.debug_render_only == Some(true)),
        ];
        uncarried.extend(only_here.into_iter().filter(|(_, is_said)| *is_said).map(|(name, _)| name.to_owned()));
        let stream = self.stream.unwrap_or(true);
        Ok(ChatRequest {
            stream,
            include_usage: stream,
            format: self.format.map_or(Ok(None), format)?,
            reasoning: self.think.map(reasoning).transpose()?,
            keep_alive: self.keep_alive.map(keep_alive).transpose()?,
            ..ChatRequest::default()
        })
    }
}

fn format(said: Json) -> Result<Option<Format>, BadRequest> {
    match said.get() {
        "\"\"" => Ok(None),
        "\"json\"" => Ok(Some(Format::JsonObject)),
        _ if said.is_object() => {
            Ok(Some(Format::JsonSchema { name: None, description: None, schema: said, strict: None }))
        }
        _ => Err(bad("format".to_owned(), "must be \"json\" or a JSON schema")),
    }
}

fn reasoning(think: Think) -> Result<Reasoning, BadRequest> {
    let effort = match think {
        Think::Whether(true) => Effort::Adaptive,
        Think::Whether(false) => Effort::None,
        Think::Word(word) => match word.as_str() {
            "low" => Effort::Low,
            "medium" => Effort::Medium,
            "high" => Effort::High,
            "max" => Effort::Max,
            _ => return Err(bad("think".to_owned(), "must be true, false, \"low\", \"medium\" or \"high\"")),
        },
    };
    Ok(Reasoning { effort: Some(effort), budget_tokens: None })
}

fn keep_alive(said: Json) -> Result<Json, BadRequest> {
    let is_well = said.get().starts_with(|first: char| matches!(first, '"' | '-' | '0'..='9'));
    let problem = "must be a number of seconds, or a duration as \"5m\"";
    if is_well { Ok(said) } else { Err(bad("keep_alive".to_owned(), problem)) }
}

fn tool(body: ToolBody<'_>, at: usize) -> Result<Tool, BadRequest> {
    if body.kind.is_some_and(|kind| kind.0 != "function") {
        return Err(bad(format!("tools[{at}].type"), "must be `function`"));
    }
    let Some(function) = body.function else {
        return Err(bad(format!("tools[{at}].function"), "must be an object of `name` and `parameters`"));
    };
    let Some(name) = function.name.filter(|name| !name.is_empty()) else {
        return Err(bad(format!("tools[{at}].function.name"), "must be a name"));
    };
    if function.parameters.as_ref().is_some_and(|schema| !schema.is_object()) {
        return Err(bad(format!("tools[{at}].function.parameters"), "must be a JSON schema"));
    }
    Ok(Tool { name, description: function.description, parameters: function.parameters, strict: None })
}

fn is_empty_array(raw: &RawValue) -> bool {
    let inside = raw.get().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inside.is_some_and(|inside| inside.trim().is_empty())
}

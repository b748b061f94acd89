//! What a request body asks for: one borrowing pass over it finds what routing needs, and what its prompt is known by. The
//! body itself is never rebuilt, and what the backend alone can judge is left to it.

mod answers;
mod bad;
mod body;
mod canonical;
mod content;
mod form;
mod glance;
mod messages;
mod options;
mod prompt;
mod surrogate;
#[cfg(test)]
mod tests;

use std::ops::Range;

use bytes::Bytes;
use serde::de::DeserializeSeed;

pub use self::answers::{Extent, extent};
pub use self::bad::BadRequest;
use self::body::{Body, Fields};
pub use self::glance::Shape;
use self::messages::Messages;
use self::prompt::Prompt;
pub(super) use self::surrogate::mend;
use super::prefix::{self, Named};
use crate::exchange::{Dialect, Endpoint};
use crate::fleet::{Needs, Prefix};

/// The most inputs that one request for embeddings may hold.
pub const MAX_INPUTS: u64 = 2048;

/// Where a client names the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelAt {
    /// In a JSON body: the value of `model`, quotes included, in bytes.
    Json(Range<usize>),
    /// In a form: the value of its field `model`, in bytes.
    Form(Range<usize>),
    /// In the path.
    Path,
}

/// What routing needs of a request body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The model the client names; not empty.
    pub model: String,
    /// Where the client names it.
    pub model_at: ModelAt,
    /// Whether the answer is to come as it is made.
    pub stream: bool,
    /// What it asks of a model.
    pub needs: Needs,
    /// What its prompt begins with; `None` where there is nothing that a backend could have read before. What the client
    /// calls the conversation is not in it yet: see [`super::prefix_of`].
    pub prefix: Option<Prefix>,
    /// What the body calls the conversation.
    pub named: Named,
}

/// Finds what routing needs of `body`, without copying it. `named` is the model that the path names, for endpoints where it
/// does.
///
/// # Errors
/// Whatever keeps the body from being a request to `endpoint`; fields that routing does not read are not judged.
pub fn inspect(
    endpoint: Endpoint,
    named: Option<&str>,
    content_type: Option<&str>,
    body: &Bytes,
) -> Result<Inspection, BadRequest> {
    if endpoint.is_form() {
        return form::inspect(content_type, body);
    }
    if !content_type.is_none_or(|value| is_json(value) || endpoint.dialect() == Dialect::Ollama) {
        return Err(BadRequest::ContentType);
    }
    let text = as_text(body)?;
    let with_prefix = endpoint.is_chat() || endpoint == Endpoint::Completions;
    match read(endpoint, named, text, with_prefix) {
        Err(BadRequest::Syntax { .. }) => {}
        result => return result,
    }
    let Some(mended) = mend(text) else { return read(endpoint, named, text, false) };
    match read(endpoint, named, &mended, with_prefix) {
        Err(BadRequest::Syntax { .. }) => read(endpoint, named, &mended, false),
        result => result,
    }
}

fn read(endpoint: Endpoint, named: Option<&str>, text: &str, for_prefix: bool) -> Result<Inspection, BadRequest> {
    let mut found = parse(endpoint, text, for_prefix).map_err(unreadable)?;
    let (model, model_at) = match named {
        Some(named) => (named.to_owned(), ModelAt::Path),
        None => model(&found, text).map(|(name, span)| (name, ModelAt::Json(span)))?,
    };
    let mut needs = Needs { max_tokens: max_tokens(&found)?, ..Needs::default() };
    match endpoint {
        Endpoint::ChatCompletions | Endpoint::Messages | Endpoint::CountTokens => {
            read_messages("messages", found.messages.as_ref(), &mut needs)?;
        }
        Endpoint::OllamaChat if found.messages.is_none() => {}
        Endpoint::OllamaChat => read_messages("messages", found.messages.as_ref(), &mut needs)?,
        Endpoint::GenerateContent | Endpoint::StreamContent | Endpoint::StreamContentArray => {
            read_messages("contents", found.messages.as_ref(), &mut needs)?;
        }
        Endpoint::Responses => read_items(found.messages.as_ref(), &mut needs)?,
        Endpoint::Completions => needs.prompt_bytes = read_prompt("prompt", found.prompt.as_ref())?.bytes,
        Endpoint::OllamaGenerate => needs.prompt_bytes = found.prompt.as_ref().map_or(0, |prompt| prompt.bytes),
        Endpoint::Embeddings | Endpoint::OllamaEmbed => read_input(found.input.as_ref(), &mut needs)?,
        Endpoint::OllamaEmbeddings | Endpoint::EmbedContent | Endpoint::BatchEmbedContents => needs.embeddings = true,
        Endpoint::CountContent if found.messages.is_some() => {
            read_messages("contents", found.messages.as_ref(), &mut needs)?;
        }
        Endpoint::CountContent | Endpoint::Rerank | Endpoint::Speech | Endpoint::Images => {}
        Endpoint::Transcriptions | Endpoint::Translations | Endpoint::ImageEdits => {}
    }
    if endpoint == Endpoint::Messages {
        // Here every request must say a limit, and clients say what no answer comes near: it is no need of room.
        needs.max_tokens = None;
    }
    if let Some(system) = &found.system {
        needs.prompt_bytes = needs.prompt_bytes.saturating_add(system.content.bytes);
    }
    needs.vision |= found.images.is_some_and(|shape| shape == Shape::Array);
    read_options(endpoint, &found, &mut needs)?;
    let stream = streams(endpoint, found.stream)?;
    let named = Named { cache_key: found.cache_key, user: found.user };
    Ok(Inspection { model, model_at, stream, needs, prefix: prefix(endpoint, &mut found), named })
}

/// Whether the answer is to come as it is made: where nothing is said, each dialect has its own way.
fn streams(endpoint: Endpoint, said: Option<Shape>) -> Result<bool, BadRequest> {
    match endpoint {
        Endpoint::StreamContent | Endpoint::StreamContentArray => Ok(true),
        Endpoint::OllamaChat | Endpoint::OllamaGenerate if said.is_none() => Ok(true),
        _ if endpoint.names_model_in_path() || endpoint.is_embedding() && endpoint != Endpoint::Embeddings => Ok(false),
        _ => flag("stream", said),
    }
}

fn parse(endpoint: Endpoint, text: &str, for_prefix: bool) -> Result<Body<'_>, serde_json::Error> {
    let mut from = serde_json::Deserializer::from_str(text);
    let body = Fields { endpoint, for_prefix }.deserialize(&mut from)?;
    from.end()?;
    Ok(body)
}

/// What the prompt begins with, if that was asked for.
fn prefix(endpoint: Endpoint, found: &mut Body<'_>) -> Option<Prefix> {
    match endpoint {
        Endpoint::Completions | Endpoint::OllamaGenerate => prefix::of_prompt(found.prompt.take()?.blocks?),
        _ if endpoint.is_chat() => {
            let tools = found.tools.as_ref().and_then(|tools| tools.block);
            let apart = found.system.as_ref().and_then(|system| system.transcript.as_ref());
            found.messages.as_ref()?.transcript.as_ref()?.chain(tools, apart)
        }
        _ => None,
    }
}

/// `application/json` and whatever ends in `+json`, parameters aside.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

fn as_text(body: &Bytes) -> Result<&str, BadRequest> {
    let text = std::str::from_utf8(body).map_err(|error| BadRequest::NotUtf8 { at: error.valid_up_to() })?;
    if text.starts_with('\u{feff}') {
        return Err(BadRequest::ByteOrderMark);
    }
    if text.bytes().all(|byte| byte.is_ascii_whitespace()) {
        return Err(BadRequest::Empty);
    }
    Ok(text)
}

fn unreadable(error: serde_json::Error) -> BadRequest {
    match error.classify() {
        serde_json::error::Category::Data => BadRequest::NotAnObject,
        _ => BadRequest::Syntax { what: error.to_string() },
    }
}

/// The name and the place of `model`.
fn model(body: &Body<'_>, text: &str) -> Result<(String, Range<usize>), BadRequest> {
    let wanted = "the name of a model";
    let raw = body.model.ok_or(BadRequest::Missing { field: "model", wanted })?.get();
    if body.model_repeated {
        return Err(BadRequest::Repeated { field: "model" });
    }
    let found = shape_of(raw);
    if found != Shape::String {
        return Err(BadRequest::WrongType { path: "model".to_owned(), wanted: "a string", found });
    }
    let name: String = serde_json::from_str(raw)
        .map_err(|_| BadRequest::Unusable { field: "model", problem: "is not a valid JSON string" })?;
    if name.trim().is_empty() {
        return Err(BadRequest::Unusable { field: "model", problem: "is empty: name a model" });
    }
    let start = raw.as_ptr() as usize - text.as_ptr() as usize;
    Ok((name, start..start + raw.len()))
}

fn shape_of(raw: &str) -> Shape {
    serde_json::from_str::<glance::Seen<Shape>>(raw).map_or(Shape::String, |seen| seen.0)
}

fn read_messages(field: &'static str, messages: Option<&Messages>, needs: &mut Needs) -> Result<(), BadRequest> {
    let wanted = "an array of messages";
    let messages = messages.ok_or(BadRequest::Missing { field, wanted })?;
    if messages.shape != Shape::Array {
        return Err(BadRequest::WrongType { path: field.to_owned(), wanted, found: messages.shape });
    }
    take_messages(field, messages, needs)
}

/// Responses' `input` is one text or many items.
fn read_items(input: Option<&Messages>, needs: &mut Needs) -> Result<(), BadRequest> {
    let wanted = "a string or an array of items";
    let input = input.ok_or(BadRequest::Missing { field: "input", wanted })?;
    if !matches!(input.shape, Shape::Array | Shape::String) {
        return Err(BadRequest::WrongType { path: "input".to_owned(), wanted, found: input.shape });
    }
    take_messages("input", input, needs)
}

fn take_messages(field: &str, messages: &Messages, needs: &mut Needs) -> Result<(), BadRequest> {
    if let Some((index, found)) = messages.stray {
        return Err(BadRequest::WrongType { path: format!("{field}[{index}]"), wanted: "an object", found });
    }
    needs.prompt_bytes = messages.content.bytes;
    needs.vision = messages.content.images;
    Ok(())
}

fn read_prompt<'a>(field: &'static str, prompt: Option<&'a Prompt>) -> Result<&'a Prompt, BadRequest> {
    let wanted = "a string or an array";
    let prompt = prompt.ok_or(BadRequest::Missing { field, wanted })?;
    match prompt.shape {
        Shape::String | Shape::Array => Ok(prompt),
        found => Err(BadRequest::WrongType { path: field.to_owned(), wanted, found }),
    }
}

fn read_input(input: Option<&Prompt>, needs: &mut Needs) -> Result<(), BadRequest> {
    let input = read_prompt("input", input)?;
    match input.inputs {
        0 => return Err(BadRequest::Unusable { field: "input", problem: "is empty: send at least one text" }),
        count if count > MAX_INPUTS => return Err(BadRequest::TooManyInputs { count }),
        _ => {}
    }
    needs.embeddings = true;
    needs.prompt_bytes = input.bytes;
    Ok(())
}

fn read_options(endpoint: Endpoint, body: &Body<'_>, needs: &mut Needs) -> Result<(), BadRequest> {
    if let Some(tools) = &body.tools {
        optional("tools", tools.shape, Shape::Array, "an array")?;
        needs.tools = tools.any;
    }
    if let Some(format) = &body.response_format {
        if endpoint.dialect() == Dialect::OpenAi {
            optional("response_format", format.shape, Shape::Object, "an object")?;
        }
        needs.json_mode = format.json;
    }
    needs.json_mode |= body.text.as_ref().is_some_and(|text| text.json);
    if let Some(options) = &body.options {
        let field = if endpoint.dialect() == Dialect::Google { "generationConfig" } else { "options" };
        optional(field, options.shape, Shape::Object, "an object")?;
        needs.json_mode |= options.json;
    }
    Ok(())
}

fn optional(field: &str, found: Shape, right: Shape, wanted: &'static str) -> Result<(), BadRequest> {
    if found == right || found == Shape::Null {
        return Ok(());
    }
    Err(BadRequest::WrongType { path: field.to_owned(), wanted, found })
}

fn flag(field: &str, shape: Option<Shape>) -> Result<bool, BadRequest> {
    match shape {
        None | Some(Shape::Null) => Ok(false),
        Some(Shape::Bool(value)) => Ok(value),
        Some(found) => Err(BadRequest::WrongType { path: field.to_owned(), wanted: "true or false", found }),
    }
}

/// The larger of the two fields that limit the answer. A negative number is how some servers spell "no limit".
fn max_tokens(body: &Body<'_>) -> Result<Option<u64>, BadRequest> {
    let old = limit("max_tokens", body.max_tokens)?;
    let new = limit("max_completion_tokens", body.max_completion_tokens)?;
    let inside = limit("max_output_tokens", body.options.as_ref().and_then(|options| options.max_tokens))?;
    Ok(old.max(new).max(inside))
}

fn limit(field: &str, shape: Option<Shape>) -> Result<Option<u64>, BadRequest> {
    match shape {
        None | Some(Shape::Null) => Ok(None),
        Some(Shape::Number(number)) => Ok((number >= 0.0).then_some(number as u64)),
        Some(found) => Err(BadRequest::WrongType { path: field.to_owned(), wanted: "a number", found }),
    }
}

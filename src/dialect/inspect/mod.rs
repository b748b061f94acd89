//! What a request body asks for: one borrowing pass over it finds what routing needs. The body itself is never rebuilt,
//! and what the backend alone can judge is left to it.

mod body;
mod glance;
mod messages;
mod prompt;
mod surrogate;
#[cfg(test)]
mod tests;

use std::ops::Range;

use bytes::Bytes;

use self::body::Body;
pub use self::glance::Shape;
use self::messages::Messages;
use self::prompt::Prompt;
use crate::exchange::Endpoint;
use crate::fleet::Needs;

/// The most inputs that one request for embeddings may hold.
pub const MAX_INPUTS: u64 = 2048;

/// What routing needs of a request body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The model the client names; not empty.
    pub model: String,
    /// Where the value of `model` stands in the body, quotes included, in bytes.
    pub model_span: Range<usize>,
    /// Whether the answer is to come as it is made.
    pub stream: bool,
    /// What it asks of a model.
    pub needs: Needs,
}

/// Why a body is no request. Says what to change and where, and never repeats what the body says.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadRequest {
    /// Another content type than JSON.
    #[error("content-type must be application/json")]
    ContentType,
    /// Nothing at all.
    #[error("the body is empty: send a JSON object")]
    Empty,
    /// A byte order mark in front.
    #[error("the body starts with a byte order mark: send the JSON without it")]
    ByteOrderMark,
    /// Bytes that are no text.
    #[error("the body is not valid UTF-8 at byte {at}")]
    NotUtf8 {
        /// Offset of the first byte that is wrong.
        at: usize,
    },
    /// Text that is no JSON.
    #[error("the body is not valid JSON: {what}")]
    Syntax {
        /// What is wrong, with line and column.
        what: String,
    },
    /// JSON of another shape.
    #[error("the body must be a JSON object")]
    NotAnObject,
    /// A field that must be there.
    #[error("`{field}` is required: {wanted}")]
    Missing {
        /// The field.
        field: &'static str,
        /// What it holds.
        wanted: &'static str,
    },
    /// A field twice.
    #[error("`{field}` stands in the body more than once: send it once")]
    Repeated {
        /// The field.
        field: &'static str,
    },
    /// A value of the wrong type.
    #[error("`{path}` must be {wanted}, not {found}")]
    WrongType {
        /// Where it stands, as in `messages[2]`.
        path: String,
        /// What it must be.
        wanted: &'static str,
        /// What it is.
        found: Shape,
    },
    /// A value of the right type that cannot be used.
    #[error("`{field}` {problem}")]
    Unusable {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// More inputs than [`MAX_INPUTS`].
    #[error("`input` holds {count} inputs: send at most {MAX_INPUTS} in one request")]
    TooManyInputs {
        /// How many there are.
        count: u64,
    },
}

/// Finds what routing needs of `body`, without copying it.
///
/// # Errors
/// Whatever keeps the body from being a request to `endpoint`; fields that routing does not read are not judged.
pub fn inspect(endpoint: Endpoint, content_type: Option<&str>, body: &Bytes) -> Result<Inspection, BadRequest> {
    if !content_type.is_none_or(is_json) {
        return Err(BadRequest::ContentType);
    }
    let text = as_text(body)?;
    match read(endpoint, text) {
        Err(error @ BadRequest::Syntax { .. }) => match surrogate::mend(text) {
            Some(mended) => read(endpoint, &mended),
            None => Err(error),
        },
        result => result,
    }
}

fn read(endpoint: Endpoint, text: &str) -> Result<Inspection, BadRequest> {
    let found: Body<'_> = serde_json::from_str(text).map_err(unreadable)?;
    let (model, model_span) = model(&found, text)?;
    let mut needs = Needs { max_tokens: max_tokens(&found)?, ..Needs::default() };
    match endpoint {
        Endpoint::ChatCompletions => read_messages(found.messages.as_ref(), &mut needs)?,
        Endpoint::Completions => needs.prompt_bytes = read_prompt("prompt", found.prompt.as_ref())?.bytes,
        Endpoint::Embeddings => read_input(found.input.as_ref(), &mut needs)?,
    }
    read_options(&found, &mut needs)?;
    Ok(Inspection { model, model_span, stream: flag("stream", found.stream)?, needs })
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

fn read_messages(messages: Option<&Messages>, needs: &mut Needs) -> Result<(), BadRequest> {
    let wanted = "an array of messages";
    let messages = messages.ok_or(BadRequest::Missing { field: "messages", wanted })?;
    if messages.shape != Shape::Array {
        return Err(BadRequest::WrongType { path: "messages".to_owned(), wanted, found: messages.shape });
    }
    if let Some((index, found)) = messages.stray {
        return Err(BadRequest::WrongType { path: format!("messages[{index}]"), wanted: "an object", found });
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

fn read_options(body: &Body<'_>, needs: &mut Needs) -> Result<(), BadRequest> {
    if let Some(tools) = &body.tools {
        optional("tools", tools.shape, Shape::Array, "an array")?;
        needs.tools = tools.any;
    }
    if let Some(format) = &body.response_format {
        optional("response_format", format.shape, Shape::Object, "an object")?;
        needs.json_mode = format.json;
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
    Ok(old.max(new))
}

fn limit(field: &str, shape: Option<Shape>) -> Result<Option<u64>, BadRequest> {
    match shape {
        None | Some(Shape::Null) => Ok(None),
        Some(Shape::Number(number)) => Ok((number >= 0.0).then_some(number as u64)),
        Some(found) => Err(BadRequest::WrongType { path: field.to_owned(), wanted: "a number", found }),
    }
}

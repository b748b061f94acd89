//! Requests: the few fields that matter here, read from a body. Everything else a client sends is taken and ignored.

use std::borrow::Cow;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::text::{Prompt, Reader};
use super::{CONTEXT, embed};

/// How many tokens a reply has where the client does not say.
const DEFAULT_TOKENS: u32 = 32;

/// The most inputs of one embeddings request.
const MAX_INPUTS: usize = 2048;

/// What to make.
#[derive(Debug, PartialEq)]
pub(super) struct Job {
    pub(super) model: String,
    pub(super) prompt: Prompt,
    /// How many tokens to make.
    pub(super) tokens: u32,
    /// Whether the client set that number.
    pub(super) capped: bool,
    pub(super) stream: bool,
    /// Whether a stream ends with a chunk of usage.
    pub(super) usage: bool,
}

/// What to embed.
#[derive(Debug, PartialEq)]
pub(super) struct EmbedJob {
    pub(super) model: String,
    pub(super) inputs: Vec<Prompt>,
    pub(super) dimensions: u32,
    pub(super) base64: bool,
}

/// Why a request is turned away.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) param: Option<&'static str>,
    pub(super) message: String,
}

impl Refusal {
    fn bad(param: Option<&'static str>, message: impl Into<String>) -> Self {
        Refusal { status: StatusCode::BAD_REQUEST, code: "bad_request", param, message: message.into() }
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
    #[serde(borrow)]
    messages: Option<Vec<Message<'a>>>,
    #[serde(borrow)]
    prompt: Option<&'a RawValue>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    n: Option<u32>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct EmbedBody {
    model: String,
    input: Input,
    dimensions: Option<u32>,
    encoding_format: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    ManyTokens(Vec<Vec<u32>>),
}

/// Reads the body of a chat completion.
pub(super) fn chat(body: &[u8]) -> Result<Job, Refusal> {
    let body: Body<'_> = parse(body)?;
    let Some(messages) = &body.messages else {
        return Err(Refusal::bad(Some("messages"), "'messages' is missing"));
    };
    let mut reader = Reader::default();
    for message in messages {
        reader.mark(&message.role);
        read_content(&mut reader, message.content)?;
    }
    body.job(reader.done())
}

/// Reads the body of a plain completion: one prompt, as text or as tokens.
pub(super) fn completion(body: &[u8]) -> Result<Job, Refusal> {
    let body: Body<'_> = parse(body)?;
    let Some(raw) = body.prompt else {
        return Err(Refusal::bad(Some("prompt"), "'prompt' is missing"));
    };
    let prompts = inputs(parse(raw.get().as_bytes())?);
    let [prompt] = prompts[..] else {
        return Err(Refusal::bad(Some("prompt"), "exactly one prompt a request, please"));
    };
    body.job(prompt)
}

/// Reads the body of an embeddings request.
pub(super) fn embeddings(body: &[u8]) -> Result<EmbedJob, Refusal> {
    let body: EmbedBody = parse(body)?;
    let inputs = inputs(body.input);
    if inputs.is_empty() || inputs.iter().any(|input| input.tokens == 0) {
        return Err(Refusal::bad(Some("input"), "'input' must not be empty"));
    }
    if inputs.len() > MAX_INPUTS {
        return Err(Refusal::bad(Some("input"), format!("{} inputs are more than {MAX_INPUTS}", inputs.len())));
    }
    let dimensions = body.dimensions.unwrap_or(embed::DIMENSIONS);
    if dimensions == 0 || dimensions > embed::MAX_DIMENSIONS {
        let most = embed::MAX_DIMENSIONS;
        return Err(Refusal::bad(Some("dimensions"), format!("'dimensions' must be 1 to {most}")));
    }
    let base64 = match body.encoding_format.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => return Err(Refusal::bad(Some("encoding_format"), "'encoding_format' is float or base64")),
    };
    Ok(EmbedJob { model: body.model, inputs, dimensions, base64 })
}

impl Body<'_> {
    fn job(self, prompt: Prompt) -> Result<Job, Refusal> {
        if self.n.is_some_and(|n| n != 1) {
            return Err(Refusal::bad(Some("n"), "'n' must be 1"));
        }
        let Some(room) = u64::from(CONTEXT).checked_sub(prompt.tokens) else {
            return Err(Refusal {
                code: "context_length_exceeded",
                ..Refusal::bad(None, format!("{} tokens are more than the context of {CONTEXT}", prompt.tokens))
            });
        };
        let asked = self.max_completion_tokens.or(self.max_tokens);
        let tokens = asked.unwrap_or(DEFAULT_TOKENS).min(u32::try_from(room).unwrap_or(CONTEXT));
        Ok(Job {
            model: self.model.into_owned(),
            prompt,
            tokens,
            capped: asked.is_some(),
            stream: self.stream.unwrap_or(false),
            usage: self.stream_options.is_some_and(|options| options.include_usage),
        })
    }
}

fn read_content(reader: &mut Reader, content: Option<&RawValue>) -> Result<(), Refusal> {
    let raw = content.map_or("null", RawValue::get);
    match raw.as_bytes().first() {
        Some(b'"') => reader.text(&parse::<Text<'_>>(raw.as_bytes())?.0),
        Some(b'n') => {}
        _ => {
            for part in parse::<Vec<Part<'_>>>(raw.as_bytes())? {
                reader.mark("part");
                reader.text(&part.text.unwrap_or_default());
            }
        }
    }
    Ok(())
}

fn inputs(input: Input) -> Vec<Prompt> {
    let tokens = |numbers: &[u32]| {
        let mut reader = Reader::default();
        reader.numbers(numbers);
        reader.done()
    };
    match input {
        Input::Text(text) => vec![Prompt::of(&text)],
        Input::Texts(texts) => texts.iter().map(|text| Prompt::of(text)).collect(),
        Input::Tokens(numbers) => vec![tokens(&numbers)],
        Input::ManyTokens(many) => many.iter().map(|numbers| tokens(numbers)).collect(),
    }
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad(None, format!("the body cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &str) -> Prompt {
        chat(body.as_bytes()).unwrap().prompt
    }

    #[test]
    fn content_is_a_string_parts_or_nothing() {
        for (content, tokens) in [
            (r#""two words""#, 2),
            (r#""two\nwords \"quoted\"""#, 3),
            (r#"[{"type":"text","text":"two words"},{"type":"image_url","image_url":{"url":"data:,"}}]"#, 2),
            ("null", 0),
        ] {
            let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":{content}}}]}}"#);
            assert_eq!(said(&body).tokens, tokens, "{content}");
        }
        assert_eq!(said(r#"{"model":"m","messages":[{"role":"assistant","tool_calls":[]}]}"#).tokens, 0);
    }

    #[test]
    fn roles_and_borders_change_the_answer() {
        let of = |messages: &str| said(&format!(r#"{{"model":"m","messages":{messages}}}"#)).digest;
        let user = of(r#"[{"role":"user","content":"ab"}]"#);
        assert_ne!(user, of(r#"[{"role":"system","content":"ab"}]"#));
        assert_ne!(user, of(r#"[{"role":"user","content":"a"},{"role":"user","content":"b"}]"#));
    }

    #[test]
    fn the_newer_name_of_the_limit_wins_and_the_context_bounds_it() {
        let job = |fields: &str| chat(format!(r#"{{"model":"m","messages":[]{fields}}}"#).as_bytes()).unwrap();
        assert_eq!((job("").tokens, job("").capped), (32, false));
        assert_eq!((job(r#","max_tokens":5"#).tokens, job(r#","max_tokens":5"#).capped), (5, true));
        assert_eq!(job(r#","max_tokens":5,"max_completion_tokens":7"#).tokens, 7);
        assert_eq!(job(r#","max_tokens":4000000000"#).tokens, CONTEXT);
    }

    #[test]
    fn what_cannot_be_served_is_refused_with_the_field_named() {
        let long = "w ".repeat(CONTEXT as usize + 1);
        for (body, param) in [
            ("{".to_owned(), None),
            (r#"{"messages":[]}"#.to_owned(), None),
            (r#"{"model":"m"}"#.to_owned(), Some("messages")),
            (r#"{"model":"m","messages":[],"n":2}"#.to_owned(), Some("n")),
            (r#"{"model":"m","messages":[{"role":"user","content":7}]}"#.to_owned(), None),
            (format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{long}"}}]}}"#), None),
        ] {
            let refusal = chat(body.as_bytes()).unwrap_err();
            assert_eq!((refusal.status, refusal.param), (StatusCode::BAD_REQUEST, param), "{}", refusal.message);
        }
    }

    #[test]
    fn a_completion_takes_one_prompt_in_any_form() {
        let tokens = |prompt: &str| {
            completion(format!(r#"{{"model":"m","prompt":{prompt}}}"#).as_bytes()).map(|job| job.prompt.tokens)
        };
        assert_eq!(tokens(r#""a b c""#), Ok(3));
        assert_eq!(tokens(r#"["a b"]"#), Ok(2));
        assert_eq!(tokens("[1,2,3,4]"), Ok(4));
        assert_eq!(tokens(r#"["a","b"]"#).unwrap_err().param, Some("prompt"));
        assert_eq!(completion(br#"{"model":"m"}"#).unwrap_err().param, Some("prompt"));
    }

    #[test]
    fn embeddings_keep_the_order_and_refuse_nothing_and_too_much() {
        let of = |input: &str| embeddings(format!(r#"{{"model":"m","input":{input}}}"#).as_bytes());
        let counts = |input| of(input).unwrap().inputs.iter().map(|one| one.tokens).collect::<Vec<_>>();
        assert_eq!(counts(r#""a b""#), [2]);
        assert_eq!(counts(r#"["a","b c"]"#), [1, 2]);
        assert_eq!(counts("[1,2,3]"), [3]);
        assert_eq!(counts("[[1],[2,3]]"), [1, 2]);
        for input in ["[]", r#""""#, r#"["a",""]"#, &format!("[{}\"a\"]", "\"a\",".repeat(MAX_INPUTS))] {
            assert_eq!(of(input).unwrap_err().param, Some("input"));
        }
    }
}

//! Requests for embeddings, both ways. Tokens as input mean something to one model only, and are not translated.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::loose::{TextOr, Word};
use super::request::{bad, check_is_object};
use crate::dialect::chat::{EmbedRequest, Hint, Unsupported, read_body};
use crate::dialect::inspect::BadRequest;

#[derive(Deserialize)]
struct Body<'a> {
    /// Its name is the business of whoever sends the request on.
    #[serde(default, rename = "model")]
    _model: Hint,
    #[serde(borrow, default)]
    input: TextOr<'a, Vec<Input>>,
    dimensions: Option<u64>,
    #[serde(borrow)]
    encoding_format: Option<Word<'a>>,
    /// Whom to block.
    #[serde(default, rename = "user")]
    _user: Hint,
}

enum Input {
    Text(String),
    Tokens,
}

/// What a client asks for, and the fields, by their path, that no other dialect has a word for.
///
/// # Errors
/// What is wrong with its body, and where.
pub fn decode_embed_request(body: &str) -> Result<(EmbedRequest, Vec<String>), BadRequest> {
    check_is_object(body)?;
    let mut uncarried = Vec::new();
    let read: Body<'_> = read_body(body, &mut uncarried)?;
    let base64 = match read.encoding_format.as_ref().map(|format| format.0.as_ref()) {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => return Err(bad("encoding_format", "must be float or base64")),
    };
    let inputs = match read.input {
        TextOr::Nothing => {
            return Err(BadRequest::Missing { field: "input", wanted: "a string or an array of strings" });
        }
        TextOr::Text(text) => vec![text.into_owned()],
        TextOr::Other(inputs) => texts(inputs, &mut uncarried)?,
    };
    Ok((EmbedRequest { inputs, dimensions: read.dimensions, base64 }, uncarried))
}

fn texts(inputs: Vec<Input>, uncarried: &mut Vec<String>) -> Result<Vec<String>, BadRequest> {
    let count = inputs.len();
    let is_text = |input| match input {
        Input::Text(text) => Some(text),
        Input::Tokens => None,
    };
    let texts: Vec<String> = inputs.into_iter().filter_map(is_text).collect();
    match texts.len() {
        0 if count == 0 => Err(bad("input", "is empty: send at least one text")),
        0 => {
            uncarried.push("input".to_owned());
            Ok(texts)
        }
        some if some < count => Err(bad("input", "mixes texts and tokens: send one kind")),
        _ => Ok(texts),
    }
}

/// What to ask a backend for.
///
/// # Errors
/// Nothing so far: the dialect says all.
pub fn encode_embed_request(request: &EmbedRequest, model: &str) -> Result<Vec<u8>, Unsupported> {
    #[derive(Serialize)]
    struct Asked<'a> {
        model: &'a str,
        input: &'a [String],
        #[serde(skip_serializing_if = "Option::is_none")]
        dimensions: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encoding_format: Option<&'static str>,
    }
    let encoding_format = request.base64.then_some("base64");
    let asked = Asked { model, input: &request.inputs, dimensions: request.dimensions, encoding_format };
    Ok(serde_json::to_vec(&asked).expect("texts and numbers are JSON"))
}

impl<'de> Deserialize<'de> for Input {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(InputVisitor)
    }
}

struct InputVisitor;

impl<'de> Visitor<'de> for InputVisitor {
    type Value = Input;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a token or an array of tokens")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Input, E> {
        Ok(Input::Text(text.to_owned()))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Input, E> {
        Ok(Input::Tokens)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut tokens: A) -> Result<Input, A::Error> {
        while tokens.next_element::<u64>()?.is_some() {}
        Ok(Input::Tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(body: &str) -> (EmbedRequest, Vec<String>) {
        decode_embed_request(body).unwrap()
    }

    #[test]
    fn one_text_or_several_are_asked_for_and_come_back() {
        let one = EmbedRequest { inputs: vec!["a".to_owned()], ..EmbedRequest::default() };
        assert_eq!(decoded(r#"{"model":"m","input":"a","user":"u","encoding_format":"float"}"#), (one, Vec::new()));
        let inputs = vec!["a".to_owned(), "ö".to_owned()];
        let two = EmbedRequest { inputs, dimensions: Some(8), base64: true };
        let body = encode_embed_request(&two, "m").unwrap();
        let text = std::str::from_utf8(&body).unwrap();
        assert_eq!(text, r#"{"model":"m","input":["a","ö"],"dimensions":8,"encoding_format":"base64"}"#);
        assert_eq!(decoded(text), (two, Vec::new()));
    }

    #[test]
    fn tokens_and_unknown_fields_are_not_carried() {
        assert_eq!(decoded(r#"{"input":[1,2]}"#).1, ["input"]);
        assert_eq!(decoded(r#"{"input":[[1,2],[3]]}"#).1, ["input"]);
        assert_eq!(decoded(r#"{"input":"a","truncate":"END"}"#).1, ["truncate"]);
    }

    #[test]
    fn what_is_no_input_is_refused() {
        for body in [
            r#"{}"#,
            r#"{"input":null}"#,
            r#"{"input":[]}"#,
            r#"{"input":["a",1]}"#,
            r#"{"input":{"a":1}}"#,
            r#"{"input":[-1]}"#,
            r#"{"input":"a","encoding_format":"hex"}"#,
            r#"["a"]"#,
            "",
            "{",
        ] {
            assert!(decode_embed_request(body).is_err(), "{body}");
        }
    }
}

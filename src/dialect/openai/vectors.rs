//! Embeddings as they are answered, both ways: in numbers, or in base64 of little-endian 32-bit floats.

use std::borrow::Cow;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize, Serializer};

use super::loose::{List, Scalar, TextOr};
use super::said::{self, garbled};
use super::usage::Usage;
use crate::dialect::chat::{EmbedReply, Garbled, Label};

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    model: Scalar<'a>,
    #[serde(borrow, default)]
    data: List<Item<'a>>,
    #[serde(borrow)]
    usage: Option<Usage<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, default)]
    index: Scalar<'a>,
    #[serde(borrow, default)]
    embedding: TextOr<'a, Vec<f32>>,
}

/// What a backend answers, in numbers or in base64.
///
/// # Errors
/// It is no answer of this dialect.
pub fn decode_embed_reply(body: &[u8]) -> Result<EmbedReply, Garbled> {
    let answer: Answer<'_> = said::read(body)?;
    let mut items = answer.data.0;
    if items.is_empty() {
        return Err(garbled("it has no data"));
    }
    if items.iter().all(|item| item.index.count().is_some()) {
        items.sort_by_key(|item| item.index.count());
    }
    Ok(EmbedReply {
        vectors: items.into_iter().map(|item| vector(item.embedding)).collect::<Result<_, _>>()?,
        model: answer.model.text().map(Cow::into_owned),
        prompt_tokens: answer.usage.as_ref().and_then(Usage::of_inputs),
    })
}

fn vector(read: TextOr<'_, Vec<f32>>) -> Result<Vec<f32>, Garbled> {
    let vector = match read {
        TextOr::Nothing => return Err(garbled("an item has no embedding")),
        TextOr::Other(numbers) => numbers,
        TextOr::Text(text) => from_base64(&text).ok_or_else(|| garbled("an embedding is not base64 of floats"))?,
    };
    let is_finite = vector.iter().all(|number| number.is_finite());
    if is_finite { Ok(vector) } else { Err(garbled("an embedding holds what is no number")) }
}

fn from_base64(text: &str) -> Option<Vec<f32>> {
    let bytes = BASE64.decode(text.as_bytes()).ok()?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
}

/// What a client is answered, in base64 where it asks for that.
pub fn encode_embed_reply(reply: &EmbedReply, label: &Label, base64: bool) -> Vec<u8> {
    let item = |(index, numbers)| Told { object: "embedding", index, embedding: Numbers { numbers, base64 } };
    let tokens = reply.prompt_tokens.unwrap_or(0);
    let whole = Whole {
        object: "list",
        data: reply.vectors.iter().map(Vec::as_slice).enumerate().map(item).collect(),
        model: reply.model.as_deref().unwrap_or(&label.model),
        usage: Used { prompt_tokens: tokens, total_tokens: tokens },
    };
    serde_json::to_vec(&whole).expect("texts and numbers are JSON")
}

#[derive(Serialize)]
struct Whole<'a> {
    object: &'static str,
    data: Vec<Told<'a>>,
    model: &'a str,
    usage: Used,
}

#[derive(Serialize)]
struct Told<'a> {
    object: &'static str,
    index: usize,
    embedding: Numbers<'a>,
}

/// Clients insist on it, so that nothing known is 0.
#[derive(Serialize)]
struct Used {
    prompt_tokens: u64,
    total_tokens: u64,
}

struct Numbers<'a> {
    numbers: &'a [f32],
    base64: bool,
}

impl Serialize for Numbers<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if !self.base64 {
            return self.numbers.serialize(to);
        }
        let bytes: Vec<u8> = self.numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        to.serialize_str(&BASE64.encode(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label() -> Label {
        Label { id: "x".to_owned(), model: "m".to_owned(), created: 7, include_usage: false }
    }

    #[test]
    fn vectors_are_the_same_in_numbers_and_in_base64() {
        let vectors = vec![vec![0.1, -2.5, 1e-20], vec![0.0, 3.0, f32::MAX]];
        let reply = EmbedReply { model: Some("b".to_owned()), vectors, prompt_tokens: Some(3) };
        for base64 in [false, true] {
            let body = encode_embed_reply(&reply, &label(), base64);
            assert_eq!(decode_embed_reply(&body).as_ref(), Ok(&reply), "{base64}");
        }
        let one = EmbedReply { vectors: vec![vec![1.0]], ..EmbedReply::default() };
        assert_eq!(
            String::from_utf8(encode_embed_reply(&one, &label(), true)).unwrap(),
            concat!(
                r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAPw=="}],"#,
                r#""model":"m","usage":{"prompt_tokens":0,"total_tokens":0}}"#
            )
        );
    }

    #[test]
    fn vectors_stand_in_the_order_of_their_inputs() {
        let body = br#"{"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":[1]}],"usage":{"total_tokens":4}}"#;
        let reply = decode_embed_reply(body).unwrap();
        assert_eq!((reply.vectors, reply.prompt_tokens), (vec![vec![1.0], vec![2.0]], Some(4)));
        let unnumbered = br#"{"data":[{"embedding":[2]},{"embedding":[1]}]}"#;
        assert_eq!(decode_embed_reply(unnumbered).unwrap().vectors, [[2.0], [1.0]]);
    }

    #[test]
    fn what_holds_no_vectors_is_garbled() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"data":[]}"#,
            r#"{"data":[{"index":0}]}"#,
            r#"{"data":[{"embedding":"AAA="}]}"#,
            r#"{"data":[{"embedding":"AADAfw=="}]}"#,
            r#"{"data":[{"embedding":[1e300]}]}"#,
            r#"{"data":[{"embedding":[null]}]}"#,
        ] {
            assert!(decode_embed_reply(body.as_bytes()).is_err(), "{body}");
        }
    }
}

//! The hash of a JSON value, by what it says and not by how it is written: white space, escapes and the order of fields do
//! not matter. What is nested too deep is not looked at.

use serde::de::{IgnoredAny, MapAccess, SeqAccess};

use super::glance::{Read, Reader, Shape, skip_fields, skip_items};
use crate::dialect::prefix::{Block, Tag, hash, mix};

/// How many levels are looked at.
const DEPTH: u8 = 32;

/// What a value counts for that is no text, in bytes of text.
const SCALAR_BYTES: u64 = 4;

/// A field by which clients tell vendors what to cache. Models never see it, and it moves from turn to turn.
const NOT_TEXT: &str = "cache_control";

/// A JSON value, read.
pub(super) struct Value {
    depth: u8,
    pub(super) hash: u64,
    /// Bytes of text in it, keys included.
    pub(super) bytes: u64,
}

impl Default for Value {
    fn default() -> Self {
        Value { depth: DEPTH, hash: 0, bytes: 0 }
    }
}

impl Value {
    /// A block of it, as part of a prompt.
    pub(super) fn block(&self, tag: Tag) -> Block {
        Block { hash: mix(tag, [self.hash]), bytes: self.bytes }
    }

    fn inner(&self) -> Value {
        Value { depth: self.depth - 1, ..Value::default() }
    }
}

impl Reader for Value {
    fn shape(&mut self, shape: Shape) {
        let (tag, bits) = match shape {
            Shape::Null => (Tag::Null, 0),
            Shape::Bool(value) => (Tag::Bool, u64::from(value)),
            Shape::Number(value) => (Tag::Number, value.to_bits()),
            Shape::String => (Tag::String, 0),
            Shape::Array => (Tag::Array, 0),
            Shape::Object => (Tag::Object, 0),
        };
        (self.hash, self.bytes) = (mix(tag, [bits]), SCALAR_BYTES);
    }

    fn text(&mut self, text: &str) {
        (self.hash, self.bytes) = (mix(Tag::String, [hash(text.as_bytes())]), text.len() as u64);
    }

    fn array<'de, A: SeqAccess<'de>>(&mut self, mut items: A) -> Result<(), A::Error> {
        if self.depth == 0 {
            self.shape(Shape::Array);
            return skip_items(items);
        }
        let mut all = mix(Tag::Array, []);
        loop {
            let mut item = self.inner();
            if items.next_element_seed(Read(&mut item))?.is_none() {
                break;
            }
            all = mix(Tag::Array, [all, item.hash]);
            self.bytes = self.bytes.saturating_add(item.bytes);
        }
        self.hash = all;
        Ok(())
    }

    fn object<'de, A: MapAccess<'de>>(&mut self, mut fields: A) -> Result<(), A::Error> {
        if self.depth == 0 {
            self.shape(Shape::Object);
            return skip_fields(fields);
        }
        let mut sum = 0_u64;
        loop {
            let mut key = Key::default();
            if fields.next_key_seed(Read(&mut key))?.is_none() {
                break;
            }
            if !key.is_text {
                fields.next_value::<IgnoredAny>()?;
                continue;
            }
            let mut value = self.inner();
            fields.next_value_seed(Read(&mut value))?;
            sum = sum.wrapping_add(mix(Tag::Field, [key.hash, value.hash]));
            self.bytes = self.bytes.saturating_add(key.bytes).saturating_add(value.bytes);
        }
        self.hash = mix(Tag::Object, [sum]);
        Ok(())
    }
}

#[derive(Default)]
struct Key {
    hash: u64,
    bytes: u64,
    is_text: bool,
}

impl Reader for Key {
    fn shape(&mut self, _: Shape) {}

    fn text(&mut self, text: &str) {
        *self = Key { hash: hash(text.as_bytes()), bytes: text.len() as u64, is_text: text != NOT_TEXT };
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeSeed;

    use super::*;

    fn value(text: &str) -> (u64, u64) {
        let mut value = Value::default();
        Read(&mut value).deserialize(&mut serde_json::Deserializer::from_str(text)).expect("JSON");
        (value.hash, value.bytes)
    }

    #[test]
    fn how_a_value_is_written_does_not_matter() {
        for (one, other) in [
            (r#"{"a":1,"b":[true,null]}"#, r#" { "b" : [ true , null ] , "a" : 1.0 } "#),
            (r#"{"a":{"c":"x","d":{}}}"#, r#"{"\u0061":{"d":{},"c":"\u0078"}}"#),
            (r#"{"a":1}"#, r#"{"a":1,"cache_control":{"type":"ephemeral"}}"#),
        ] {
            assert_eq!(value(one), value(other), "{one} {other}");
        }
    }

    #[test]
    fn what_it_says_does() {
        let all = [
            "null",
            "true",
            "false",
            "0",
            "1",
            "-1",
            r#""""#,
            r#""1""#,
            r#""null""#,
            "[]",
            "{}",
            "[[]]",
            "[{}]",
            "[1,2]",
            "[2,1]",
            "[1,[2]]",
            r#"{"a":1}"#,
            r#"{"a":2}"#,
            r#"{"b":1}"#,
            r#"{"a":1,"b":2}"#,
            r#"{"a":2,"b":1}"#,
            r#"{"a":{"b":1}}"#,
            r#"{"a":"b"}"#,
            r#"["a","b"]"#,
        ];
        let mut hashes: Vec<u64> = all.iter().map(|text| value(text).0).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), all.len());
    }

    #[test]
    fn text_is_counted_and_keys_with_it() {
        assert_eq!(value(r#"{"name":"get","strict":true,"list":["a","bc"]}"#).1, 4 + 3 + 6 + 4 + 4 + 3);
    }

    #[test]
    fn depth_has_an_end() {
        let nested = |levels: usize, inner: &str| format!("{}{inner}{}", "[".repeat(levels), "]".repeat(levels));
        assert_ne!(value(&nested(31, "1")), value(&nested(31, "2")));
        assert_eq!(value(&nested(33, "1")), value(&nested(33, "2")));
        value(&nested(100_000, ""));
    }
}

//! Values that clients and servers of this dialect write in more than one way, each read by a small visitor: nothing is
//! buffered to find out which way it is.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A string that is copied only where it holds escapes, also behind an `Option`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Word<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// A whole number, which may be written as `64.0`: Ollama reads every option as a float and cuts it off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Whole(pub(super) i64);

/// One string or several.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Several(pub(super) Vec<String>);

/// `think`: whether, or how much in words.
#[derive(Debug, PartialEq)]
pub(super) enum Think {
    /// As much as the model finds right, or not at all.
    Whether(bool),
    /// How much.
    Word(String),
}

/// What should be a string in a backend's answer. Anything else counts as nothing.
#[derive(Debug, Default)]
pub(super) struct MaybeWord<'a>(pub(super) Option<Cow<'a, str>>);

/// What should be a count in a backend's answer. Anything else counts as nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MaybeCount(pub(super) Option<u64>);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(WholeVisitor)
    }
}

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = Whole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Whole, E> {
        Ok(Whole(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Whole, E> {
        Ok(Whole(i64::try_from(value).unwrap_or(i64::MAX)))
    }

    #[expect(clippy::cast_possible_truncation, reason = "a float beyond the whole numbers becomes the last of them")]
    fn visit_f64<E: Error>(self, value: f64) -> Result<Whole, E> {
        Ok(Whole(value as i64))
    }
}

impl<'de> Deserialize<'de> for Several {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(SeveralVisitor)
    }
}

struct SeveralVisitor;

impl<'de> Visitor<'de> for SeveralVisitor {
    type Value = Several;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array of strings")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Several, E> {
        Ok(Several(if value.is_empty() { Vec::new() } else { vec![value.to_owned()] }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Several, A::Error> {
        let mut several = Vec::new();
        while let Some(item) = items.next_element()? {
            several.push(item);
        }
        Ok(Several(several))
    }
}

impl<'de> Deserialize<'de> for Think {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ThinkVisitor)
    }
}

struct ThinkVisitor;

impl Visitor<'_> for ThinkVisitor {
    type Value = Think;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false, \"low\", \"medium\" or \"high\"")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Think, E> {
        Ok(Think::Whether(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Think, E> {
        Ok(Think::Word(value.to_owned()))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for MaybeWord<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyVisitor).map(|any| match any {
            Any::Word(word) => MaybeWord(Some(word)),
            Any::Count(_) | Any::Other => MaybeWord(None),
        })
    }
}

impl<'de> Deserialize<'de> for MaybeCount {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyVisitor).map(|any| match any {
            Any::Count(count) => MaybeCount(Some(count)),
            Any::Word(_) | Any::Other => MaybeCount(None),
        })
    }
}

enum Any<'a> {
    Word(Cow<'a, str>),
    Count(u64),
    Other,
}

struct AnyVisitor;

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = Any<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Any<'de>, E> {
        Ok(Any::Word(Cow::Borrowed(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Any<'de>, E> {
        Ok(Any::Word(Cow::Owned(value.to_owned())))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Any<'de>, E> {
        Ok(Any::Count(value))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Any<'de>, E> {
        Ok(Any::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Any<'de>, E> {
        Ok(Any::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Any<'de>, E> {
        Ok(Any::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Any<'de>, E> {
        Ok(Any::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Any<'de>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Any::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Any<'de>, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Any::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_may_be_a_float() {
        let whole = |text: &str| serde_json::from_str::<Whole>(text).ok();
        assert_eq!(whole("64"), Some(Whole(64)));
        assert_eq!(whole("-1"), Some(Whole(-1)));
        assert_eq!(whole("64.9"), Some(Whole(64)));
        assert_eq!(whole("18446744073709551615"), Some(Whole(i64::MAX)));
        assert_eq!(whole("\"64\""), None);
    }

    #[test]
    fn one_string_is_several() {
        let several = |text: &str| serde_json::from_str::<Several>(text).ok().map(|several| several.0);
        assert_eq!(several("\"a\""), Some(vec!["a".to_owned()]));
        assert_eq!(several("\"\""), Some(vec![]));
        assert_eq!(several("[\"a\",\"\"]"), Some(vec!["a".to_owned(), String::new()]));
        assert_eq!(several("[[1]]"), None);
    }

    #[test]
    fn a_backend_may_write_anything() {
        for text in ["null", "true", "-1", "1.5", "[1,[2]]", "{\"a\":{}}"] {
            assert!(serde_json::from_str::<MaybeWord<'_>>(text).is_ok_and(|word| word.0.is_none()), "{text}");
            assert!(serde_json::from_str::<MaybeCount>(text).is_ok_and(|count| count.0.is_none()), "{text}");
        }
        assert_eq!(
            serde_json::from_str::<MaybeWord<'_>>("\"a\\n\"").ok().and_then(|word| word.0).as_deref(),
            Some("a\n")
        );
        assert_eq!(serde_json::from_str::<MaybeCount>("7").ok().and_then(|count| count.0), Some(7));
    }
}

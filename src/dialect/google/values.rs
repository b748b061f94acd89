//! Values as the JSON form of protocol buffers lets a client write them: a list of one without its brackets, a whole
//! number as `40.0` or in quotes.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A list, or its only element.
#[derive(Debug)]
pub(super) struct Many<T>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ManyVisitor(PhantomData)).map(Many)
    }
}

struct ManyVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ManyVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = list.next_element()? {
            all.push(one);
        }
        Ok(all)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|one| vec![one])
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Vec<T>, E> {
        Err(E::custom("must be a list of objects, not a text"))
    }
}

/// `json` without white space between its tokens: servers print whole answers prettily, and arguments are text elsewhere.
pub(super) fn compact(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.extend(json.chars().filter(|character| {
        if !is_quoted && character.is_ascii_whitespace() {
            return false;
        }
        if *character == '"' && !is_escaped {
            is_quoted = !is_quoted;
        }
        is_escaped = *character == '\\' && !is_escaped;
        true
    }));
    text
}

/// A word of the dialect, not copied.
#[derive(Debug, Deserialize)]
pub(super) struct Word<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// A whole number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Whole(pub(super) i64);

impl Whole {
    /// The number, where it is not negative.
    pub(super) fn natural(self) -> Option<u64> {
        u64::try_from(self.0).ok()
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(WholeVisitor).map(Whole)
    }
}

struct WholeVisitor;

/// Up to here a float holds every whole number.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Visitor<'_> for WholeVisitor {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<i64, E> {
        i64::try_from(number).map_err(|_| E::custom("is too large"))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<i64, E> {
        if number.fract() == 0.0 && number.abs() <= EXACT {
            #[expect(clippy::cast_possible_truncation, reason = "whole, and within what both types hold")]
            return Ok(number as i64);
        }
        Err(E::custom("must be a whole number"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<i64, E> {
        text.parse().map_err(|_| E::custom("must be a whole number"))
    }
}

/// A number, quoted or not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number(pub(super) f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NumberVisitor).map(Number)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    #[expect(clippy::cast_precision_loss, reason = "no parameter is so large that it matters")]
    fn visit_i64<E: Error>(self, number: i64) -> Result<f64, E> {
        Ok(number as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "no parameter is so large that it matters")]
    fn visit_u64<E: Error>(self, number: u64) -> Result<f64, E> {
        Ok(number as f64)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<f64, E> {
        Ok(number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| E::custom("must be a number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_come_in_three_forms() {
        for text in ["40", "40.0", "\"40\"", "4e1"] {
            assert_eq!(serde_json::from_str::<Whole>(text).expect(text), Whole(40), "{text}");
        }
        for text in ["40.5", "\"forty\"", "1e300", "18446744073709551615", "true", "[]"] {
            assert!(serde_json::from_str::<Whole>(text).is_err(), "{text}");
        }
        assert_eq!(Whole(-1).natural(), None);
    }

    #[test]
    fn a_list_of_one_needs_no_brackets() {
        #[derive(Deserialize)]
        struct Thing {
            x: u8,
        }
        for text in ["{\"x\":1}", "[{\"x\":1}]"] {
            let many: Many<Thing> = serde_json::from_str(text).expect(text);
            assert_eq!(many.0.iter().map(|thing| thing.x).collect::<Vec<_>>(), [1]);
        }
        assert!(serde_json::from_str::<Many<Thing>>("\"x\"").is_err());
    }

    #[test]
    fn white_space_is_left_out_between_tokens_only() {
        let text = "{ \"a b\" :\n [ 1.0, \"\\\" c\\\\\" , null ] }";
        assert_eq!(compact(text), "{\"a b\":[1.0,\"\\\" c\\\\\",null]}");
    }

    #[test]
    fn numbers_may_be_quoted() {
        for text in ["0.5", "\"0.5\""] {
            assert_eq!(serde_json::from_str::<Number>(text).expect(text), Number(0.5));
        }
        assert!(serde_json::from_str::<Number>("\"NaN\"").is_err());
    }
}

//! Looking at a JSON value as the parser passes it: what it is, and no more of it than is asked for. A value of another
//! shape than hoped for is noted, never an error, so that the caller can say where it stands. Nothing is copied.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What a JSON value is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number; whole ones are exact up to 2^53.
    Number(f64),
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Shape::Null => "null",
            Shape::Bool(_) => "a boolean",
            Shape::Number(_) => "a number",
            Shape::String => "a string",
            Shape::Array => "an array",
            Shape::Object => "an object",
        })
    }
}

/// What is worth knowing of a value. What an implementation does not ask about is skipped without recursion, so depth
/// of nesting costs no stack.
pub(super) trait Glance: Sized {
    /// The value is of this shape, and nothing inside it was asked for.
    fn of(shape: Shape) -> Self;

    /// The value is this string.
    fn text(_: &str) -> Self {
        Self::of(Shape::String)
    }

    /// The value is an array of these items.
    fn array<'de, A: SeqAccess<'de>>(mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::of(Shape::Array))
    }

    /// The value is an object of these fields.
    fn object<'de, A: MapAccess<'de>>(mut fields: A) -> Result<Self, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::of(Shape::Object))
    }
}

impl Glance for Shape {
    fn of(shape: Shape) -> Self {
        shape
    }
}

/// A value that was glanced at.
pub(super) struct Seen<T>(pub(super) T);

impl<'de, T: Glance> Deserialize<'de> for Seen<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Look(PhantomData)).map(Seen)
    }
}

/// Glances at the value of the field whose key was read last.
pub(super) fn see<'de, T: Glance, A: MapAccess<'de>>(fields: &mut A) -> Result<T, A::Error> {
    Ok(fields.next_value::<Seen<T>>()?.0)
}

struct Look<T>(PhantomData<T>);

impl<'de, T: Glance> Visitor<'de> for Look<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::of(Shape::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<T, E> {
        Ok(T::of(Shape::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<T, E> {
        Ok(T::of(Shape::Number(value as f64)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<T, E> {
        Ok(T::of(Shape::Number(value as f64)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<T, E> {
        Ok(T::of(Shape::Number(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<T, E> {
        Ok(T::text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<T, A::Error> {
        T::array(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
        T::object(fields)
    }
}

//! Looking at a JSON value as the parser passes it: what it is, and no more of it than is asked for. A value of another
//! shape than hoped for is noted, never an error, so that the caller can say where it stands. Nothing is copied.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

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
    fn array<'de, A: SeqAccess<'de>>(items: A) -> Result<Self, A::Error> {
        skip_items(items)?;
        Ok(Self::of(Shape::Array))
    }

    /// The value is an object of these fields.
    fn object<'de, A: MapAccess<'de>>(fields: A) -> Result<Self, A::Error> {
        skip_fields(fields)?;
        Ok(Self::of(Shape::Object))
    }
}

impl Glance for Shape {
    fn of(shape: Shape) -> Self {
        shape
    }
}

/// The same for what is read into something that is there already, as text that goes on from value to value.
pub(super) trait Reader {
    /// The value is of this shape, and nothing inside it was asked for.
    fn shape(&mut self, shape: Shape);

    /// The value is this string.
    fn text(&mut self, _: &str) {
        self.shape(Shape::String);
    }

    /// The value is an array of these items.
    fn array<'de, A: SeqAccess<'de>>(&mut self, items: A) -> Result<(), A::Error> {
        skip_items(items)?;
        self.shape(Shape::Array);
        Ok(())
    }

    /// The value is an object of these fields.
    fn object<'de, A: MapAccess<'de>>(&mut self, fields: A) -> Result<(), A::Error> {
        skip_fields(fields)?;
        self.shape(Shape::Object);
        Ok(())
    }
}

/// Passes over the items of an array.
pub(super) fn skip_items<'de, A: SeqAccess<'de>>(mut items: A) -> Result<(), A::Error> {
    while items.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

/// Passes over the fields of an object.
pub(super) fn skip_fields<'de, A: MapAccess<'de>>(mut fields: A) -> Result<(), A::Error> {
    while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

/// A value that was glanced at.
pub(super) struct Seen<T>(pub(super) T);

impl<'de, T: Glance> Deserialize<'de> for Seen<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut glanced = Glanced(None);
        from.deserialize_any(Read(&mut glanced))?;
        Ok(Seen(glanced.0.expect("every value has a shape")))
    }
}

struct Glanced<T>(Option<T>);

impl<T: Glance> Reader for Glanced<T> {
    fn shape(&mut self, shape: Shape) {
        self.0 = Some(T::of(shape));
    }

    fn text(&mut self, text: &str) {
        self.0 = Some(T::text(text));
    }

    fn array<'de, A: SeqAccess<'de>>(&mut self, items: A) -> Result<(), A::Error> {
        self.0 = Some(T::array(items)?);
        Ok(())
    }

    fn object<'de, A: MapAccess<'de>>(&mut self, fields: A) -> Result<(), A::Error> {
        self.0 = Some(T::object(fields)?);
        Ok(())
    }
}

/// Glances at the value of the field whose key was read last.
pub(super) fn see<'de, T: Glance, A: MapAccess<'de>>(fields: &mut A) -> Result<T, A::Error> {
    Ok(fields.next_value::<Seen<T>>()?.0)
}

/// Reads the value of the field whose key was read last.
pub(super) fn read<'de, A: MapAccess<'de>>(fields: &mut A, reader: &mut impl Reader) -> Result<(), A::Error> {
    fields.next_value_seed(Read(reader))
}

/// A value that is to be read.
pub(super) struct Read<'r, R>(pub(super) &'r mut R);

impl<'de, R: Reader> DeserializeSeed<'de> for Read<'_, R> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, R: Reader> Visitor<'de> for Read<'_, R> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.shape(Shape::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.0.shape(Shape::Bool(value));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.shape(Shape::Number(value as f64));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.0.shape(Shape::Number(value as f64));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.0.shape(Shape::Number(value));
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.0.text(value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<(), A::Error> {
        self.0.array(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<(), A::Error> {
        self.0.object(fields)
    }
}

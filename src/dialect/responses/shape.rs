//! Values that this API writes in more than one way: a string or an array, a word or an object. What none of their
//! shapes fits is told by serde, with its path.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::wire::{Chosen, Item, Part};

/// A string, borrowed from the body where it holds no escapes.
#[derive(Debug, Default)]
pub(super) struct Words<'a>(Cow<'a, str>);

impl Words<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn into_string(self) -> String {
        self.0.into_owned()
    }
}

/// `input`.
#[derive(Debug)]
pub(super) enum Input<'a> {
    Text(Words<'a>),
    Items(Vec<Item<'a>>),
}

/// `content` of a message, `output` of a tool.
#[derive(Debug)]
pub(super) enum Content<'a> {
    Text(Words<'a>),
    Parts(Vec<Part<'a>>),
    /// An object, which only items have that are not carried.
    Object,
}

/// `arguments` of a call.
#[derive(Debug)]
pub(super) enum Arguments<'a> {
    Text(Words<'a>),
    /// An object, which only items have that are not carried.
    Object,
}

/// `tool_choice`.
#[derive(Debug)]
pub(super) enum Choice<'a> {
    Word(Words<'a>),
    Object(Chosen<'a>),
}

macro_rules! strings {
    ($value:ident, $wrap:expr) => {
        fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<$value<'a>, E> {
            Ok($wrap(Words(Cow::Borrowed(text))))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<$value<'a>, E> {
            Ok($wrap(Words(Cow::Owned(text.to_owned()))))
        }
    };
}

macro_rules! visited {
    ($value:ident, $visitor:ident, $expects:literal, $method:ident, { $($body:tt)* }) => {
        struct $visitor;

        impl<'a> Visitor<'a> for $visitor {
            type Value = $value<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($expects)
            }

            $($body)*
        }

        impl<'de: 'a, 'a> Deserialize<'de> for $value<'a> {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.$method($visitor)
            }
        }
    };
}

visited!(Words, WordsVisitor, "a string", deserialize_str, {
    strings!(Words, |words| words);
});

visited!(Input, InputVisitor, "a string or an array of items", deserialize_any, {
    strings!(Input, Input::Text);

    fn visit_seq<A: SeqAccess<'a>>(self, items: A) -> Result<Input<'a>, A::Error> {
        collect(items).map(Input::Items)
    }
});

visited!(Content, ContentVisitor, "a string or an array of parts", deserialize_any, {
    strings!(Content, Content::Text);

    fn visit_seq<A: SeqAccess<'a>>(self, parts: A) -> Result<Content<'a>, A::Error> {
        collect(parts).map(Content::Parts)
    }

    fn visit_map<A: MapAccess<'a>>(self, fields: A) -> Result<Content<'a>, A::Error> {
        skip(fields).map(|()| Content::Object)
    }
});

visited!(Arguments, ArgumentsVisitor, "a string of JSON", deserialize_any, {
    strings!(Arguments, Arguments::Text);

    fn visit_map<A: MapAccess<'a>>(self, fields: A) -> Result<Arguments<'a>, A::Error> {
        skip(fields).map(|()| Arguments::Object)
    }
});

visited!(Choice, ChoiceVisitor, "a string or an object with a `type`", deserialize_any, {
    strings!(Choice, Choice::Word);

    fn visit_map<A: MapAccess<'a>>(self, fields: A) -> Result<Choice<'a>, A::Error> {
        Chosen::deserialize(MapAccessDeserializer::new(fields)).map(Choice::Object)
    }
});

fn collect<'a, T: Deserialize<'a>, A: SeqAccess<'a>>(mut from: A) -> Result<Vec<T>, A::Error> {
    let mut all = Vec::new();
    while let Some(one) = from.next_element()? {
        all.push(one);
    }
    Ok(all)
}

fn skip<'a, A: MapAccess<'a>>(mut fields: A) -> Result<(), A::Error> {
    while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

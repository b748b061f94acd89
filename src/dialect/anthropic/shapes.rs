//! Values of a body that come in more than one shape, and how each is read without being kept twice.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::wire::SourceFields;
use crate::dialect::chat::Hint;

/// A text that is compared, not kept.
pub(super) struct Word<'a>(pub(super) Cow<'a, str>);

/// A text, or blocks, or (of a server's tools) an object that is not looked at.
pub(super) enum Content<B> {
    Text(String),
    Blocks(Vec<B>),
    Object,
}

/// Of a document whether its answer is to cite it; of a text what it cites, which is passed over.
pub(super) struct Citations {
    pub(super) wanted: bool,
}

/// `metadata`: of all labels only the one that other dialects have.
#[derive(Default)]
pub(super) struct Metadata {
    pub(super) user_id: Option<String>,
}

/// Where a picture or a document is; that of a search result is a text, and not looked at.
#[derive(Default)]
pub(super) struct Source<'a> {
    pub(super) fields: SourceFields<'a>,
}

/// Passes over the rest of an object.
fn pass<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_key::<Word<'de>>()?.is_some() {
        map.next_value::<Hint>()?;
    }
    Ok(())
}

impl<'de: 'a, 'a> Deserialize<'de> for Word<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = Word<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Word(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Word(Cow::Owned(text.to_owned())))
            }
        }
        from.deserialize_str(Words)
    }
}

impl<'de, B: Deserialize<'de>> Deserialize<'de> for Content<B> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Contents<B>(PhantomData<B>);
        impl<'de, B: Deserialize<'de>> Visitor<'de> for Contents<B> {
            type Value = Content<B>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of content blocks")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Content::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Content::Blocks)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                pass(map).map(|()| Content::Object)
            }
        }
        from.deserialize_any(Contents(PhantomData))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Source<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Sources;
        impl<'de> Visitor<'de> for Sources {
            type Value = Source<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
                Ok(Source::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let from = MapAccessDeserializer::new(map);
                SourceFields::deserialize(from).map(|fields| Source { fields })
            }
        }
        from.deserialize_any(Sources)
    }
}

impl<'de> Deserialize<'de> for Citations {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Cited;
        impl<'de> Visitor<'de> for Cited {
            type Value = Citations;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object or an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<Hint>()?.is_some() {}
                Ok(Citations { wanted: false })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut wanted = false;
                while let Some(key) = map.next_key::<Word<'de>>()? {
                    match &*key.0 {
                        "enabled" => wanted = map.next_value::<Option<bool>>()?.unwrap_or(false),
                        _ => drop(map.next_value::<Hint>()?),
                    }
                }
                Ok(Citations { wanted })
            }
        }
        from.deserialize_any(Cited)
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Labels;
        impl<'de> Visitor<'de> for Labels {
            type Value = Metadata;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut user_id = None;
                while let Some(key) = map.next_key::<Word<'de>>()? {
                    match &*key.0 {
                        "user_id" => user_id = map.next_value()?,
                        _ => drop(map.next_value::<Hint>()?),
                    }
                }
                Ok(Metadata { user_id })
            }
        }
        from.deserialize_map(Labels)
    }
}

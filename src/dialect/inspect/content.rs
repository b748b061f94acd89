//! The content of a message: a string, or parts. What is neither is for the backend to judge.

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, SeqAccess};

use super::canonical::Value;
use super::glance::{Glance, Read, Reader, Shape, read, see};
use crate::dialect::prefix::{Tag, Transcript};

/// How much content there is.
#[derive(Clone, Copy, Default)]
pub(super) struct Content {
    /// Bytes of text.
    pub(super) bytes: u64,
    pub(super) images: bool,
}

impl Content {
    pub(super) fn add(&mut self, other: Content) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.images |= other.images;
    }
}

/// Content that is being read.
pub(super) struct Reading<'t> {
    pub(super) content: Content,
    transcript: Option<&'t mut Transcript>,
}

impl<'t> Reading<'t> {
    pub(super) fn new(transcript: Option<&'t mut Transcript>) -> Self {
        Reading { content: Content::default(), transcript }
    }

    fn hear(&mut self, text: &str) {
        if let Some(transcript) = &mut self.transcript {
            transcript.text(text);
        }
    }
}

impl Reader for Reading<'_> {
    fn shape(&mut self, _: Shape) {}

    fn text(&mut self, text: &str) {
        self.content.bytes = text.len() as u64;
        self.hear(text);
    }

    fn array<'de, A: SeqAccess<'de>>(&mut self, mut items: A) -> Result<(), A::Error> {
        loop {
            let mut part = Part(Reading::new(self.transcript.as_deref_mut()));
            if items.next_element_seed(Read(&mut part))?.is_none() {
                return Ok(());
            }
            let content = part.0.content;
            self.content.add(content);
        }
    }
}

struct Part<'t>(Reading<'t>);

impl Reader for Part<'_> {
    fn shape(&mut self, _: Shape) {}

    fn text(&mut self, text: &str) {
        self.0.text(text);
    }

    fn object<'de, A: MapAccess<'de>>(&mut self, mut fields: A) -> Result<(), A::Error> {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "snake_case")]
        enum Key {
            Type,
            Text,
            ImageUrl,
            VideoUrl,
            AudioUrl,
            InputAudio,
            #[serde(alias = "source", alias = "fileData", alias = "file_data")]
            File,
            #[serde(alias = "inline_data", rename = "inlineData")]
            Blob,
            Content,
            #[serde(alias = "functionCall", alias = "functionResponse", alias = "function_call")]
            #[serde(alias = "function_response", alias = "thinking")]
            Input,
            #[serde(other)]
            Other,
        }
        let mut media = None;
        while let Some(key) = fields.next_key::<Key>()? {
            match key {
                Key::Type => self.0.content.images |= see::<Type, A>(&mut fields)? == Type::Image,
                // What a tool answered holds parts of its own.
                Key::Content => read(&mut fields, &mut Inner(&mut self.0))?,
                // A call, its arguments, its result: text to a model, however it is written.
                Key::Input => {
                    let mut value = Value::default();
                    read(&mut fields, &mut value)?;
                    self.0.content.bytes = self.0.content.bytes.saturating_add(value.bytes);
                    if let Some(transcript) = &mut self.0.transcript {
                        transcript.value(value.block(Tag::Calls));
                    }
                }
                Key::Blob => {
                    let mut blob = Blob::default();
                    read(&mut fields, &mut blob)?;
                    self.0.content.images |= blob.is_image;
                    media = Some(blob.hash.wrapping_add(media.unwrap_or(0)));
                }
                Key::Text => {
                    self.0.content.bytes = 0;
                    read(&mut fields, &mut Text(&mut self.0))?;
                }
                Key::Other => drop(fields.next_value::<IgnoredAny>()?),
                _ if self.0.transcript.is_none() => drop(fields.next_value::<IgnoredAny>()?),
                _ => {
                    let mut value = Value::default();
                    read(&mut fields, &mut value)?;
                    media = Some(value.hash.wrapping_add(media.unwrap_or(0)));
                }
            }
        }
        if let (Some(hash), Some(transcript)) = (media, &mut self.0.transcript) {
            transcript.media(hash);
        }
        Ok(())
    }
}

/// `text` of a part.
struct Text<'p, 't>(&'p mut Reading<'t>);

impl Reader for Text<'_, '_> {
    fn shape(&mut self, _: Shape) {}

    fn text(&mut self, text: &str) {
        self.0.text(text);
    }
}

/// Parts inside a part.
struct Inner<'p, 't>(&'p mut Reading<'t>);

impl Reader for Inner<'_, '_> {
    fn shape(&mut self, _: Shape) {}

    fn text(&mut self, text: &str) {
        self.0.content.bytes = self.0.content.bytes.saturating_add(text.len() as u64);
        self.0.hear(text);
    }

    fn array<'de, A: SeqAccess<'de>>(&mut self, items: A) -> Result<(), A::Error> {
        self.0.array(items)
    }
}

/// Google's `inlineData`: what it is, and it.
#[derive(Default)]
struct Blob {
    is_image: bool,
    hash: u64,
}

impl Reader for Blob {
    fn shape(&mut self, _: Shape) {}

    fn object<'de, A: MapAccess<'de>>(&mut self, mut fields: A) -> Result<(), A::Error> {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "snake_case")]
        enum Key {
            #[serde(alias = "mime_type", rename = "mimeType")]
            Mime,
            Data,
            #[serde(other)]
            Other,
        }
        while let Some(key) = fields.next_key::<Key>()? {
            match key {
                Key::Mime => self.is_image = see::<Type, A>(&mut fields)? == Type::Image,
                Key::Data => {
                    let mut value = Value::default();
                    read(&mut fields, &mut value)?;
                    self.hash = value.hash;
                }
                Key::Other => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

#[derive(PartialEq)]
enum Type {
    Image,
    Another,
}

impl Glance for Type {
    fn of(_: Shape) -> Self {
        Type::Another
    }

    fn text(text: &str) -> Self {
        let is_image = matches!(text, "image_url" | "input_image" | "image") || text.starts_with("image/");
        if is_image { Type::Image } else { Type::Another }
    }
}

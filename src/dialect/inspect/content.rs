//! The content of a message: a string, or parts. What is neither is for the backend to judge.

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, SeqAccess};

use super::canonical::Value;
use super::glance::{Glance, Read, Reader, Shape, read, see};
use crate::dialect::prefix::Transcript;

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
            File,
            #[serde(other)]
            Other,
        }
        let mut media = None;
        while let Some(key) = fields.next_key::<Key>()? {
            match key {
                Key::Type => self.0.content.images = see::<Type, A>(&mut fields)? == Type::ImageUrl,
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

#[derive(PartialEq)]
enum Type {
    ImageUrl,
    Another,
}

impl Glance for Type {
    fn of(_: Shape) -> Self {
        Type::Another
    }

    fn text(text: &str) -> Self {
        if text == "image_url" { Type::ImageUrl } else { Type::Another }
    }
}

//! The messages of a chat: how much text they hold and whether there are images among it. Roles, tool calls and whatever
//! else stands in them are passed over.

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, SeqAccess};

use super::glance::{Glance, Seen, Shape, see};

/// `messages` of a chat.
pub(super) struct Messages {
    pub(super) shape: Shape,
    /// The first entry that is not an object, and what it is.
    pub(super) stray: Option<(usize, Shape)>,
    pub(super) content: Content,
}

impl Glance for Messages {
    fn of(shape: Shape) -> Self {
        Messages { shape, stray: None, content: Content::default() }
    }

    fn array<'de, A: SeqAccess<'de>>(mut items: A) -> Result<Self, A::Error> {
        let mut messages = Self::of(Shape::Array);
        let mut index = 0;
        while let Some(Seen(message)) = items.next_element::<Seen<Message>>()? {
            if message.shape != Shape::Object && messages.stray.is_none() {
                messages.stray = Some((index, message.shape));
            }
            messages.content.add(message.content);
            index += 1;
        }
        Ok(messages)
    }
}

struct Message {
    shape: Shape,
    content: Content,
}

impl Glance for Message {
    fn of(shape: Shape) -> Self {
        Message { shape, content: Content::default() }
    }

    fn object<'de, A: MapAccess<'de>>(mut fields: A) -> Result<Self, A::Error> {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "snake_case")]
        enum Key {
            Content,
            #[serde(other)]
            Other,
        }
        let mut message = Self::of(Shape::Object);
        while let Some(key) = fields.next_key::<Key>()? {
            match key {
                Key::Content => message.content = see(&mut fields)?,
                Key::Other => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(message)
    }
}

/// The content of messages: a string, or parts. What is neither is for the backend to judge.
#[derive(Clone, Copy, Default)]
pub(super) struct Content {
    pub(super) bytes: u64,
    pub(super) images: bool,
}

impl Content {
    fn add(&mut self, other: Content) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.images |= other.images;
    }
}

impl Glance for Content {
    fn of(_: Shape) -> Self {
        Content::default()
    }

    fn text(text: &str) -> Self {
        Content { bytes: text.len() as u64, images: false }
    }

    fn array<'de, A: SeqAccess<'de>>(mut items: A) -> Result<Self, A::Error> {
        let mut content = Content::default();
        while let Some(Seen(Part(part))) = items.next_element()? {
            content.add(part);
        }
        Ok(content)
    }
}

struct Part(Content);

impl Glance for Part {
    fn of(_: Shape) -> Self {
        Part(Content::default())
    }

    fn text(text: &str) -> Self {
        Part(Content::text(text))
    }

    fn object<'de, A: MapAccess<'de>>(mut fields: A) -> Result<Self, A::Error> {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "snake_case")]
        enum Key {
            Type,
            Text,
            #[serde(other)]
            Other,
        }
        let mut part = Content::default();
        while let Some(key) = fields.next_key::<Key>()? {
            match key {
                Key::Type => part.images = see::<Word, A>(&mut fields)? == Word::ImageUrl,
                Key::Text => part.bytes = see::<Length, A>(&mut fields)?.0,
                Key::Other => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Part(part))
    }
}

struct Length(u64);

impl Glance for Length {
    fn of(_: Shape) -> Self {
        Length(0)
    }

    fn text(text: &str) -> Self {
        Length(text.len() as u64)
    }
}

/// The values of `type` that mean something here.
#[derive(PartialEq)]
pub(super) enum Word {
    ImageUrl,
    Json,
    Another,
}

impl Glance for Word {
    fn of(_: Shape) -> Self {
        Word::Another
    }

    fn text(text: &str) -> Self {
        match text {
            "image_url" => Word::ImageUrl,
            "json_object" | "json_schema" => Word::Json,
            _ => Word::Another,
        }
    }
}

//! The fields of OpenAI's request bodies that routing reads, each in the shape it came in. Every other field, at every
//! depth, is passed over. Whether what was found makes a request is for [`super::inspect`] to say.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::glance::{Glance, Shape, see};
use super::messages::{Messages, Word};
use super::prompt::Prompt;

/// A request body as it was found. Of a field that stands there twice the last counts, as in most parsers.
#[derive(Default)]
pub(super) struct Body<'a> {
    /// The value of `model`, as it stands in the text.
    pub(super) model: Option<&'a RawValue>,
    /// `model` stands there more than once.
    pub(super) model_repeated: bool,
    pub(super) stream: Option<Shape>,
    pub(super) messages: Option<Messages>,
    pub(super) prompt: Option<Prompt>,
    pub(super) input: Option<Prompt>,
    pub(super) tools: Option<Tools>,
    pub(super) response_format: Option<ResponseFormat>,
    pub(super) max_tokens: Option<Shape>,
    pub(super) max_completion_tokens: Option<Shape>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Model,
    Stream,
    Messages,
    Prompt,
    Input,
    Tools,
    ResponseFormat,
    MaxTokens,
    MaxCompletionTokens,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Body<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Body<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Body<'de>, A::Error> {
        let mut body = Body::default();
        while let Some(key) = fields.next_key::<Key>()? {
            match key {
                Key::Model => body.model_repeated |= body.model.replace(fields.next_value()?).is_some(),
                Key::Stream => body.stream = Some(see(&mut fields)?),
                Key::Messages => body.messages = Some(see(&mut fields)?),
                Key::Prompt => body.prompt = Some(see(&mut fields)?),
                Key::Input => body.input = Some(see(&mut fields)?),
                Key::Tools => body.tools = Some(see(&mut fields)?),
                Key::ResponseFormat => body.response_format = Some(see(&mut fields)?),
                Key::MaxTokens => body.max_tokens = Some(see(&mut fields)?),
                Key::MaxCompletionTokens => body.max_completion_tokens = Some(see(&mut fields)?),
                Key::Other => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(body)
    }
}

/// `tools`.
pub(super) struct Tools {
    pub(super) shape: Shape,
    pub(super) any: bool,
}

impl Glance for Tools {
    fn of(shape: Shape) -> Self {
        Tools { shape, any: false }
    }

    fn array<'de, A: SeqAccess<'de>>(mut items: A) -> Result<Self, A::Error> {
        let mut tools = Self::of(Shape::Array);
        while items.next_element::<IgnoredAny>()?.is_some() {
            tools.any = true;
        }
        Ok(tools)
    }
}

/// `response_format`.
pub(super) struct ResponseFormat {
    pub(super) shape: Shape,
    pub(super) json: bool,
}

impl Glance for ResponseFormat {
    fn of(shape: Shape) -> Self {
        ResponseFormat { shape, json: false }
    }

    fn object<'de, A: MapAccess<'de>>(mut fields: A) -> Result<Self, A::Error> {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "snake_case")]
        enum Key {
            Type,
            #[serde(other)]
            Other,
        }
        let mut format = Self::of(Shape::Object);
        while let Some(key) = fields.next_key::<Key>()? {
            match key {
                Key::Type => format.json = see::<Word, A>(&mut fields)? == Word::Json,
                Key::Other => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(format)
    }
}

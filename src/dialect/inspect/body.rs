//! The fields of request bodies that routing reads, of every dialect, each in the shape it came in. Every other field, at
//! every depth, is passed over. Whether what was found makes a request is for [`super::inspect`] to say.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::canonical::Value;
use super::glance::{Glance, Read, Reader, Shape, read, see};
use super::messages::Messages;
use super::options::{Options, TextOptions};
use super::prompt::Prompt;
use crate::dialect::prefix::{Block, Tag, mix, session};
use crate::exchange::{Dialect, Endpoint};

/// A request body as it was found. Of a field that stands there twice the last counts, as in most parsers.
#[derive(Default)]
pub(super) struct Body<'a> {
    /// The value of `model`, as it stands in the text.
    pub(super) model: Option<&'a RawValue>,
    /// `model` stands there more than once.
    pub(super) model_repeated: bool,
    pub(super) stream: Option<Shape>,
    /// The conversation, under whatever name.
    pub(super) messages: Option<Messages>,
    /// Instructions that stand apart from it.
    pub(super) system: Option<Messages>,
    /// Pictures that stand apart from it.
    pub(super) images: Option<Shape>,
    pub(super) prompt: Option<Prompt>,
    pub(super) input: Option<Prompt>,
    pub(super) tools: Option<Tools>,
    pub(super) response_format: Option<ResponseFormat>,
    pub(super) max_tokens: Option<Shape>,
    pub(super) max_completion_tokens: Option<Shape>,
    /// Ollama's `options`, Google's `generationConfig`.
    pub(super) options: Option<Options>,
    /// Responses' `text`, Anthropic's `output_config`.
    pub(super) text: Option<TextOptions>,
    /// The hash of `prompt_cache_key`, if it is fit to be one.
    pub(super) cache_key: Option<u64>,
    /// The same of `user`.
    pub(super) user: Option<u64>,
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
    #[serde(alias = "max_output_tokens")]
    MaxCompletionTokens,
    #[serde(alias = "instructions", alias = "systemInstruction", alias = "system_instruction")]
    System,
    Contents,
    Images,
    #[serde(alias = "generationConfig", alias = "generation_config")]
    Options,
    #[serde(alias = "output_config")]
    Text,
    #[serde(alias = "output_format")]
    Format,
    #[serde(rename = "prompt_cache_key")]
    Session,
    User,
    #[serde(other)]
    Other,
}

/// How a body is read.
pub(super) struct Fields {
    pub(super) endpoint: Endpoint,
    /// With what its prompt is known by. No body is refused for what is read for this alone: one that cannot be read with
    /// it is read without.
    pub(super) for_prefix: bool,
}

impl<'de> DeserializeSeed<'de> for Fields {
    type Value = Body<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Body<'de>, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields {
    type Value = Body<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Body<'de>, A::Error> {
        let mut body = Body::default();
        let dialect = self.endpoint.dialect();
        while let Some(key) = fields.next_key::<Key>()? {
            match key {
                Key::Input if dialect == Dialect::Responses => {
                    read(&mut fields, body.messages.insert(Messages::new(self.for_prefix)))?;
                }
                Key::Contents if dialect == Dialect::Google => {
                    read(&mut fields, body.messages.insert(Messages::new(self.for_prefix)))?;
                }
                Key::System if dialect != Dialect::OpenAi => {
                    read(&mut fields, body.system.insert(Messages::instructions(self.for_prefix)))?;
                }
                Key::Images if dialect == Dialect::Ollama => body.images = Some(see(&mut fields)?),
                Key::Options if dialect != Dialect::OpenAi => body.options = Some(see(&mut fields)?),
                Key::Text if dialect != Dialect::OpenAi => body.text = Some(see(&mut fields)?),
                Key::Format if dialect != Dialect::OpenAi => body.response_format = Some(see(&mut fields)?),
                Key::Model => body.model_repeated |= body.model.replace(fields.next_value()?).is_some(),
                Key::Stream => body.stream = Some(see(&mut fields)?),
                Key::Messages => read(&mut fields, body.messages.insert(Messages::new(self.for_prefix)))?,
                Key::Prompt => read(&mut fields, body.prompt.insert(Prompt::new(self.for_prefix)))?,
                Key::Input => read(&mut fields, body.input.insert(Prompt::new(false)))?,
                Key::Tools => read(&mut fields, body.tools.insert(Tools::new(self.for_prefix)))?,
                Key::ResponseFormat => body.response_format = Some(see(&mut fields)?),
                Key::MaxTokens => body.max_tokens = Some(see(&mut fields)?),
                Key::MaxCompletionTokens => body.max_completion_tokens = Some(see(&mut fields)?),
                Key::Session if self.for_prefix => body.cache_key = see::<Name, A>(&mut fields)?.0,
                Key::User if self.for_prefix => body.user = see::<Name, A>(&mut fields)?.0,
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(body)
    }
}

/// The name of a conversation, as a hash.
struct Name(Option<u64>);

impl Glance for Name {
    fn of(_: Shape) -> Self {
        Name(None)
    }

    fn text(text: &str) -> Self {
        Name(session(text.as_bytes()))
    }
}

/// `tools`.
pub(super) struct Tools {
    pub(super) shape: Shape,
    pub(super) any: bool,
    /// What they are known by, in whatever order they stand, if that is asked for.
    pub(super) block: Option<Block>,
    for_prefix: bool,
}

impl Tools {
    fn new(for_prefix: bool) -> Self {
        Tools { shape: Shape::Null, any: false, block: None, for_prefix }
    }
}

impl Reader for Tools {
    fn shape(&mut self, shape: Shape) {
        self.shape = shape;
    }

    fn array<'de, A: SeqAccess<'de>>(&mut self, mut items: A) -> Result<(), A::Error> {
        self.shape = Shape::Array;
        if !self.for_prefix {
            while items.next_element::<IgnoredAny>()?.is_some() {
                self.any = true;
            }
            return Ok(());
        }
        let (mut sum, mut bytes) = (0_u64, 0_u64);
        loop {
            let mut tool = Value::default();
            if items.next_element_seed(Read(&mut tool))?.is_none() {
                break;
            }
            self.any = true;
            sum = sum.wrapping_add(mix(Tag::Tool, [tool.hash]));
            bytes = bytes.saturating_add(tool.bytes);
        }
        self.block = self.any.then(|| Block { hash: mix(Tag::Tools, [sum]), bytes });
        Ok(())
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

    fn text(text: &str) -> Self {
        // Ollama's `"format": "json"`.
        ResponseFormat { shape: Shape::String, json: text == "json" }
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
                Key::Type => format.json |= see::<Format, A>(&mut fields)? == Format::Json,
                Key::Other => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(format)
    }
}

#[derive(PartialEq)]
enum Format {
    Json,
    Another,
}

impl Glance for Format {
    fn of(_: Shape) -> Self {
        Format::Another
    }

    fn text(text: &str) -> Self {
        if matches!(text, "json_object" | "json_schema" | "object") { Format::Json } else { Format::Another }
    }
}

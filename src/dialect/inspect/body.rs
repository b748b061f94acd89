//! The fields of OpenAI's request bodies that routing reads, each in the shape it came in. Every other field, at every
//! depth, is passed over. Whether what was found makes a request is for [`super::inspect`] to say.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::glance::{Glance, Seen, Shape};

/// How much a token that is given as a number counts for, in bytes of text.
const TOKEN_BYTES: u64 = 4;

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

fn see<'de, T: Glance, A: MapAccess<'de>>(fields: &mut A) -> Result<T, A::Error> {
    Ok(fields.next_value::<Seen<T>>()?.0)
}

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
enum Word {
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

/// `prompt` or `input`: a string, an array of strings, an array of tokens, or an array of such arrays.
pub(super) struct Prompt {
    pub(super) shape: Shape,
    /// How many inputs it holds. Tokens side by side are one.
    pub(super) inputs: u64,
    /// Bytes of the longest of them: each is read on its own, so together they need not fit into one context.
    pub(super) bytes: u64,
}

impl Glance for Prompt {
    fn of(shape: Shape) -> Self {
        Prompt { shape, inputs: 1, bytes: 0 }
    }

    fn text(text: &str) -> Self {
        Prompt { shape: Shape::String, inputs: u64::from(!text.is_empty()), bytes: text.len() as u64 }
    }

    fn array<'de, A: SeqAccess<'de>>(mut items: A) -> Result<Self, A::Error> {
        let mut all = Prompt { shape: Shape::Array, inputs: 0, bytes: 0 };
        let mut tokens = false;
        let mut sum = 0_u64;
        while let Some(Seen(item)) = items.next_element::<Seen<PromptItem>>()? {
            tokens |= item.token;
            sum = sum.saturating_add(item.bytes);
            all.inputs += 1;
            all.bytes = all.bytes.max(item.bytes);
        }
        Ok(if tokens { Prompt { inputs: 1, bytes: sum, ..all } } else { all })
    }
}

/// An entry of a `prompt` or `input` array: a string, a token, or an array of tokens.
struct PromptItem {
    token: bool,
    bytes: u64,
}

impl Glance for PromptItem {
    fn of(shape: Shape) -> Self {
        let token = matches!(shape, Shape::Number(_));
        PromptItem { token, bytes: if token { TOKEN_BYTES } else { 0 } }
    }

    fn text(text: &str) -> Self {
        PromptItem { token: false, bytes: text.len() as u64 }
    }

    fn array<'de, A: SeqAccess<'de>>(mut items: A) -> Result<Self, A::Error> {
        let mut bytes = 0_u64;
        while items.next_element::<IgnoredAny>()?.is_some() {
            bytes = bytes.saturating_add(TOKEN_BYTES);
        }
        Ok(PromptItem { token: false, bytes })
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

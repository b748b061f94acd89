//! Options that some dialects keep in an object of their own: how long the answer may be, and whether it is to be JSON.

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess};

use super::body::ResponseFormat;
use super::glance::{Glance, Shape, see};

/// Ollama's `options`, Google's `generationConfig`.
pub(super) struct Options {
    pub(super) shape: Shape,
    pub(super) max_tokens: Option<Shape>,
    pub(super) json: bool,
}

impl Glance for Options {
    fn of(shape: Shape) -> Self {
        Options { shape, max_tokens: None, json: false }
    }

    fn object<'de, A: MapAccess<'de>>(mut fields: A) -> Result<Self, A::Error> {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "snake_case")]
        enum Key {
            #[serde(alias = "maxOutputTokens", alias = "max_output_tokens")]
            NumPredict,
            #[serde(alias = "response_mime_type", rename = "responseMimeType")]
            Mime,
            #[serde(other)]
            Other,
        }
        let mut options = Self::of(Shape::Object);
        while let Some(key) = fields.next_key::<Key>()? {
            match key {
                Key::NumPredict => options.max_tokens = Some(see(&mut fields)?),
                Key::Mime => options.json = see::<Mime, A>(&mut fields)? == Mime::Json,
                Key::Other => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(options)
    }
}

#[derive(PartialEq)]
enum Mime {
    Json,
    Another,
}

impl Glance for Mime {
    fn of(_: Shape) -> Self {
        Mime::Another
    }

    fn text(text: &str) -> Self {
        if text == "application/json" { Mime::Json } else { Mime::Another }
    }
}

/// Responses' `text` and Anthropic's `output_config`: an object with a `format` in it.
pub(super) struct TextOptions {
    pub(super) json: bool,
}

impl Glance for TextOptions {
    fn of(_: Shape) -> Self {
        TextOptions { json: false }
    }

    fn object<'de, A: MapAccess<'de>>(mut fields: A) -> Result<Self, A::Error> {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "snake_case")]
        enum Key {
            Format,
            #[serde(other)]
            Other,
        }
        let mut json = false;
        while let Some(key) = fields.next_key::<Key>()? {
            match key {
                Key::Format => json = see::<ResponseFormat, A>(&mut fields)?.json,
                Key::Other => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(TextOptions { json })
    }
}

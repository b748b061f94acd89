//! The content of a message as a backend is sent it: a text, or parts. What no part of the dialect can hold is refused.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

use crate::dialect::chat::{Media, MediaKind, Source};

/// What a message says.
pub(super) enum Content<'a> {
    Null,
    Text(Cow<'a, str>),
    Pieces(Vec<Piece<'a>>),
}

impl<'a> Content<'a> {
    /// A string where one text is all.
    pub(super) fn new(mut pieces: Vec<Piece<'a>>) -> Self {
        match (pieces.pop(), pieces.len()) {
            (None, _) => Content::Text(Cow::Borrowed("")),
            (Some(Piece::Text { text }), 0) => Content::Text(text),
            (Some(last), _) => {
                pieces.push(last);
                Content::Pieces(pieces)
            }
        }
    }
}

impl Serialize for Content<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Content::Null => to.serialize_unit(),
            Content::Text(text) => to.serialize_str(text),
            Content::Pieces(pieces) => pieces.serialize(to),
        }
    }
}

/// A part of a message.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Piece<'a> {
    Text { text: Cow<'a, str> },
    ImageUrl { image_url: Address<'a> },
    InputAudio { input_audio: Sound<'a> },
    File { file: File<'a> },
}

#[derive(Serialize)]
pub(super) struct Address<'a> {
    url: Location<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

#[derive(Serialize)]
pub(super) struct Sound<'a> {
    data: &'a str,
    format: &'static str,
}

#[derive(Serialize)]
pub(super) struct File<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
    file_data: Location<'a>,
}

impl<'a> Piece<'a> {
    /// # Errors
    /// What the dialect has no word for.
    pub(super) fn new(media: &'a Media) -> Result<Self, &'static str> {
        if media.detail.is_some() && media.kind != MediaKind::Image {
            return Err("detail of what is no image");
        }
        if media.name.is_some() && media.kind != MediaKind::File {
            return Err("the name of what is no file");
        }
        let (name, detail) = (media.name.as_deref(), media.detail.as_deref());
        match (media.kind, &media.source) {
            (MediaKind::Image, source) => Ok(Piece::ImageUrl { image_url: Address { url: Location(source), detail } }),
            (MediaKind::Audio, Source::Data { media_type, data }) => {
                let format = match media_type.as_str() {
                    "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "wav",
                    "audio/mp3" | "audio/mpeg" => "mp3",
                    _ => return Err("audio other than wav and mp3"),
                };
                Ok(Piece::InputAudio { input_audio: Sound { data, format } })
            }
            (MediaKind::File, source @ Source::Data { .. }) => {
                Ok(Piece::File { file: File { filename: name, file_data: Location(source) } })
            }
            (MediaKind::Audio, Source::Url(_)) => Err("audio by its address"),
            (MediaKind::File, Source::Url(_)) => Err("a file by its address"),
            (MediaKind::Video, _) => Err("video"),
        }
    }
}

/// An address, or a `data:` URL.
struct Location<'a>(&'a Source);

impl Serialize for Location<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Source::Url(url) => to.serialize_str(url),
            Source::Data { media_type, data } => to.collect_str(&format_args!("data:{media_type};base64,{data}")),
        }
    }
}

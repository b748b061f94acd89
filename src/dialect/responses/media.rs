//! Pictures, sounds and files of a request. Their bytes are checked to be base64, and never decoded.

use super::part::Place;
use super::shape::Words;
use super::wire::Part;
use crate::dialect::chat::{Media, MediaKind, Source};
use crate::dialect::inspect::BadRequest;

const NOT_BASE64: &str = "is no base64: use the standard alphabet, with padding and without line breaks";

/// What an `input_image` holds.
pub(super) fn image(part: Part<'_>, place: Place) -> Result<Media, BadRequest> {
    let Some(address) = part.image_url else {
        return Err(place.problem("image_url", "is required: an https or data: URL"));
    };
    let source = source(address.as_str(), place, "image_url")?;
    if let Source::Data { media_type, .. } = &source
        && kind_of(media_type) != MediaKind::Image
    {
        return Err(place.problem("image_url", "holds no image: its media type must begin with image/"));
    }
    let detail = part.detail.and_then(|detail| precision(detail.as_str()));
    Ok(Media { kind: MediaKind::Image, source, detail, name: None })
}

/// What an `input_file` holds.
pub(super) fn file(part: Part<'_>, place: Place) -> Result<Media, BadRequest> {
    let name = part.filename.map(Words::into_string);
    let source = match (part.file_data, part.file_url) {
        (Some(data), _) if is_data_url(data.as_str()) => source(data.as_str(), place, "file_data")?,
        (Some(data), _) => bare(data.as_str(), name.as_deref(), place)?,
        (None, Some(address)) => source(address.as_str(), place, "file_url")?,
        (None, None) => return Err(place.problem("file_data", "is required, or `file_url`")),
    };
    let kind = match &source {
        Source::Data { media_type, .. } => kind_of(media_type),
        Source::Url(_) => MediaKind::File,
    };
    let detail = part.detail.and_then(|detail| precision(detail.as_str()));
    Ok(Media { kind, source, detail, name })
}

/// What an `input_audio` holds.
pub(super) fn audio(part: Part<'_>, place: Place) -> Result<Media, BadRequest> {
    let audio = part.input_audio.unwrap_or_default();
    let media_type = match audio.format.as_ref().map(|format| format.as_str()) {
        Some("wav") => "audio/wav",
        Some("mp3") => "audio/mpeg",
        _ => return Err(place.problem("input_audio.format", "must be `wav` or `mp3`")),
    };
    let Some(data) = audio.data.filter(|data| is_base64(data.as_str())) else {
        return Err(place.problem("input_audio.data", NOT_BASE64));
    };
    let source = Source::Data { media_type: media_type.to_owned(), data: data.into_string() };
    Ok(Media { kind: MediaKind::Audio, source, detail: None, name: None })
}

/// How closely to look: `auto` is nothing said, and `original` is as close as other dialects know.
fn precision(detail: &str) -> Option<String> {
    match detail {
        "auto" => None,
        "original" => Some("high".to_owned()),
        other => Some(other.to_owned()),
    }
}

fn kind_of(media_type: &str) -> MediaKind {
    match media_type.split('/').next() {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        _ => MediaKind::File,
    }
}

fn is_data_url(address: &str) -> bool {
    address.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}

/// Where `address` points: out, or at what it holds itself.
fn source(address: &str, place: Place, field: &'static str) -> Result<Source, BadRequest> {
    if !is_data_url(address) {
        if !address.contains("://") {
            return Err(place.problem(field, "must be an https or data: URL"));
        }
        return Ok(Source::Url(address.to_owned()));
    }
    let Some((head, data)) = address[5..].split_once(',') else {
        return Err(place.problem(field, "must be written as data:TYPE;base64,DATA"));
    };
    let mut words = head.split(';');
    let media_type = words.next().unwrap_or_default().to_ascii_lowercase();
    if !media_type.contains('/') || !words.any(|word| word.eq_ignore_ascii_case("base64")) {
        return Err(place.problem(field, "must be written as data:TYPE;base64,DATA"));
    }
    if !is_base64(data) {
        return Err(place.problem(field, NOT_BASE64));
    }
    Ok(Source::Data { media_type, data: data.to_owned() })
}

/// A file without its media type, which is told by its name, or by how a PDF begins.
fn bare(data: &str, name: Option<&str>, place: Place) -> Result<Source, BadRequest> {
    if !is_base64(data) {
        return Err(place.problem("file_data", NOT_BASE64));
    }
    let ending = name.and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending.to_ascii_lowercase());
    let media_type = match ending.as_deref() {
        Some("pdf") => "application/pdf",
        Some("txt") => "text/plain",
        Some("md") => "text/markdown",
        Some("csv") => "text/csv",
        Some("html") => "text/html",
        Some("json") => "application/json",
        _ if data.starts_with("JVBERi") => "application/pdf",
        _ => return Err(place.problem("file_data", "does not say what it is: write it as data:TYPE;base64,DATA")),
    };
    Ok(Source::Data { media_type: media_type.to_owned(), data: data.to_owned() })
}

fn is_base64(data: &str) -> bool {
    let bytes = data.as_bytes();
    let padding = bytes.iter().rev().take(2).take_while(|&&byte| byte == b'=').count();
    let digits = &bytes[..bytes.len() - padding];
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    !digits.is_empty() && bytes.len().is_multiple_of(4) && digits.iter().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_told_from_what_is_none() {
        for good in ["iVBORw0KGgo=", "QQ==", "QUJD", "+/+/"] {
            assert!(is_base64(good), "{good}");
        }
        for bad in ["", "=", "====", "QQ", "QQ=", "QQ=A", "Q Q=", "QQ\n=", "-_-_", "QU=JD==="] {
            assert!(!is_base64(bad), "{bad}");
        }
    }

    #[test]
    fn a_data_url_is_read_whatever_its_parameters_are() {
        let place = Place::new(0, "content", 0);
        let png = Source::Data { media_type: "image/png".to_owned(), data: "QUJD".to_owned() };
        for address in ["data:image/png;base64,QUJD", "DATA:image/PNG;charset=x;BASE64,QUJD"] {
            assert_eq!(source(address, place, "image_url"), Ok(png.clone()));
        }
        for address in ["data:", "data:,QUJD", "data:image/png,QUJD", "data:;base64,QUJD", "data:image/png;base64,é"] {
            assert!(source(address, place, "image_url").is_err(), "{address}");
        }
        assert!(source("QUJD", place, "image_url").is_err());
        assert!(source("dat€", place, "image_url").is_err());
    }
}

//! Pictures, sounds and documents of a client's message: what they are and where. Nothing is fetched, and what is here in
//! base64 is checked but never decoded.

use std::borrow::Cow;

use super::body::{Address, File, Sound};
use super::loose::TextOr;
use super::request::bad;
use crate::dialect::chat::{Media, MediaKind, Source};
use crate::dialect::inspect::BadRequest;

const BASE64: &str = "is not base64: send the standard alphabet, without line breaks";

/// `image_url`, `audio_url` or `video_url`, which stands at `path`.
pub(super) fn by_address(read: TextOr<'_, Address<'_>>, kind: MediaKind, path: &str) -> Result<Media, BadRequest> {
    let (url, detail) = match read {
        TextOr::Nothing => return Err(bad(path, "is missing: send an object with a url")),
        TextOr::Text(url) => (url, None),
        TextOr::Other(address) => (address.url, address.detail),
    };
    let source = source(&url, path)?;
    if let Source::Data { media_type, .. } = &source
        && !is_of(media_type, kind)
    {
        return Err(bad(path, "is a data: URL of another media type than the part's type says"));
    }
    Ok(Media { kind, source, detail, name: None })
}

/// `input_audio`, which stands at `path`.
pub(super) fn sound(read: Option<Sound<'_>>, path: &str) -> Result<Media, BadRequest> {
    let sound = read.ok_or_else(|| bad(path, "is missing: send an object with data and format"))?;
    if !matches!(sound.format.as_ref(), "wav" | "mp3") {
        return Err(bad(format_args!("{path}.format"), "must be wav or mp3"));
    }
    if !is_base64(&sound.data) {
        return Err(bad(format_args!("{path}.data"), BASE64));
    }
    let media_type = format!("audio/{}", sound.format);
    let source = Source::Data { media_type, data: sound.data.into_owned() };
    Ok(Media { kind: MediaKind::Audio, source, detail: None, name: None })
}

/// `file`, which stands at `path`; `None` where it is known by an id, which only its keeper can make anything of.
pub(super) fn file(read: Option<File<'_>>, path: &str) -> Result<Option<Media>, BadRequest> {
    let file = read.ok_or_else(|| bad(path, "is missing: send an object with file_data and filename"))?;
    if file.file_id.is_some() {
        return Ok(None);
    }
    let path = format!("{path}.file_data");
    let data = file.file_data.ok_or_else(|| bad(&path, "is missing: send the file as a data: URL"))?.0;
    let source = if is_data_url(&data) || data.contains("://") {
        source(&data, &path)?
    } else {
        Source::Data { media_type: media_type_of(file.filename.as_deref(), &path)?, data: checked(data, &path)? }
    };
    Ok(Some(Media { kind: MediaKind::File, source, detail: None, name: file.filename }))
}

/// Bare base64 does not say what it is; the name of its file may.
fn media_type_of(name: Option<&str>, path: &str) -> Result<String, BadRequest> {
    let is_pdf = name.is_some_and(|name| name.to_ascii_lowercase().ends_with(".pdf"));
    if is_pdf {
        Ok("application/pdf".to_owned())
    } else {
        Err(bad(path, "must be a data: URL, which says its media type"))
    }
}

fn source(url: &str, path: &str) -> Result<Source, BadRequest> {
    if !is_data_url(url) {
        let is_address = url.contains("://");
        return if is_address {
            Ok(Source::Url(url.to_owned()))
        } else {
            Err(bad(path, "must be an http or data: URL"))
        };
    }
    let (head, data) = url[DATA.len()..].split_once(',').unwrap_or_default();
    let Some(head) = head.strip_suffix(";base64") else {
        return Err(bad(path, "must say `;base64` where it is a data: URL, with base64 behind the comma"));
    };
    let media_type = head.split(';').next().unwrap_or_default();
    if !media_type.contains('/') {
        return Err(bad(path, "must say its media type where it is a data: URL, as in data:image/png;base64,"));
    }
    Ok(Source::Data { media_type: media_type.to_ascii_lowercase(), data: checked(Cow::Borrowed(data), path)? })
}

const DATA: &str = "data:";

fn is_data_url(url: &str) -> bool {
    url.get(..DATA.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(DATA))
}

fn is_of(media_type: &str, kind: MediaKind) -> bool {
    match kind {
        MediaKind::Image => media_type.starts_with("image/"),
        MediaKind::Audio => media_type.starts_with("audio/"),
        MediaKind::Video => media_type.starts_with("video/"),
        MediaKind::File => true,
    }
}

fn checked(data: Cow<'_, str>, path: &str) -> Result<String, BadRequest> {
    if is_base64(&data) { Ok(data.into_owned()) } else { Err(bad(path, BASE64)) }
}

/// Whether it is base64, with its padding or without.
fn is_base64(data: &str) -> bool {
    let digits = data.trim_end_matches('=');
    let padding = data.len() - digits.len();
    let has_length = match padding {
        0 => digits.len() % 4 != 1,
        1 | 2 => data.len().is_multiple_of(4),
        _ => false,
    };
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    has_length && !digits.is_empty() && digits.as_bytes().iter().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_known_by_its_alphabet_and_length() {
        for (data, is) in [
            ("iVBORw0KGgo=", true),
            ("iVBORw0KGgo", true),
            ("AA==", true),
            ("", false),
            ("A", false),
            ("A===", false),
            ("AAA==", false),
            ("AA-_", false),
            ("AAAA\nAAAA", false),
            ("====", false),
        ] {
            assert_eq!(is_base64(data), is, "{data:?}");
        }
    }

    #[test]
    fn a_data_url_says_what_it_holds() {
        let data = |media_type: &str| Source::Data { media_type: media_type.to_owned(), data: "AAAA".to_owned() };
        assert_eq!(source("data:image/png;base64,AAAA", "p"), Ok(data("image/png")));
        assert_eq!(source("DATA:image/PNG;name=x;base64,AAAA", "p"), Ok(data("image/png")));
        assert_eq!(source("https://x.test/a", "p"), Ok(Source::Url("https://x.test/a".to_owned())));
        for url in ["data:", "data:image/png,AAAA", "data:;base64,AAAA", "data:image/png;base64,%", "AAAA", "é"] {
            assert!(source(url, "p").is_err(), "{url}");
        }
    }
}

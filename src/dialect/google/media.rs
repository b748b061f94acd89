//! Media: what a MIME type says of its kind, and base64 in whichever alphabet it came. Nothing is decoded.

use super::request::bad;
use super::wire::{Blob, FileData};
use crate::dialect::chat::{Media, MediaKind, Source};
use crate::dialect::inspect::BadRequest;

/// MIME types by the ending of a file.
const ENDINGS: [(&str, &str); 26] = [
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("webp", "image/webp"),
    ("gif", "image/gif"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("mp3", "audio/mp3"),
    ("wav", "audio/wav"),
    ("aiff", "audio/aiff"),
    ("aac", "audio/aac"),
    ("ogg", "audio/ogg"),
    ("flac", "audio/flac"),
    ("mp4", "video/mp4"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpg"),
    ("mov", "video/mov"),
    ("avi", "video/avi"),
    ("webm", "video/webm"),
    ("wmv", "video/wmv"),
    ("pdf", "application/pdf"),
    ("json", "application/json"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("html", "text/html"),
    ("csv", "text/csv"),
];

/// What `mime_type` is a type of.
pub(super) fn kind(mime_type: &str) -> MediaKind {
    let family = mime_type.split('/').next().unwrap_or_default();
    let families = [("image", MediaKind::Image), ("audio", MediaKind::Audio), ("video", MediaKind::Video)];
    let known = families.into_iter().find(|(name, _)| family.eq_ignore_ascii_case(name));
    known.map_or(MediaKind::File, |(_, kind)| kind)
}

/// The MIME type that the ending of `url` tells, if any.
pub(super) fn type_by_ending(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let (_, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
    ENDINGS.iter().find(|(known, _)| ending.eq_ignore_ascii_case(known)).map(|(_, mime_type)| *mime_type)
}

/// `text` as base64 in the standard alphabet with its padding; the API takes both alphabets, with or without. `None`
/// where it is neither, or nothing.
pub(super) fn standard_base64(mut text: String) -> Option<String> {
    let bare = text.trim_end_matches('=').len();
    let padding = text.len() - bare;
    if bare == 0 || bare % 4 == 1 || padding > 2 {
        return None;
    }
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
    if !text.as_bytes()[..bare].iter().all(plain) {
        return None;
    }
    if text.contains(['-', '_']) {
        text = text.replace('-', "+").replace('_', "/");
    }
    text.truncate(bare);
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    Some(text)
}

/// Media that stand in the body.
pub(super) fn inline(blob: Blob<'_>, path: &dyn Fn(&str) -> String) -> Result<Media, BadRequest> {
    let mime_type = blob.mime_type.filter(|word| !word.0.is_empty());
    let Some(mime_type) = mime_type else {
        return Err(bad(path("mimeType"), "must say what the data is, as image/png"));
    };
    let Some(data) = blob.data.and_then(standard_base64) else {
        return Err(bad(path("data"), "must be base64"));
    };
    let kind = kind(&mime_type.0);
    let source = Source::Data { media_type: mime_type.0.into_owned(), data };
    Ok(Media { kind, source, detail: None, name: blob.display_name })
}

/// Media that stand elsewhere.
pub(super) fn elsewhere(file: FileData<'_>, path: &dyn Fn(&str) -> String) -> Result<Media, BadRequest> {
    let Some(uri) = file.file_uri.filter(|uri| !uri.is_empty()) else {
        return Err(bad(path("fileUri"), "must be the address of the file"));
    };
    if let Some(rest) = uri.strip_prefix("data:") {
        let pieces = rest.split_once(";base64,").filter(|(mime_type, _)| !mime_type.is_empty());
        let read = pieces.and_then(|(mime_type, data)| Some((mime_type, standard_base64(data.to_owned())?)));
        let Some((mime_type, data)) = read else {
            return Err(bad(path("fileUri"), "a data: URL must be data:TYPE;base64,DATA"));
        };
        let source = Source::Data { media_type: mime_type.to_owned(), data };
        return Ok(Media { kind: kind(mime_type), source, detail: None, name: file.display_name });
    }
    let told = file.mime_type.as_ref().map(|word| word.0.as_ref()).filter(|mime_type| !mime_type.is_empty());
    let kind = told.or_else(|| type_by_ending(&uri)).map_or(MediaKind::File, kind);
    Ok(Media { kind, source: Source::Url(uri), detail: None, name: file.display_name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_either_alphabet_becomes_the_standard_one() {
        let read = |text: &str| standard_base64(text.to_owned());
        assert_eq!(read("iVBORw0KGgo=").as_deref(), Some("iVBORw0KGgo="));
        assert_eq!(read("-_-_").as_deref(), Some("+/+/"));
        assert_eq!(read("iVBORw0KGgo").as_deref(), Some("iVBORw0KGgo="));
        for wrong in ["", "=", "a", "ab===", "a b=", "a=b=", "é"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_ending_tells_the_type() {
        assert_eq!(type_by_ending("https://x.org/a.b/cat.PNG?size=1.5#x"), Some("image/png"));
        assert_eq!(type_by_ending("https://x.org/cat"), None);
        assert_eq!(type_by_ending("https://x.png/"), None);
    }
}

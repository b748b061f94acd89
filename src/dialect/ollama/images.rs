//! Pictures, which this dialect writes as bare base64: what kind each is shows in its first bytes.

use std::borrow::Cow;

use crate::dialect::chat::{Media, MediaKind, Part, Source};
use crate::dialect::inspect::BadRequest;

/// The picture that `base64` is.
///
/// # Errors
/// It is no base64. `path` is where it stands.
pub(super) fn decode(base64: Cow<'_, str>, path: impl Fn() -> String) -> Result<Part, BadRequest> {
    let data = without_line_ends(base64);
    if !is_base64(data.as_bytes()) {
        let problem = "must be base64 of the picture and nothing else: no address and no `data:` in front".to_owned();
        return Err(BadRequest::Value { path: path(), problem });
    }
    let media_type = media_type(&data).to_owned();
    let source = Source::Data { media_type, data };
    Ok(Part::Media(Media { kind: MediaKind::Image, source, detail: None, name: None }))
}

/// What the first bytes say.
fn media_type(base64: &str) -> &'static str {
    let known = [("iVBOR", "image/png"), ("/9j/", "image/jpeg"), ("R0lGOD", "image/gif"), ("UklGR", "image/webp")];
    let found = known.into_iter().find(|(first, _)| base64.starts_with(first));
    found.map_or("application/octet-stream", |(_, media_type)| media_type)
}

/// Ollama passes over the line ends that some encoders write.
fn without_line_ends(base64: Cow<'_, str>) -> String {
    if base64.contains(['\r', '\n']) { base64.replace(['\r', '\n'], "") } else { base64.into_owned() }
}

fn is_base64(text: &[u8]) -> bool {
    let body = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    !body.is_empty() && text.len().is_multiple_of(4) && body.iter().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_known_by_its_first_bytes() {
        assert_eq!(media_type("iVBORw0KGgo="), "image/png");
        assert_eq!(media_type("/9j/4AAQ"), "image/jpeg");
        assert_eq!(media_type("R0lGODlh"), "image/gif");
        assert_eq!(media_type("UklGRiQA"), "image/webp");
        assert_eq!(media_type("AAAA"), "application/octet-stream");
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        let well = |text: &'static str| decode(Cow::Borrowed(text), String::new).is_ok();
        for text in ["iVBORw0KGgo=", "AA==", "AAAA\r\nAAAA\n", "+/+/"] {
            assert!(well(text), "{text}");
        }
        for text in ["", "=", "====", "AAA", "A===", "AA=A", "http://a/b", "data:image/png;base64,AAAA", "AA_-"] {
            assert!(!well(text), "{text}");
        }
    }
}

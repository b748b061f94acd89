//! Forms (`multipart/form-data`, RFC 7578): audio and pictures come so. All that is read is the field `model`, and whether a
//! stream is wanted; files are passed over.

use bytes::Bytes;
use memchr::memmem;

use super::{BadRequest, Inspection, ModelAt};
use crate::dialect::prefix::Named;
use crate::fleet::Needs;

/// Fields beyond this many are not looked at.
const MAX_FIELDS: usize = 256;

/// Finds the model that a form names.
///
/// # Errors
/// It is no form, or names no model.
pub(super) fn inspect(content_type: Option<&str>, body: &Bytes) -> Result<Inspection, BadRequest> {
    let boundary = content_type.and_then(boundary).ok_or(BadRequest::NoForm)?;
    let mut model = None;
    let mut stream = false;
    for (name, value) in fields(body, &boundary) {
        match name {
            b"model" if model.is_some() => return Err(BadRequest::Repeated { field: "model" }),
            b"model" => model = Some(value),
            b"stream" => stream = body[value].eq_ignore_ascii_case(b"true"),
            _ => {}
        }
    }
    let span =
        model.ok_or(BadRequest::Missing { field: "model", wanted: "the name of a model, as a field of the form" })?;
    let name = std::str::from_utf8(&body[span.clone()])
        .map_err(|_| BadRequest::Unusable { field: "model", problem: "is not valid UTF-8" })?;
    if name.trim().is_empty() {
        return Err(BadRequest::Unusable { field: "model", problem: "is empty: name a model" });
    }
    Ok(Inspection {
        model: name.to_owned(),
        model_at: ModelAt::Form(span),
        stream,
        needs: Needs::default(),
        prefix: None,
        named: Named::default(),
    })
}

/// What stands between the parts of the form, `--` included.
fn boundary(content_type: &str) -> Option<Vec<u8>> {
    let (essence, parameters) = content_type.split_once(';')?;
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let mut parameters = parameters.split(';').filter_map(|parameter| parameter.trim().split_once('='));
    let (_, value) = parameters.find(|(name, _)| name.eq_ignore_ascii_case("boundary"))?;
    let value = value.trim_matches('"');
    (!value.is_empty() && value.len() <= 70).then(|| [b"--", value.as_bytes()].concat())
}

/// The name of every field and where its value stands.
fn fields<'b>(body: &'b [u8], boundary: &[u8]) -> Vec<(&'b [u8], std::ops::Range<usize>)> {
    let finder = memmem::Finder::new(boundary);
    let mut found = Vec::new();
    let mut starts = finder.find_iter(body);
    let Some(mut part) = starts.next().map(|at| at + boundary.len()) else { return found };
    for end in starts.take(MAX_FIELDS) {
        found.extend(field(body, part, end));
        part = end + boundary.len();
    }
    found
}

/// The field between two boundaries.
fn field(body: &[u8], start: usize, end: usize) -> Option<(&[u8], std::ops::Range<usize>)> {
    let part = &body[start..end];
    let head = memmem::find(part, b"\r\n\r\n")?;
    let value = start + head + 4..end.checked_sub(2).filter(|_| part.ends_with(b"\r\n"))?;
    let at_once = part[..head].starts_with(b"name=\"").then_some(0);
    let name_at = at_once.or_else(|| Some(memmem::find(&part[..head], b" name=\"")? + 1))? + 6;
    let name = &part[name_at..head];
    let name = &name[..memchr::memchr(b'"', name)?];
    (value.start <= value.end).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: Option<&str> = Some("multipart/form-data; boundary=xyz");

    fn form(fields: &[(&str, &str)]) -> Bytes {
        let mut body = String::new();
        for (name, value) in fields {
            body.push_str(&format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
        }
        Bytes::from(body + "--xyz--\r\n")
    }

    #[test]
    fn the_model_is_found_among_files() {
        let body = form(&[("file", "RIFF\r\n--xy model"), ("model", "whisper-1"), ("stream", "true")]);
        let found = inspect(TYPE, &body).expect("a form");
        assert_eq!((found.model.as_str(), found.stream), ("whisper-1", true));
        let ModelAt::Form(span) = found.model_at else { panic!("{:?}", found.model_at) };
        assert_eq!(&body[span], b"whisper-1");
    }

    #[test]
    fn what_is_no_form_is_told() {
        let body = form(&[("file", "x")]);
        assert!(matches!(inspect(TYPE, &body), Err(BadRequest::Missing { field: "model", .. })));
        assert_eq!(inspect(Some("application/json"), &body), Err(BadRequest::NoForm));
        assert!(inspect(TYPE, &form(&[("model", "a"), ("model", "b")])).is_err());
        assert!(inspect(TYPE, &form(&[("model", " ")])).is_err());
        for cut in 0..body.len() {
            assert!(inspect(TYPE, &body.slice(..cut)).is_err());
        }
    }
}

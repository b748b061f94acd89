//! What keeps a body from being translated, and how it is read so that this can be said.

use serde::Deserialize;

use crate::dialect::inspect::BadRequest;

/// What another dialect has no word for: the fields, by their path in the client's body or by their common name, each with
/// why where that is not plain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unsupported(pub Vec<String>);

impl Unsupported {
    /// `Err` where anything was noted.
    ///
    /// # Errors
    /// Itself.
    pub fn check(self) -> Result<(), Unsupported> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }

    /// Notes `what`, where it is there.
    pub fn note(&mut self, is_there: bool, what: &str) {
        if is_there {
            self.0.push(what.to_owned());
        }
    }
}

/// What came from a backend is not what its dialect has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what came is not {dialect}: {what}")]
pub struct Garbled {
    /// What was expected.
    pub dialect: &'static str,
    /// What is wrong; no word of the answer itself.
    pub what: String,
}

/// Reads a client's body into the struct of its dialect, and notes every field that this does not have.
///
/// # Errors
/// What is wrong and where, as in `messages[2].content`.
pub fn read_body<'a, T: Deserialize<'a>>(body: &'a str, unknown: &mut Vec<String>) -> Result<T, BadRequest> {
    let mut from = serde_json::Deserializer::from_str(body);
    let mut ignored = Vec::new();
    let read = serde_ignored::deserialize(&mut from, |path| ignored.push(path.to_string()));
    match read.and_then(|read| from.end().map(|()| read)) {
        Ok(read) => {
            unknown.extend(ignored.iter().map(|path| written(path)));
            Ok(read)
        }
        Err(error) => Err(tell::<T>(body, &error)),
    }
}

/// The same reading again, this time to say where it went wrong: most bodies are well and need not pay for that.
fn tell<'a, T: Deserialize<'a>>(body: &'a str, error: &serde_json::Error) -> BadRequest {
    if error.classify() != serde_json::error::Category::Data {
        return BadRequest::Syntax { what: error.to_string() };
    }
    let mut from = serde_json::Deserializer::from_str(body);
    match serde_path_to_error::deserialize::<_, T>(&mut from) {
        Ok(_) => BadRequest::Syntax { what: error.to_string() },
        Err(error) => {
            let path = error.path().to_string();
            BadRequest::Value { path, problem: problem(error.inner()) }
        }
    }
}

/// `messages.?.0.x` as people write it: `messages[0].x`.
fn written(path: &str) -> String {
    let mut written = String::with_capacity(path.len());
    for step in path.split('.').filter(|step| *step != "?") {
        if !written.is_empty() && !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit()) {
            written.push_str(&format!("[{step}]"));
            continue;
        }
        if !written.is_empty() {
            written.push('.');
        }
        written.push_str(step);
    }
    written
}

/// What serde says, without the place, which is told as a path, and without the value, which is the client's business:
/// `invalid type: string "secret", expected a boolean` becomes `invalid type: string, expected a boolean`.
fn problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    for kind in ["invalid type: ", "invalid value: ", "unknown variant "] {
        if let Some(rest) = text.strip_prefix(kind) {
            let word = if kind.starts_with("unknown") { "" } else { rest.split([' ', ',']).next().unwrap_or_default() };
            let wanted = rest.rfind(", expected").map_or("", |at| &rest[at..]);
            return format!("{}{word}{wanted}", if word.is_empty() { kind.trim_end() } else { kind });
        }
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "read only to see what serde says")]
    struct Body {
        stream: Option<bool>,
        list: Option<Vec<Option<Entry>>>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "read only to see what serde says")]
    struct Entry {
        number: u32,
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_without_its_value() {
        let told = |body| read_body::<Body>(body, &mut Vec::new()).expect_err("no body").to_string();
        let said = told(r#"{"stream":"secret \", expected"}"#);
        assert_eq!(said, "`stream`: invalid type: string, expected a boolean");
        assert_eq!(told(r#"{"list":[{"number":-7}]}"#), "`list[0].number`: invalid value: integer, expected u32");
        assert!(told(r#"{"stream":tru}"#).contains("not valid JSON"));
    }

    #[test]
    fn unknown_fields_are_named_by_their_path() {
        let mut unknown = Vec::new();
        read_body::<Body>(r#"{"x":{"y":1},"list":[{"number":1,"z":2}]}"#, &mut unknown).expect("a body");
        assert_eq!(unknown, ["x", "list[0].z"]);
    }
}

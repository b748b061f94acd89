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
            unknown.append(&mut ignored);
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

/// What serde says, without the place: that is told as a path.
fn problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what).to_owned()
}

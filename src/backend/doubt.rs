//! Answers that cannot be true. They are left out of account, and each backend is complained of once for each question.

use std::collections::BTreeSet;

use serde_json::Value;
use tracing::warn;

/// The largest context that is believed, in tokens.
pub(super) const MOST_TOKENS: u64 = 1 << 32;

/// More requests at once than any server has; a larger number is nonsense.
pub(super) const MOST_SLOTS: u64 = 1024;

/// Whether anything in one answer cannot be true.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Doubt {
    is_odd: bool,
}

impl Doubt {
    /// This cannot be true.
    pub(super) fn raise(&mut self) {
        self.is_odd = true;
    }

    /// A whole number up to `most`. Nothing, `null` and zero say nothing; whatever else it may be is doubted.
    pub(super) fn count(&mut self, value: Option<&Value>, most: u64) -> Option<u64> {
        let value = value.filter(|value| !value.is_null())?;
        match value.as_u64() {
            Some(0) => None,
            Some(number) if number <= most => Some(number),
            _ => {
                self.raise();
                None
            }
        }
    }

    /// How many requests at once.
    pub(super) fn slots(&mut self, value: Option<&Value>) -> Option<u32> {
        self.count(value, MOST_SLOTS).and_then(|slots| u32::try_from(slots).ok())
    }

    /// Yes or no; nothing and `null` say neither.
    pub(super) fn flag(&mut self, value: Option<&Value>) -> Option<bool> {
        let value = value.filter(|value| !value.is_null())?;
        if !value.is_boolean() {
            self.raise();
        }
        value.as_bool()
    }

    /// The list that an answer must be, or have at `pointer`. An error in its place says that there is no such question.
    pub(super) fn list<'v>(&mut self, answer: &'v Value, pointer: &str) -> Option<&'v [Value]> {
        match answer.pointer(pointer).and_then(Value::as_array) {
            Some(list) => Some(list),
            None => {
                self.is_odd |= answer.get("error").is_none();
                None
            }
        }
    }
}

/// The questions that a backend has answered with nonsense.
#[derive(Default)]
pub(super) struct Complaints(BTreeSet<&'static str>);

impl Complaints {
    /// Complains where there is a doubt, unless it has been done.
    pub(super) fn note(&mut self, backend: &str, question: &'static str, doubt: &Doubt) {
        if doubt.is_odd && self.0.insert(question) {
            warn!(backend, question, "What the server says of itself cannot be true: it is left out of account");
        }
    }
}

#[cfg(test)]
impl Complaints {
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_believed_within_reason() {
        for (value, believed, doubted) in [
            (json!(4), Some(4), false),
            (json!(1024), Some(1024), false),
            (json!(0), None, false),
            (json!(null), None, false),
            (json!(-1), None, true),
            (json!(1025), None, true),
            (json!(2.5), None, true),
            (json!(1e300), None, true),
            (json!("4"), None, true),
            (json!([4]), None, true),
            (json!(true), None, true),
        ] {
            let mut doubt = Doubt::default();
            assert_eq!((doubt.slots(Some(&value)), doubt.is_odd), (believed, doubted), "{value}");
        }
        let mut doubt = Doubt::default();
        assert_eq!((doubt.slots(None), doubt.is_odd), (None, false));
    }

    #[test]
    fn an_error_says_that_there_is_no_such_question() {
        for (answer, doubted) in [
            (json!({"error": "Unexpected endpoint or method. (GET /api/v1/models)"}), false),
            (json!({"object": "list"}), true),
            (json!("list"), true),
        ] {
            let mut doubt = Doubt::default();
            assert_eq!((doubt.list(&answer, "/models"), doubt.is_odd), (None, doubted), "{answer}");
        }
    }

    #[test]
    fn each_question_is_complained_of_once() {
        let mut complaints = Complaints::default();
        let (odd, fine) = (Doubt { is_odd: true }, Doubt::default());
        complaints.note("b", "/slots", &fine);
        assert_eq!(complaints.count(), 0);
        complaints.note("b", "/slots", &odd);
        complaints.note("b", "/slots", &odd);
        complaints.note("b", "/metrics", &odd);
        assert_eq!(complaints.count(), 2);
    }
}

//! What came of a call: any object, of which the dialect knows three by name.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::values::{Word, compact};

/// What `response` says, and whether that is that the tool failed. `None` where it is no object.
pub(super) fn outcome(response: &RawValue) -> Option<(String, bool)> {
    if !response.get().starts_with('{') {
        return None;
    }
    let outcome: Outcome = serde_json::from_str(response.get()).ok()?;
    Some(match outcome {
        Outcome::Output(text) => (text, false),
        Outcome::Error(text) => (text, true),
        Outcome::Other => (compact(response.get()), false),
    })
}

/// An object of one text under a known name, or any other.
enum Outcome {
    Output(String),
    Error(String),
    Other,
}

impl<'de> Deserialize<'de> for Outcome {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(OutcomeVisitor)
    }
}

struct OutcomeVisitor;

impl<'de> Visitor<'de> for OutcomeVisitor {
    type Value = Outcome;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Outcome, A::Error> {
        let mut outcome = Outcome::Other;
        let mut count = 0;
        while let Some(key) = map.next_key::<Word<'_>>()? {
            count += 1;
            let is_error = key.0 == "error";
            if count > 1 || !(is_error || key.0 == "output" || key.0 == "result") {
                map.next_value::<IgnoredAny>()?;
                outcome = Outcome::Other;
                continue;
            }
            let value: &RawValue = map.next_value()?;
            outcome = match serde_json::from_str::<String>(value.get()) {
                Ok(text) if is_error => Outcome::Error(text),
                Ok(text) => Outcome::Output(text),
                Err(_) => Outcome::Other,
            };
        }
        Ok(outcome)
    }
}

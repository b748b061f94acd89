//! What peers tell each other of requests that have ended. What an end says is known where it is told and read.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

/// How far the ends of a peer's requests are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stand {
    /// When that peer was started, in seconds since 1970: with every start it counts anew.
    pub run: u64,
    /// Its requests have ended up to this one, by their count since then.
    pub last: u64,
}

/// Ends of requests, in the order in which they ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ends {
    /// For people.
    #[serde(default)]
    pub told: Vec<Written>,
    /// Where the next ones begin.
    pub stand: Stand,
    /// Whether there are some already.
    #[serde(default)]
    pub more: bool,
}

/// JSON that was written once. It goes into a frame as it is, and is read by whoever wants to know.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Written(Box<RawValue>);

impl Written {
    /// `content` as JSON; `None` where there is no such JSON.
    pub fn new(content: &impl Serialize) -> Option<Self> {
        to_raw_value(content).ok().map(Written)
    }

    /// What it says, if it is of that form.
    pub fn read<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(self.0.get()).ok()
    }

    /// How long it is.
    pub fn bytes(&self) -> usize {
        self.0.get().len()
    }
}

impl PartialEq for Written {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.get())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn one_end_that_makes_no_sense_takes_no_other_with_it() {
        let text =
            r#"{"told":[{"request_id":"r"},7,{"request_id":"é\u0000"}],"stand":{"run":1,"last":2},"of_later":1}"#;
        let ends: Ends = serde_json::from_str(text).expect("lenient");
        let told: Vec<Option<Value>> =
            ends.told.iter().map(|one| one.read::<serde_json::Map<_, _>>().map(Value::from)).collect();
        assert_eq!(told, [Some(json!({"request_id": "r"})), None, Some(json!({"request_id": "é\0"}))]);
        assert_eq!((ends.stand, ends.more), (Stand { run: 1, last: 2 }, false));
        assert!(serde_json::from_str::<Ends>(r#"{"told":[],"stand":7}"#).is_err());
    }
}

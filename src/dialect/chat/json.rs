//! JSON that passes through as it was written: schemas of tools, arguments of calls.

use std::fmt;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// A JSON value, kept as it was written. Two are equal where they say the same.
#[derive(Clone)]
pub struct Json(Box<RawValue>);

impl Json {
    /// The value that `text` writes down; `None` where it is not JSON.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text.trim()).ok().map(Json)
    }

    /// The same, where it is an object. Nothing at all is an empty one: so do models write a call without arguments.
    pub fn object(text: &str) -> Option<Self> {
        let text = if text.trim().is_empty() { "{}" } else { text };
        Self::parse(text).filter(Json::is_object)
    }

    /// The arguments of a call as an object, which they should be: models do not always keep to that, and one bad call must
    /// not end a conversation. What is none is passed as text under the key `arguments`, so that nothing is lost.
    pub fn arguments(text: &str) -> Self {
        Self::object(text).unwrap_or_else(|| Json::from(&serde_json::json!({ "arguments": text })))
    }

    /// As it was written, without white space around it.
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        self.get().starts_with('{')
    }

    /// What it says.
    pub fn to_value(&self) -> Value {
        serde_json::from_str(self.get()).unwrap_or(Value::Null)
    }
}

impl From<&Value> for Json {
    fn from(value: &Value) -> Self {
        Json(RawValue::from_string(value.to_string()).expect("a value is JSON"))
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get() || self.to_value() == other.to_value()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(from).map(Json)
    }
}

/// A field that may be left out without changing what is asked: a hint to a cache, a label for a bill. It is known by
/// name, and passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Hint;

impl<'de> Deserialize<'de> for Hint {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(from).map(|_| Hint)
    }
}

//! Asking an OpenAI-compatible stream to say at its end what was used, and keeping that from a client that did not ask. All
//! other bytes pass as they came.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::chat::Spoken;
use super::framing::Events;
use super::observe::Usage;

/// `body` of a streamed chat completion with the wish to be told usage; `None` where it says so already, or cannot be read.
pub fn asking_for_usage(body: &Bytes) -> Option<Bytes> {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Options {
        include_usage: Option<bool>,
    }
    let text = std::str::from_utf8(body).ok()?;
    let seen: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(text).ok()?;
    let Some(options) = seen.get("stream_options").map(|options| options.get()) else {
        let at = text.find('{')? + 1;
        let comma = if text[at..].trim_start().starts_with('}') { "" } else { "," };
        let asked = [&text[..at], "\"stream_options\":{\"include_usage\":true}", comma, &text[at..]].concat();
        return Some(asked.into());
    };
    if serde_json::from_str::<Options>(options).is_ok_and(|options| options.include_usage == Some(true)) {
        return None;
    }
    let start = options.as_ptr() as usize - text.as_ptr() as usize;
    let mut value: serde_json::Value = serde_json::from_str(options).ok()?;
    if value.is_null() {
        value = serde_json::json!({});
    }
    value.as_object_mut()?.insert("include_usage".to_owned(), true.into());
    Some([&text[..start], &value.to_string(), &text[start + options.len()..]].concat().into())
}

/// Leaves out the event that tells usage alone, and remembers what it said.
#[derive(Debug)]
pub struct UsageSieve {
    events: Events,
    /// The bytes of the event that is not complete yet.
    held: Vec<u8>,
    spoken: Spoken,
}

/// The largest event that is held back until it is complete.
const MOST_HELD: usize = 1 << 20;

impl Default for UsageSieve {
    fn default() -> Self {
        UsageSieve { events: Events::up_to(MOST_HELD), held: Vec::new(), spoken: Spoken::default() }
    }
}

impl UsageSieve {
    /// Takes the next bytes, and writes what the client is to see of them.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        // Events end with their last byte, so each line is handed on by itself.
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.held.extend_from_slice(line);
            let (spoken, mut is_usage) = (&mut self.spoken, false);
            self.events.push(line, |data| {
                if let Some(usage) = alone(data) {
                    spoken.add(usage);
                    is_usage = true;
                }
            });
            if is_usage {
                self.held.clear();
            } else if self.events.at_boundary() || self.held.len() > MOST_HELD {
                out.append(&mut self.held);
            }
        }
    }

    /// Nothing more comes.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
    }

    /// What was used.
    pub fn usage(&self) -> Option<Usage> {
        (!self.spoken.is_empty()).then(|| self.spoken.into())
    }
}

/// What a chunk says that has no choices, only usage.
fn alone(data: &[u8]) -> Option<Spoken> {
    #[derive(serde::Deserialize)]
    struct Chunk<'a> {
        #[serde(borrow)]
        choices: Vec<&'a RawValue>,
    }
    memchr::memmem::find(data, b"\"usage\"")?;
    let chunk: Chunk<'_> = serde_json::from_slice(data).ok()?;
    chunk.choices.is_empty().then(|| super::observe::usage_in(data)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: &str) -> Option<String> {
        asking_for_usage(&Bytes::copy_from_slice(body.as_bytes()))
            .map(|bytes| String::from_utf8(bytes.to_vec()).expect("text"))
    }

    #[test]
    fn nothing_but_the_wish_is_added() {
        for (body, with) in [
            (r#" { "model":"m"}"#, Some(r#" {"stream_options":{"include_usage":true}, "model":"m"}"#)),
            (r#"{"stream_options":{"include_usage":true}}"#, None),
            (
                r#"{"a":1,"stream_options":{"include_obfuscation":false},"b":2}"#,
                Some(r#"{"a":1,"stream_options":{"include_obfuscation":false,"include_usage":true},"b":2}"#),
            ),
            (r#"{"stream_options":null}"#, Some(r#"{"stream_options":{"include_usage":true}}"#)),
            (r#"{"stream_options":7}"#, None),
            ("{}", Some(r#"{"stream_options":{"include_usage":true}}"#)),
        ] {
            assert_eq!(asked(body).as_deref(), with, "{body}");
        }
    }

    #[test]
    fn the_event_of_usage_is_left_out_and_all_else_passes() {
        let (one, usage, done) = (
            "data: {\"choices\":[{\"delta\":{\"content\":\"\u{e9} \\\"usage\\\"\"}}],\"usage\":null}\r\n\r\n",
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n",
            ": ping\n\ndata: [DONE]\n\n",
        );
        let whole = [one, usage, done].concat();
        for size in [1, 2, 7, whole.len()] {
            let (mut sieve, mut out) = (UsageSieve::default(), Vec::new());
            whole.as_bytes().chunks(size).for_each(|chunk| sieve.push(chunk, &mut out));
            sieve.end(&mut out);
            assert_eq!(String::from_utf8(out).expect("text"), [one, done].concat(), "{size}");
            assert_eq!(sieve.usage().map(|usage| usage.total_tokens), Some(7));
        }
    }
}

//! How the end of a stream is told in each dialect. Only the keys are looked for: inside a string their quotes are escaped, so
//! nothing that is said can be mistaken for them.

use memchr::memmem;

use crate::exchange::Dialect;

/// What an event says of the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing.
    No,
    /// Why the answer ends: the stream may end here.
    Reason,
    /// Nothing comes after it.
    Last,
    /// Its backend failed, and says so.
    Failed,
}

/// What `data` says of the end.
pub(super) fn seen(data: &[u8], dialect: Dialect) -> End {
    let has = |word: &[u8]| memmem::find(data, word).is_some();
    if is_error(data) {
        return End::Failed;
    }
    match dialect {
        Dialect::OpenAi if has_text(data, b"\"finish_reason\"") => End::Reason,
        Dialect::Google if has_text(data, b"\"finishReason\"") || has(b"\"blockReason\"") => End::Reason,
        Dialect::Anthropic if has(b"\"message_stop\"") => End::Last,
        Dialect::Responses if RESPONSES.iter().any(|word| has(word)) => End::Last,
        Dialect::Ollama if value_of(data, b"\"done\"").is_some_and(|value| value.starts_with(b"true")) => End::Last,
        _ => End::No,
    }
}

/// An object that begins with an error, or says by its type that it is one. Some servers write `"error":null` everywhere.
fn is_error(data: &[u8]) -> bool {
    let Some(inner) = data.trim_ascii_start().strip_prefix(b"{") else { return false };
    let inner = inner.trim_ascii_start();
    if let Some(rest) = inner.strip_prefix(b"\"error\"") {
        return behind(rest).is_some_and(|value| value.starts_with(b"{") || value.starts_with(b"\""));
    }
    let kind = inner.strip_prefix(b"\"type\"").and_then(behind);
    kind.is_some_and(|kind| kind.starts_with(b"\"error\""))
}

const RESPONSES: [&[u8]; 3] = [b"\"response.completed\"", b"\"response.incomplete\"", b"\"response.failed\""];

/// Whether a key has a text and not null.
fn has_text(data: &[u8], key: &[u8]) -> bool {
    memmem::find_iter(data, key).any(|at| behind(&data[at + key.len()..]).is_some_and(|value| value.starts_with(b"\"")))
}

fn value_of<'d>(data: &'d [u8], key: &[u8]) -> Option<&'d [u8]> {
    behind(&data[memmem::rfind(data, key)? + key.len()..])
}

/// What stands behind `:`.
fn behind(rest: &[u8]) -> Option<&[u8]> {
    Some(rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_tells_its_end() {
        for (dialect, data, end) in [
            (Dialect::OpenAi, r#"{"choices":[{"finish_reason": "stop"}]}"#, End::Reason),
            (Dialect::OpenAi, r#"{"choices":[{"finish_reason":null}]}"#, End::No),
            (Dialect::OpenAi, r#"{"choices":[{"delta":{"content":"\"finish_reason\":\"stop\""}}]}"#, End::No),
            (Dialect::Google, r#"{"candidates":[{"finishReason":"STOP"}]}"#, End::Reason),
            (Dialect::Google, r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#, End::Reason),
            (Dialect::Anthropic, r#"{"type":"message_stop"}"#, End::Last),
            (Dialect::Anthropic, r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#, End::No),
            (Dialect::Responses, r#"{"type": "response.completed","response":{}}"#, End::Last),
            (Dialect::Responses, r#"{"type":"response.created"}"#, End::No),
            (Dialect::Ollama, r#"{"message":{"content":"\"done\":true"},"done":false}"#, End::No),
            (Dialect::Ollama, r#"{"model":"m","done": true,"eval_count":3}"#, End::Last),
            (Dialect::Ollama, r#"{"error":"out of memory"}"#, End::Failed),
            (Dialect::OpenAi, r#" { "error": {"message":"x"}}"#, End::Failed),
            (Dialect::OpenAi, r#"{"error":null,"choices":[]}"#, End::No),
            (Dialect::Anthropic, r#"{"type":"error","error":{"type":"overloaded_error"}}"#, End::Failed),
            (Dialect::Responses, r#"{"type":"error","code":"x"}"#, End::Failed),
        ] {
            assert_eq!(seen(data.as_bytes(), dialect), end, "{data}");
        }
    }
}

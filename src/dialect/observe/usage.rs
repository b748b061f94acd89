//! Finding `usage` in a piece of a reply. Only the object behind that key is parsed; a key inside a string cannot be
//! mistaken for it, since its quotes are escaped there.

use serde::Deserialize;

const KEY: &[u8] = b"\"usage\"";

/// How many keys of that name are tried, last first: a reply made of nothing else must not cost more.
const MAX_TRIES: usize = 4;

/// Tokens used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the answer; 0 for embeddings.
    pub completion_tokens: u64,
    /// Both together.
    pub total_tokens: u64,
    /// Those of the prompt that were not computed anew, where the server tells.
    pub cached_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Told {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    cached_tokens: Option<u64>,
}

/// The last usage that `bytes` tell of, if any.
pub(super) fn find(bytes: &[u8]) -> Option<Usage> {
    let mut before = bytes;
    for _ in 0..MAX_TRIES {
        let at = memchr::memmem::rfind(before, KEY)?;
        if let Some(usage) = parse(&bytes[at + KEY.len()..]) {
            return Some(usage);
        }
        before = &before[..at];
    }
    None
}

/// Reads `: {…}` and nothing behind it.
fn parse(behind_key: &[u8]) -> Option<Usage> {
    let value = behind_key.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    if value.first() != Some(&b'{') {
        return None;
    }
    let told: Told = serde_json::Deserializer::from_slice(value).into_iter().next()?.ok()?;
    let (prompt_tokens, completion_tokens) = (told.prompt_tokens, told.completion_tokens);
    prompt_tokens.or(completion_tokens).or(told.total_tokens)?;
    let (prompt, completion) = (prompt_tokens.unwrap_or(0), completion_tokens.unwrap_or(0));
    Some(Usage {
        prompt_tokens: prompt,
        completion_tokens: completion,
        total_tokens: told.total_tokens.unwrap_or(prompt.saturating_add(completion)),
        cached_tokens: told.prompt_tokens_details.and_then(|details| details.cached_tokens),
    })
}

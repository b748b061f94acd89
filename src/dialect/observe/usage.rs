//! Finding what was used in a piece of a reply. Only the object behind its key is parsed; a key inside a string cannot be
//! mistaken for it, since its quotes are escaped there.

use serde::Deserialize;

use crate::dialect::chat::Spoken;
use crate::exchange::Dialect;

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
    /// Those of the prompt that were written into a cache, where the server tells.
    pub cache_write_tokens: Option<u64>,
}

/// As the dialects call them.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
    // Responses, Anthropic
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    input_tokens_details: Option<Details>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    // Google
    #[serde(rename = "promptTokenCount")]
    prompt_count: Option<u64>,
    #[serde(rename = "candidatesTokenCount")]
    candidates_count: Option<u64>,
    #[serde(rename = "thoughtsTokenCount")]
    thoughts_count: Option<u64>,
    #[serde(rename = "cachedContentTokenCount")]
    cached_count: Option<u64>,
    // Ollama
    prompt_eval_count: Option<u64>,
    eval_count: Option<u64>,
}

#[derive(Deserialize)]
struct Details {
    cached_tokens: Option<u64>,
}

/// The last usage that `bytes` of `dialect` tell of, if any.
pub(super) fn find(bytes: &[u8], dialect: Dialect) -> Option<Spoken> {
    let key: &[u8] = match dialect {
        Dialect::Google => b"\"usageMetadata\"",
        Dialect::Ollama => return of_ollama(bytes),
        _ => b"\"usage\"",
    };
    let mut before = bytes;
    for _ in 0..MAX_TRIES {
        let at = memchr::memmem::rfind(before, key)?;
        if let Some(spoken) = parse(&bytes[at + key.len()..], dialect) {
            return Some(spoken);
        }
        before = &before[..at];
    }
    None
}

/// Ollama counts in the object itself.
fn of_ollama(bytes: &[u8]) -> Option<Spoken> {
    memchr::memmem::rfind(bytes, b"eval_count\"")?;
    // A whole answer may be cut in front.
    let told: Told = serde_json::from_slice(bytes).ok()?;
    let spoken =
        Spoken { prompt_tokens: told.prompt_eval_count, completion_tokens: told.eval_count, ..Spoken::default() };
    (!spoken.is_empty()).then_some(spoken)
}

/// Reads `: {…}` and nothing behind it.
fn parse(behind_key: &[u8], dialect: Dialect) -> Option<Spoken> {
    let value = behind_key.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    if value.first() != Some(&b'{') {
        return None;
    }
    let told: Told = serde_json::Deserializer::from_slice(value).into_iter().next()?.ok()?;
    let spoken = match dialect {
        Dialect::Anthropic => {
            let cached = [told.cache_read_input_tokens, told.cache_creation_input_tokens];
            let cached_all = cached.iter().flatten().fold(0_u64, |sum, count| sum.saturating_add(*count));
            Spoken {
                took: None,
                prompt_tokens: told.input_tokens.map(|count| count.saturating_add(cached_all)),
                completion_tokens: told.output_tokens,
                cached_tokens: told.cache_read_input_tokens,
                cache_write_tokens: told.cache_creation_input_tokens,
                reasoning_tokens: None,
            }
        }
        Dialect::Google => Spoken {
            took: None,
            prompt_tokens: told.prompt_count,
            completion_tokens: sum(told.candidates_count, told.thoughts_count),
            cached_tokens: told.cached_count,
            reasoning_tokens: told.thoughts_count,
            cache_write_tokens: None,
        },
        _ => {
            let details = told.prompt_tokens_details.or(told.input_tokens_details);
            let prompt = told.prompt_tokens.or(told.input_tokens);
            let completion = told.completion_tokens.or(told.output_tokens);
            let rest = told.total_tokens.map(|total| total.saturating_sub(prompt.unwrap_or(0)));
            Spoken {
                prompt_tokens: prompt,
                completion_tokens: completion.or(rest),
                cached_tokens: details.and_then(|details| details.cached_tokens),
                ..Spoken::default()
            }
        }
    };
    (!spoken.is_empty()).then_some(spoken)
}

fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.or(other)?;
    Some(one.unwrap_or(0).saturating_add(other.unwrap_or(0)))
}

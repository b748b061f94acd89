//! What a backend says was used, wherever it says so, in the words of several vendors.

use serde::Deserialize;

use super::loose::Scalar;
use crate::dialect::chat::Spoken;

/// Tokens used.
#[derive(Deserialize)]
pub(super) struct Usage<'a> {
    #[serde(borrow, default)]
    prompt_tokens: Scalar<'a>,
    #[serde(borrow, default)]
    completion_tokens: Scalar<'a>,
    #[serde(borrow, default)]
    total_tokens: Scalar<'a>,
    #[serde(borrow)]
    prompt_tokens_details: Option<PromptDetails<'a>>,
    #[serde(borrow)]
    completion_tokens_details: Option<CompletionDetails<'a>>,
    /// DeepSeek's name for cached tokens.
    #[serde(borrow, default)]
    prompt_cache_hit_tokens: Scalar<'a>,
}

#[derive(Default, Deserialize)]
struct PromptDetails<'a> {
    #[serde(borrow, default)]
    cached_tokens: Scalar<'a>,
    /// OpenRouter's.
    #[serde(borrow, default)]
    cache_write_tokens: Scalar<'a>,
}

#[derive(Default, Deserialize)]
struct CompletionDetails<'a> {
    #[serde(borrow, default)]
    reasoning_tokens: Scalar<'a>,
}

impl Usage<'_> {
    /// What it says, counted as the canonical form counts.
    pub(super) fn spoken(&self) -> Spoken {
        let prompt = self.prompt_tokens_details.as_ref();
        let reasoning_tokens =
            self.completion_tokens_details.as_ref().and_then(|details| details.reasoning_tokens.count());
        let cached = prompt.and_then(|details| details.cached_tokens.count());
        Spoken {
            took: None,
            prompt_tokens: self.prompt_tokens.count(),
            completion_tokens: self.completion_tokens(reasoning_tokens.unwrap_or(0)),
            cached_tokens: cached.or(self.prompt_cache_hit_tokens.count()),
            cache_write_tokens: prompt.and_then(|details| details.cache_write_tokens.count()),
            reasoning_tokens,
        }
    }

    /// xAI counts reasoning beside the answer; only the total shows it.
    fn completion_tokens(&self, reasoning: u64) -> Option<u64> {
        let completion = self.completion_tokens.count()?;
        let with_reasoning = completion.saturating_add(reasoning);
        let all = self.prompt_tokens.count().unwrap_or(0).saturating_add(with_reasoning);
        Some(if self.total_tokens.count() == Some(all) { with_reasoning } else { completion })
    }

    /// Tokens of the prompt alone, for answers that are nothing else.
    pub(super) fn of_inputs(&self) -> Option<u64> {
        self.prompt_tokens.count().or(self.total_tokens.count())
    }
}

//! What was used, in the words of this dialect: its `input_tokens` leave out what a cache read or wrote, the canonical
//! prompt holds all of it.

use serde::{Deserialize, Serialize};

use crate::dialect::chat::Spoken;

/// `usage`, as a backend says it: in a stream more than once, each time what is new.
#[derive(Clone, Copy, Default, Deserialize)]
pub(super) struct Told {
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<Details>,
}

/// `usage`, as a client reads it.
#[derive(Serialize)]
pub(super) struct Tell {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<Details>,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
struct Details {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    thinking_tokens: Option<u64>,
}

impl Told {
    /// Takes in what a later event says.
    pub(super) fn add(&mut self, later: Told) {
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.cache_creation_input_tokens = later.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = later.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
        self.output_tokens_details = later.output_tokens_details.or(self.output_tokens_details);
    }
}

impl From<Told> for Spoken {
    /// A cache that did nothing is not spoken of.
    fn from(told: Told) -> Self {
        let read = told.cache_read_input_tokens.filter(|tokens| *tokens > 0);
        let written = told.cache_creation_input_tokens.filter(|tokens| *tokens > 0);
        let cached = read.unwrap_or(0).saturating_add(written.unwrap_or(0));
        Spoken {
            took: None,
            prompt_tokens: told.input_tokens.map(|tokens| tokens.saturating_add(cached)),
            completion_tokens: told.output_tokens,
            cached_tokens: read,
            cache_write_tokens: written,
            reasoning_tokens: told.output_tokens_details.and_then(|details| details.thinking_tokens),
        }
    }
}

impl From<Spoken> for Tell {
    fn from(spoken: Spoken) -> Self {
        let read = spoken.cached_tokens.unwrap_or(0);
        let written = spoken.cache_write_tokens.unwrap_or(0);
        Tell {
            input_tokens: spoken.prompt_tokens.unwrap_or(0).saturating_sub(read).saturating_sub(written),
            cache_creation_input_tokens: written,
            cache_read_input_tokens: read,
            output_tokens: spoken.completion_tokens.unwrap_or(0),
            output_tokens_details: spoken.reasoning_tokens.map(|tokens| Details { thinking_tokens: Some(tokens) }),
        }
    }
}

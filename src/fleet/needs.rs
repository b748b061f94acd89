//! What a request asks of a model, as far as its body tells. Data only: whether a model meets it is for routing to say.

use serde::{Deserialize, Serialize};

/// What a request asks of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Needs {
    /// It carries an image.
    pub vision: bool,
    /// It offers tools to call.
    pub tools: bool,
    /// It wants JSON back.
    pub json_mode: bool,
    /// It wants embeddings.
    pub embeddings: bool,
    /// Bytes of text to read in one context: of several inputs, those of the longest. A token given as a number counts
    /// as four.
    pub prompt_bytes: u64,
    /// Tokens of answer at most, where the client says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
}

impl Needs {
    /// Tokens of prompt and answer together, estimated at four bytes a token.
    pub fn context_tokens(&self) -> u64 {
        (self.prompt_bytes / 4).saturating_add(self.max_tokens.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_is_the_prompt_and_the_answer_and_never_overflows() {
        let needs = Needs { prompt_bytes: 4003, max_tokens: Some(24), ..Needs::default() };
        assert_eq!(needs.context_tokens(), 1024);
        let absurd = Needs { prompt_bytes: 8, max_tokens: Some(u64::MAX), ..Needs::default() };
        assert_eq!(absurd.context_tokens(), u64::MAX);
    }
}

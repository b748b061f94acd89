//! How much a request can make a model read and write, at most. It matters where that is paid for, and nowhere else: a limit
//! counts only where the dialect has it, and what lies elsewhere than in the body may be of any length.

use serde::Deserialize;

use crate::exchange::{Dialect, Endpoint};

/// What a body says of its own cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Tokens of one answer at most, where that is limited.
    pub answer_tokens: Option<u64>,
    /// Answers that are wanted.
    pub answers: u64,
    /// All there is to read stands in the body itself.
    pub is_self_contained: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    n: Option<u64>,
    best_of: Option<u64>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    options: Options,
    #[serde(alias = "generationConfig")]
    generation_config: Config,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Options {
    /// Below 0: without end.
    num_predict: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    #[serde(alias = "candidateCount")]
    candidate_count: Option<u64>,
    #[serde(alias = "maxOutputTokens")]
    max_output_tokens: Option<u64>,
}

/// What names something that the vendor has, or fetches: conversations, files, what is searched for.
const ELSEWHERE: [&str; 12] = [
    "\"previous_response_id\"",
    "\"conversation\"",
    "\"container\"",
    "\"file_id\"",
    "\"file_data\"",
    "\"fileData\"",
    "\"file_uri\"",
    "\"fileUri\"",
    "\"cachedContent\"",
    "\"cached_content\"",
    "web_search",
    "\"mcp",
];

/// What `body` can come to.
pub fn extent(endpoint: Endpoint, body: &[u8]) -> Extent {
    let is_self_contained = !ELSEWHERE.iter().any(|name| memchr::memmem::find(body, name.as_bytes()).is_some());
    if endpoint.is_form() {
        return Extent { answer_tokens: None, answers: 1, is_self_contained: false };
    }
    // What cannot be read is limited by nothing.
    let told: Told = serde_json::from_slice(body).unwrap_or_default();
    let answer_tokens = match endpoint.dialect() {
        Dialect::OpenAi => told.max_completion_tokens.max(told.max_tokens),
        Dialect::Responses => told.max_output_tokens,
        Dialect::Anthropic => told.max_tokens,
        Dialect::Ollama => told.options.num_predict.and_then(|tokens| u64::try_from(tokens).ok()),
        Dialect::Google => told.generation_config.max_output_tokens,
    };
    let wanted = [told.n, told.best_of, told.generation_config.candidate_count];
    Extent { answer_tokens, answers: wanted.into_iter().flatten().fold(1, u64::max), is_self_contained }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(endpoint: Endpoint, body: &str) -> (Option<u64>, u64) {
        let Extent { answer_tokens, answers, .. } = extent(endpoint, body.as_bytes());
        (answer_tokens, answers)
    }

    #[test]
    fn a_limit_counts_where_its_dialect_has_it() {
        let body = r#"{"max_tokens":1,"max_completion_tokens":2,"max_output_tokens":3,"options":{"num_predict":4},
            "generationConfig":{"maxOutputTokens":5}}"#;
        for (endpoint, limit) in [
            (Endpoint::ChatCompletions, 2),
            (Endpoint::Responses, 3),
            (Endpoint::Messages, 1),
            (Endpoint::OllamaChat, 4),
            (Endpoint::GenerateContent, 5),
        ] {
            assert_eq!(of(endpoint, body), (Some(limit), 1), "{endpoint:?}");
        }
        assert_eq!(of(Endpoint::OllamaChat, r#"{"max_tokens":1,"options":{"num_predict":-1}}"#), (None, 1));
        assert_eq!(of(Endpoint::ChatCompletions, r#"{"max_output_tokens":1}"#), (None, 1));
        assert_eq!(of(Endpoint::ChatCompletions, "nonsense"), (None, 1));
    }

    #[test]
    fn the_most_answers_that_are_asked_for_count() {
        let answers = |body| of(Endpoint::ChatCompletions, body).1;
        assert_eq!(answers(r#"{"model":"m"}"#), 1);
        assert_eq!(answers(r#"{"model":"m","n":null}"#), 1);
        assert_eq!(answers(r#"{"n":3,"best_of":5}"#), 5);
        assert_eq!(answers(r#"{"generationConfig":{"candidateCount":4}}"#), 4);
    }

    #[test]
    fn what_lies_elsewhere_is_noticed() {
        let is_self_contained = |body: &str| extent(Endpoint::Responses, body.as_bytes()).is_self_contained;
        assert!(is_self_contained(r#"{"input":"hello"}"#));
        assert!(!is_self_contained(r#"{"input":"hello","previous_response_id":"resp_1"}"#));
        assert!(!is_self_contained(r#"{"input":"hello","tools":[{"type":"web_search"}]}"#));
    }
}

//! What one model costs, and the arithmetic of it. Which model costs what is not known here.

use serde::{Deserialize, Serialize};
use thiserror::Error;

const MILLION: f64 = 1_000_000.0;

/// What a model costs, in USD per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Tokens of the prompt.
    pub input: f64,
    /// Tokens of the answer, reasoning among them.
    pub output: f64,
    /// Tokens of the prompt that were read from the provider's cache. Without it they cost as much as others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<f64>,
    /// Tokens of the prompt that were written into the provider's cache. Without it they cost as much as others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<f64>,
}

/// A price that cannot be reckoned with.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{field} is {value}: a price is a number of USD per million tokens, 0 or more")]
pub struct BadAmount {
    /// The field of [`Price`].
    pub field: &'static str,
    /// What was given.
    pub value: f64,
}

impl Price {
    /// What a call cost. `prompt_tokens` includes the cached and the written ones.
    pub fn cost_usd(
        &self,
        prompt_tokens: u64,
        completion_tokens: u64,
        cached_tokens: u64,
        cache_write_tokens: u64,
    ) -> f64 {
        let cached = cached_tokens.min(prompt_tokens);
        let written = cache_write_tokens.min(prompt_tokens - cached);
        let plain = prompt_tokens - cached - written;
        let sum = tokens(plain) * self.input
            + tokens(cached) * self.cached_input.unwrap_or(self.input)
            + tokens(written) * self.cache_write.unwrap_or(self.input)
            + tokens(completion_tokens) * self.output;
        sum / MILLION
    }

    /// The most that a call can cost at this price: every token of the prompt at the dearest of its prices. Providers
    /// that ask more for long prompts can still ask more: the list has only their usual prices.
    pub fn worst_case_usd(&self, prompt_tokens: u64, max_completion_tokens: u64) -> f64 {
        let dearest = [self.cached_input, self.cache_write].into_iter().flatten().fold(self.input, f64::max);
        (tokens(prompt_tokens) * dearest + tokens(max_completion_tokens) * self.output) / MILLION
    }

    /// Refuses negative prices and what is no number.
    pub fn check(&self) -> Result<(), BadAmount> {
        let fields = [
            ("input", Some(self.input)),
            ("output", Some(self.output)),
            ("cached_input", self.cached_input),
            ("cache_write", self.cache_write),
        ];
        let bad = |value: f64| !(value.is_finite() && value >= 0.0);
        match fields.into_iter().find_map(|(field, value)| Some((field, value.filter(|&value| bad(value))?))) {
            Some((field, value)) => Err(BadAmount { field, value }),
            None => Ok(()),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody sends 2^53 tokens")]
fn tokens(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SONNET: Price = Price { input: 3.0, output: 15.0, cached_input: Some(0.3), cache_write: Some(3.75) };
    const PLAIN: Price = Price { input: 2.0, output: 8.0, cached_input: None, cache_write: None };

    fn assert_near(one: f64, two: f64) {
        assert!((one - two).abs() < 1e-12, "{one} {two}");
    }

    #[test]
    fn costs_by_hand() {
        // 1000 plain at 3, 500 read at 0.3, 200 written at 3.75, 100 answered at 15.
        // In millionths: 3000 + 150 + 750 + 1500.
        assert_near(SONNET.cost_usd(1_700, 100, 500, 200), 0.0054);
        assert_near(SONNET.cost_usd(1_000_000, 1_000_000, 0, 0), 18.0);
        assert_near(SONNET.cost_usd(0, 0, 0, 0), 0.0);
        // Without prices of their own, cached and written tokens cost like others: 1000 at 2 and 10 at 8.
        assert_near(PLAIN.cost_usd(1_000, 10, 400, 300), 0.00208);
    }

    #[test]
    fn more_cached_than_sent_is_all_of_it() {
        assert_near(SONNET.cost_usd(100, 0, 500, 500), 100.0 * 0.3 / 1e6);
        assert_near(SONNET.cost_usd(100, 0, 40, u64::MAX), (40.0 * 0.3 + 60.0 * 3.75) / 1e6);
    }

    #[test]
    fn the_worst_case_writes_all_to_the_cache() {
        assert_near(SONNET.worst_case_usd(1_000, 1_000), (3_750.0 + 15_000.0) / 1e6);
        assert_near(PLAIN.worst_case_usd(1_000, 1_000), 0.01);
        assert!(SONNET.worst_case_usd(900, 77) >= SONNET.cost_usd(900, 77, 100, 300));
    }

    #[test]
    fn what_is_no_price_is_refused() {
        assert_eq!(SONNET.check(), Ok(()));
        assert_eq!(Price { output: 0.0, ..PLAIN }.check(), Ok(()));
        for bad in [-0.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Price { input: bad, ..PLAIN }.check().unwrap_err().field, "input");
            assert_eq!(Price { output: bad, ..PLAIN }.check().unwrap_err().field, "output");
            assert_eq!(Price { cached_input: Some(bad), ..PLAIN }.check().unwrap_err().field, "cached_input");
            assert_eq!(Price { cache_write: Some(bad), ..PLAIN }.check().unwrap_err().field, "cache_write");
        }
        let message = Price { input: -2.0, ..PLAIN }.check().unwrap_err().to_string();
        assert_eq!(message, "input is -2: a price is a number of USD per million tokens, 0 or more");
    }

    #[test]
    fn prices_are_read_strictly() {
        let price: Price = toml::from_str("input = 2.0\noutput = 8.0").unwrap();
        assert_eq!(price, PLAIN);
        assert!(toml::from_str::<Price>("input = 2\noutput = 8\ncached_input = 1").is_ok());
        assert!(toml::from_str::<Price>("input = 2.0").is_err());
        assert!(toml::from_str::<Price>("input = 2.0\noutput = 8.0\ncached = 1.0").is_err());
    }
}

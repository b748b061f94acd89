//! The public price list as it was on one day, built into the program. It is never fetched.

use std::collections::HashMap;
use std::sync::OnceLock;

use serde::Deserialize;

use super::Price;

const FILE: &str = include_str!("prices.toml");

/// The file `prices.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Snapshot {
    pub(super) source: String,
    pub(super) retrieved: String,
    openai: HashMap<String, Row>,
    anthropic: HashMap<String, Row>,
    google: HashMap<String, Row>,
}

/// One model of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    input: f64,
    /// Models that only embed answer nothing that could cost.
    output: Option<f64>,
    cached_input: Option<f64>,
    cache_write: Option<f64>,
    max_input: Option<u64>,
    max_output: Option<u64>,
    vision: Option<bool>,
    tools: Option<bool>,
    json: Option<bool>,
}

/// What is publicly known of a model, beside its price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Tokens of the prompt at most.
    pub max_input_tokens: Option<u64>,
    /// Tokens of the answer at most.
    pub max_output_tokens: Option<u64>,
    /// Images in the prompt.
    pub vision: Option<bool>,
    /// Tool calls.
    pub tools: Option<bool>,
    /// Answers after a JSON schema.
    pub json_mode: Option<bool>,
}

impl Snapshot {
    pub(super) fn built_in() -> &'static Snapshot {
        static SNAPSHOT: OnceLock<Snapshot> = OnceLock::new();
        SNAPSHOT.get_or_init(|| toml::from_str(FILE).expect("a test reads the file that is built in"))
    }

    /// The model of that name at that kind of backend, or the one without the date in its name.
    pub(super) fn find(&self, kind: &str, model: &str) -> Option<&Row> {
        let (models, model) = match kind {
            "openai" => (&self.openai, model),
            "anthropic" => (&self.anthropic, model),
            "google" => (&self.google, model.strip_prefix("models/").unwrap_or(model)),
            _ => return None,
        };
        models.get(model).or_else(|| models.get(undated(model)?))
    }

    #[cfg(test)]
    pub(super) fn rows(&self) -> impl Iterator<Item = (&str, &str, &Row)> {
        [("openai", &self.openai), ("anthropic", &self.anthropic), ("google", &self.google)]
            .into_iter()
            .flat_map(|(kind, models)| models.iter().map(move |(name, row)| (kind, name.as_str(), row)))
    }
}

impl Row {
    pub(super) fn price(&self) -> Price {
        Price {
            input: self.input,
            output: self.output.unwrap_or(0.0),
            cached_input: self.cached_input,
            cache_write: self.cache_write,
        }
    }

    pub(super) fn about(&self) -> About {
        About {
            max_input_tokens: self.max_input,
            max_output_tokens: self.max_output,
            vision: self.vision,
            tools: self.tools,
            json_mode: self.json,
        }
    }

    #[cfg(test)]
    pub(super) fn told(&self) -> Vec<f64> {
        [Some(self.input), self.output, self.cached_input, self.cache_write].into_iter().flatten().collect()
    }

    #[cfg(test)]
    pub(super) fn answers(&self) -> bool {
        self.output.is_some()
    }
}

/// A name without the release it ends in: `-2025-04-14`, `-20250929`, `-latest`, `-001`. Four digits stay: they tell
/// models of other prices apart (`gpt-3.5-turbo-1106`).
fn undated(model: &str) -> Option<&str> {
    if let Some(name) = model.strip_suffix("-latest") {
        return Some(name);
    }
    let cut = |length: usize| {
        let (name, date) = model.split_at_checked(model.len().checked_sub(length)?)?;
        let shape: String = date.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
        ["-0000-00-00", "-00000000", "-000"].contains(&shape.as_str()).then_some(name)
    };
    [11, 9, 4].into_iter().find_map(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_releases_are_cut_off() {
        let cut = [
            ("gpt-4.1-2025-04-14", "gpt-4.1"),
            ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
            ("gemini-flash-latest", "gemini-flash"),
            ("gemini-2.5-flash-001", "gemini-2.5-flash"),
        ];
        for (dated, name) in cut {
            assert_eq!(undated(dated), Some(name));
        }
        for name in ["gpt-4o", "gpt-3.5-turbo-1106", "gemini-2.5-flash-preview-09-2025", "", "ééé-1", "o3", "x-12"] {
            assert_eq!(undated(name), None, "{name}");
        }
    }
}

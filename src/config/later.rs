//! Sections that belong to no part yet. Where one is set and its effect is not built, one warning line at start says so.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Table;

use super::Config;

/// `[budget]` or `[routing.budget]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Budget {
    /// The most that cloud backends may cost in a month, in USD.
    #[serde(alias = "monthly_limit", skip_serializing_if = "Option::is_none")]
    pub monthly_limit_usd: Option<f64>,
    /// Percent of the limit from which cloud backends are avoided; 1.0 and less is read as a fraction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soft_limit_percent: Option<f64>,
    /// What happens at the limit: `warn`, `block_cloud` or `block_all`.
    pub hard_limit_action: HardLimitAction,
    /// Seconds between reconciliations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconciliation_interval_secs: Option<u64>,
}

/// What happens when the budget is used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HardLimitAction {
    /// A line in the log.
    #[default]
    Warn,
    /// Cloud backends are not used.
    #[serde(alias = "local_only", alias = "local-only")]
    BlockCloud,
    /// Nothing is served.
    #[serde(alias = "reject")]
    BlockAll,
}

/// `[fleet]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Fleet {
    /// Whether history is analysed for advice.
    pub enabled: bool,
    /// Days of history before any advice.
    pub min_sample_days: u32,
    /// Requests before any advice.
    pub min_request_count: u32,
    /// Seconds between analyses.
    pub analysis_interval_seconds: u64,
    /// Pieces of advice at most.
    pub max_recommendations: u32,
}

impl Default for Fleet {
    fn default() -> Self {
        Fleet {
            enabled: false,
            min_sample_days: 7,
            min_request_count: 100,
            analysis_interval_seconds: 3600,
            max_recommendations: 5,
        }
    }
}

/// Sections that are read and checked, but wait for the part that acts on them.
pub(super) const WAITING: [&str; 2] = ["budget", "fleet"];

/// What is set, by file or environment, but waits for a part that is not built.
pub(super) fn without_effect(config: &Config, set: &Table) -> Vec<String> {
    let mut names: Vec<String> = WAITING
        .into_iter()
        .filter(|section| set.contains_key(*section))
        .map(|section| format!("[{section}]"))
        .collect();
    let mut note = |is_set: bool, name: &str| {
        if is_set {
            names.push(name.to_owned());
        }
    };
    let (ours, usual) = (&config.lifecycle, crate::lifecycle::Config::default());
    note(ours.vram_headroom_percent != usual.vram_headroom_percent, "lifecycle.vram_headroom_percent");
    note(ours.vram_buffer_percent != usual.vram_buffer_percent, "lifecycle.vram_buffer_percent");
    note(ours.vram_heuristic_max_gb != usual.vram_heuristic_max_gb, "lifecycle.vram_heuristic_max_gb");
    let (keys, policies) = (&config.auth.client_keys, &config.routing.policies);
    note(keys.iter().any(|key| key.monthly_limit_usd.is_some()), "auth.client_keys.monthly_limit_usd");
    note(keys.iter().any(|key| key.requests_per_minute.is_some()), "auth.client_keys.requests_per_minute");
    note(keys.iter().any(|key| key.tokens_per_minute.is_some()), "auth.client_keys.tokens_per_minute");
    note(policies.iter().any(|policy| policy.max_cost_per_request.is_some()), "routing.policies.max_cost_per_request");
    names
}

//! `[fleet]`: whether and when history is analysed for advice.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[fleet]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// Whether history is analysed for advice. It is kept either way, four weeks of it.
    pub enabled: bool,
    /// Days of history before any advice.
    pub min_sample_days: u32,
    /// Requests for a model before any advice.
    pub min_request_count: u32,
    /// Seconds between analyses. What is new in one is logged.
    pub analysis_interval_seconds: u64,
    /// Pieces of advice at most.
    pub max_recommendations: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            enabled: false,
            min_sample_days: 7,
            min_request_count: 100,
            analysis_interval_seconds: 3600,
            max_recommendations: 5,
        }
    }
}

impl Config {
    /// How long until history is looked at again.
    pub fn interval(&self) -> Duration {
        Duration::from_secs(self.analysis_interval_seconds.clamp(60, 7 * 24 * 3600))
    }
}

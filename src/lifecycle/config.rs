//! `[lifecycle]`: how models are loaded and unloaded.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[lifecycle]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// Milliseconds until a load counts as failed. A pull may take longer, as long as it makes progress.
    pub timeout_ms: u64,
    /// Percent of memory to leave free. No server tells yet how much it has: without effect.
    pub vram_headroom_percent: u8,
    /// Percent of a model's size to add for its context. Without effect as well.
    pub vram_buffer_percent: u8,
    /// GiB assumed where a backend does not say. Without effect as well.
    pub vram_heuristic_max_gb: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config { timeout_ms: 300_000, vram_headroom_percent: 20, vram_buffer_percent: 10, vram_heuristic_max_gb: 16 }
    }
}

impl Config {
    /// How long an operation may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.max(1))
    }
}

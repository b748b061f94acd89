//! `[queue]`: how requests wait for a slot.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[queue]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// Whether requests wait for a slot at all.
    pub enabled: bool,
    /// How many may wait; 0 = none.
    #[serde(alias = "max_queue_size")]
    pub max_size: u32,
    /// How long one may wait, in seconds.
    #[serde(alias = "default_timeout_seconds")]
    pub max_wait_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config { enabled: true, max_size: 100, max_wait_seconds: 30 }
    }
}

impl Config {
    /// How many may wait.
    pub fn size(&self) -> usize {
        if self.enabled { self.max_size as usize } else { 0 }
    }

    /// How long one may wait.
    pub fn max_wait(&self) -> Duration {
        Duration::from_secs(self.max_wait_seconds)
    }
}

//! `[health_check]`: how backends are watched.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[health_check]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// Without checks every backend stays `unknown`, and is used.
    pub enabled: bool,
    /// Seconds between checks.
    pub interval_seconds: u64,
    /// Seconds a check may take.
    pub timeout_seconds: u64,
    /// Failures in a row until a healthy backend is unhealthy.
    pub failure_threshold: u32,
    /// Successes in a row until an unhealthy backend is healthy.
    pub recovery_threshold: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config { enabled: true, interval_seconds: 30, timeout_seconds: 5, failure_threshold: 3, recovery_threshold: 2 }
    }
}

impl Config {
    /// Time between checks.
    pub fn interval(&self) -> Duration {
        Duration::from_secs(self.interval_seconds.max(1))
    }

    /// Time for one check.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds.max(1))
    }
}

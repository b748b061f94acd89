//! `[quality]`: from when on a backend counts as bad.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[quality]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Quality {
    /// Share of failed requests from which a backend is left alone for a model; more than 0, at most 1.
    pub error_rate_threshold: f32,
    /// Requests before a share is believed.
    pub min_samples: u32,
    /// Milliseconds to the first token from which the score of `smart` is lowered.
    #[serde(alias = "ttft_threshold_ms")]
    pub ttft_penalty_threshold_ms: u32,
    /// At most so many seconds pass until a request counts. All count at once, whatever stands here.
    pub metrics_interval_seconds: u64,
}

impl Default for Quality {
    fn default() -> Self {
        Quality {
            error_rate_threshold: 0.5,
            min_samples: 10,
            ttft_penalty_threshold_ms: 3000,
            metrics_interval_seconds: 30,
        }
    }
}

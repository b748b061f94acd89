//! Time: when each token of a reply is due. Counted from the start of the request, so that late timers do not add up.

use std::time::Duration;

use tokio::time::Instant;

/// No wait is longer than this, whatever the speeds say.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The speeds of a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    prefill: Option<f64>,
    decode: Option<f64>,
}

impl Pace {
    /// Both in tokens per second; what is not a positive number takes no time.
    pub(super) fn new(prefill_per_second: f64, tokens_per_second: f64) -> Self {
        let real = |rate: f64| (rate.is_finite() && rate > 0.0).then_some(rate);
        Pace { prefill: real(prefill_per_second), decode: real(tokens_per_second) }
    }

    /// From the start to the moment the prompt is read.
    pub(super) fn prefill(&self, prompt: u64) -> Duration {
        self.prefill.map_or(Duration::ZERO, |rate| seconds(prompt as f64 / rate))
    }

    /// From the start to the moment `count` tokens are made.
    pub(super) fn decoded(&self, prompt: u64, count: u64) -> Duration {
        self.prefill(prompt) + self.decode.map_or(Duration::ZERO, |rate| seconds(count as f64 / rate))
    }

    /// Waits until `after` has passed since `begin`. At no distance it costs no timer.
    pub(super) async fn wait(begin: Instant, after: Duration) {
        if !after.is_zero() {
            tokio::time::sleep_until(begin + after).await;
        }
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST).min(LONGEST)
}

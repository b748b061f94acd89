//! How busy a backend is: coarse where it was gossiped, exact where it is one's own.

use serde::{Deserialize, Serialize};

/// The load of one backend at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Load {
    /// Requests it has now, from every entry.
    pub in_flight: u32,
    /// Requests waiting for it.
    pub queued: u32,
    /// How many it may have at once; `None` = not limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Moving average of probes and of times to first byte, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u32>,
    /// Moving average of the time to first byte, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<u32>,
    /// Moving average of how long a request has a slot, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_ms: Option<u32>,
    /// Moving average of decode speed over whole streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<f32>,
    /// Requests it has answered or failed since its peer started.
    pub total: u64,
}

impl Load {
    /// What is assumed of a backend that nobody has used yet.
    const UNKNOWN_SERVICE_MS: u32 = 5_000;

    /// How long one more request would wait for a slot: as long as those before it take, at the pace of late.
    pub fn expected_wait(&self) -> std::time::Duration {
        let Some(slots) = self.concurrency.filter(|_| self.is_full()) else { return std::time::Duration::ZERO };
        let service = u64::from(self.service_ms.unwrap_or(Self::UNKNOWN_SERVICE_MS));
        let before = u64::from(self.queued) + 1;
        std::time::Duration::from_millis(before.saturating_mul(service) / u64::from(slots.max(1)))
    }

    /// Whether every slot is taken.
    pub fn is_full(&self) -> bool {
        self.concurrency.is_some_and(|slots| self.in_flight >= slots)
    }
}

//! How busy a backend is: coarse where it was gossiped, exact where it is one's own.

use serde::{Deserialize, Serialize};

/// The load of one backend at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Load {
    /// Requests it has now, from every entry.
    pub in_flight: u32,
    /// Requests it has from others than its peer, working and waiting, as far as it tells.
    pub foreign: u32,
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
        // Where others wait inside the server, they stand before whoever comes now.
        let inside = u64::from(self.at_work().saturating_sub(slots));
        let before = u64::from(self.queued) + inside + 1;
        std::time::Duration::from_millis(before.saturating_mul(service) / u64::from(slots.max(1)))
    }

    /// Whether every slot is taken.
    pub fn is_full(&self) -> bool {
        self.concurrency.is_some_and(|slots| self.at_work() >= slots)
    }

    /// How many requests it has, whoever sent them.
    pub fn at_work(&self) -> u32 {
        self.in_flight.saturating_add(self.foreign)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn others_work_fills_slots_and_stands_in_line() {
        let second = |in_flight, foreign, queued| {
            let load = Load { in_flight, foreign, queued, service_ms: Some(1_000), ..Load::default() };
            Load { concurrency: Some(2), ..load }
        };
        for (load, full, seconds) in [
            (second(1, 0, 0), false, 0.0),
            (second(2, 0, 0), true, 0.5),
            (second(2, 0, 1), true, 1.0),
            (second(1, 1, 0), true, 0.5),
            (second(0, 2, 0), true, 0.5),
            (second(0, 4, 0), true, 1.5),
            (second(u32::MAX, u32::MAX, 0), true, (f64::from(u32::MAX) - 1.0) / 2.0),
        ] {
            assert_eq!((load.is_full(), load.expected_wait()), (full, Duration::from_secs_f64(seconds)), "{load:?}");
        }
        let unlimited = Load { foreign: 100, ..Load::default() };
        assert_eq!((unlimited.is_full(), unlimited.expected_wait()), (false, Duration::ZERO));
    }

    #[test]
    fn a_peer_that_says_nothing_of_others_is_understood() {
        let load: Load = serde_json::from_str(r#"{"in_flight":1}"#).expect("an earlier version");
        assert_eq!((load.in_flight, load.foreign), (1, 0));
    }
}

//! Wall time: for stamps, certificates and budget periods. Waiting and measuring use `tokio::time`, which a simulation
//! runs by itself.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Wall time.
pub trait Clock: Send + Sync + 'static {
    /// Time since 1970-01-01T00:00:00Z; zero for a clock set before that.
    fn since_epoch(&self) -> Duration;

    /// Whole seconds of it.
    fn unix_seconds(&self) -> u64 {
        self.since_epoch().as_secs()
    }

    /// Whole milliseconds of it.
    fn unix_millis(&self) -> u64 {
        u64::try_from(self.since_epoch().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The clock of the machine.
#[derive(Debug)]
pub struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    fn since_epoch(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

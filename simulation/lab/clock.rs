//! The clock that the product reads, moved along with the virtual time of the laboratory.

use std::cell::Cell;
use std::time::Duration;

use tokio::runtime::{EnterGuard, Runtime};
use tokio::time::Instant;

use super::setting::Micros;

/// A paused clock.
pub(super) struct Clock {
    runtime: Runtime,
    start: Instant,
    now: Cell<Micros>,
}

impl Clock {
    /// At the beginning.
    pub(super) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime without sockets can always be had");
        let start = {
            let _entered = runtime.enter();
            Instant::now()
        };
        Clock { runtime, start, now: Cell::new(0) }
    }

    /// For as long as this is held, the product sees this clock.
    pub(super) fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    /// It is `now`.
    pub(super) fn reach(&self, now: Micros) {
        let before = self.now.replace(now);
        if now > before {
            self.runtime.block_on(tokio::time::advance(Duration::from_micros(now - before)));
        }
    }

    /// When that is, as the product tells time.
    pub(super) fn instant(&self, at: Micros) -> Instant {
        self.start + Duration::from_micros(at)
    }
}

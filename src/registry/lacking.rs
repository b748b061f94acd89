//! Which endpoints a backend turned out not to have. Forgotten when it was away: it may have come back as a newer one.

use std::sync::atomic::{AtomicU32, Ordering};

use super::entry::Entry;
use crate::exchange;

/// One bit for each endpoint.
#[derive(Debug, Default)]
pub(super) struct Lacking(AtomicU32);

impl Lacking {
    pub(super) fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl Entry {
    /// Whether it turned out to have no `endpoint`.
    pub fn lacks(&self, endpoint: exchange::Endpoint) -> bool {
        self.lacking.0.load(Ordering::Relaxed) & bit(endpoint) != 0
    }

    /// It has no `endpoint`.
    pub fn has_no(&self, endpoint: exchange::Endpoint) {
        self.lacking.0.fetch_or(bit(endpoint), Ordering::Relaxed);
    }
}

fn bit(endpoint: exchange::Endpoint) -> u32 {
    1 << endpoint as u32
}

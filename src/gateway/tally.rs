//! What a translated answer says was used. The client may never see it, so it is kept beside the answer.

use std::sync::{Arc, Mutex, PoisonError};

use crate::dialect::Usage;

/// Filled in when the answer has been read.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally(Arc<Mutex<Option<Usage>>>);

impl Tally {
    /// What is known already.
    pub(super) fn of(usage: Option<Usage>) -> Self {
        Tally(Arc::new(Mutex::new(usage)))
    }

    pub(super) fn set(&self, usage: Option<Usage>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = usage;
    }

    pub(super) fn get(&self) -> Option<Usage> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

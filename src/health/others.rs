//! Between two checks of a backend: how busy it is with others' work. Its server is asked right after a check that has
//! passed, then every two seconds for as long as anybody has anything there. One that was found idle is left alone until
//! we have something there ourselves, and one that does not tell is not asked at all.

use std::sync::Arc;
use std::time::Duration;

use super::Config;
use crate::backend::{self, Memory};
use crate::env::Env;
use crate::registry::Entry;

/// How often a server is asked that somebody uses.
const ASKED_EVERY: Duration = Duration::from_secs(2);

/// Who watches the work of others on one backend.
pub(super) struct Others<'a> {
    pub(super) config: &'a Config,
    pub(super) entry: &'a Arc<Entry>,
    pub(super) env: &'a Env,
    pub(super) memory: &'a mut Memory,
}

impl Others<'_> {
    /// Does not end: it is for the next check to end it. A question that has no answer is not repeated until then.
    pub(super) async fn watch(&mut self) {
        loop {
            // To some servers the question is work: they would never go to sleep for it.
            while self.memory.found_idle && !self.entry.is_at_work() {
                tokio::time::sleep(ASKED_EVERY).await;
            }
            if !self.ask().await {
                break;
            }
            tokio::time::sleep(ASKED_EVERY).await;
        }
        std::future::pending().await
    }

    /// What it said before is not true any more.
    pub(super) fn forget(&self) {
        self.entry.told_at_work(self.entry.glance(), None);
    }

    /// Whether it said anything.
    async fn ask(&mut self) -> bool {
        let before = self.entry.glance();
        // The next check must find the answer here, or that there is none.
        let patience = self.config.timeout().min(self.config.interval() / 2);
        let busy = backend::busy(self.env.http.as_ref(), &self.entry.spec, patience, self.memory).await;
        self.memory.found_idle = busy.is_some_and(|busy| busy.total() == 0);
        self.entry.told_at_work(before, busy.map(backend::Busy::total));
        busy.is_some()
    }
}

#[cfg(test)]
mod tests;

//! What a scenario has to tell besides its claims: times, figures, and how many requests there were.

use std::time::Duration;

use super::{Cluster, lock};
use crate::client::Answer;
use crate::trace;

impl Cluster {
    /// Notes a time worth telling.
    pub(crate) fn measured(&self, what: &str, took: Duration) {
        trace::event(format_args!("{what} after {took:?}"));
        lock(&self.0.measured).push((what.to_owned(), took));
    }

    /// Every time that was noted.
    pub(crate) fn measures(&self) -> Vec<(String, Duration)> {
        lock(&self.0.measured).clone()
    }

    /// Notes a figure of this run, for a table over all seeds. What is no number is left out.
    pub(crate) fn figure(&self, what: &str, value: f64) {
        if value.is_finite() {
            trace::event(format_args!("{what}: {value:.3}"));
            lock(&self.0.figures).push((what.to_owned(), value));
        }
    }

    /// Every figure that was noted.
    pub(crate) fn figures(&self) -> Vec<(String, f64)> {
        lock(&self.0.figures).clone()
    }

    /// How many requests were asked, and how many got a whole answer.
    pub(crate) fn tally(&self) -> (usize, usize) {
        let answers = lock(&self.0.answers);
        (answers.len(), answers.iter().filter(|answer: &&Answer| answer.is_whole()).count())
    }

    /// Requests that owners have refused, over all peers that are up.
    pub(crate) fn refusals(&self) -> u64 {
        self.sights().iter().map(|(_, sight)| sight.refused).sum()
    }
}

//! Those who follow one scope, and what they are told together: many messages are handed over at once, since each time costs as
//! much as what is told.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use tokio::sync::broadcast;

/// Messages that are handed over together at most.
pub(super) const TOGETHER: usize = 64;

/// Times that messages were handed over which a client may be behind before it is told everything anew.
pub(super) const MOST_BEHIND: usize = 64;

/// Ends of requests that are told to who has fallen behind, as far as it was not told of them: so many at least.
pub(super) const MOST_ENDS: usize = 256;

/// What is told, in a few messages.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) texts: Arc<[Utf8Bytes]>,
    /// Counts up with every end of a request that is told: that of the last one; `None` where they tell something else.
    pub(super) end: Option<u64>,
}

/// Those who follow one scope.
pub(super) struct Circle {
    live: broadcast::Sender<Told>,
    /// How everything stood at the last look, as it is told: made once for all who come before the next.
    pub(super) now: Option<Arc<[Utf8Bytes]>>,
    /// The last ends that were told, for those who fall behind.
    ends: VecDeque<Told>,
    /// How many that are.
    kept: usize,
    /// Ends that are about to be told.
    next: Vec<Utf8Bytes>,
}

impl Circle {
    pub(super) fn new() -> Self {
        let live = broadcast::Sender::new(MOST_BEHIND);
        Circle { live, now: None, ends: VecDeque::new(), kept: 0, next: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.live.receiver_count() == 0
    }

    /// The end of a request: the `nth` that is told. It goes with the next ones, or with [`Circle::tell_ends`].
    pub(super) fn tell_end(&mut self, text: String, nth: u64) {
        self.next.push(text.into());
        if self.next.len() == TOGETHER {
            self.tell_ends(nth);
        }
    }

    /// The ends that are still to be told. The last of them is the `nth`.
    pub(super) fn tell_ends(&mut self, nth: u64) {
        if self.next.is_empty() {
            return;
        }
        let told = Told { texts: self.next.drain(..).collect(), end: Some(nth) };
        self.kept += told.texts.len();
        self.ends.push_back(told.clone());
        while let Some(oldest) = self.ends.front()
            && self.kept - oldest.texts.len() >= MOST_ENDS
        {
            self.kept -= oldest.texts.len();
            self.ends.pop_front();
        }
        let _ = self.live.send(told);
    }

    /// The ends that were told after the one that was the `since`th, as far as they are kept.
    pub(super) fn ends_since(&self, since: u64) -> Vec<Told> {
        self.ends.iter().filter(|told| told.end > Some(since)).cloned().collect()
    }

    /// Everything that is told from now on.
    pub(super) fn follow(&self) -> broadcast::Receiver<Told> {
        self.live.subscribe()
    }

    pub(super) fn tell_changes(&self, messages: Vec<String>) {
        let mut messages = messages.into_iter().map(Utf8Bytes::from).peekable();
        while messages.peek().is_some() {
            let texts = messages.by_ref().take(TOGETHER).collect();
            let _ = self.live.send(Told { texts, end: None });
        }
    }

    /// Keeps nothing of what was told.
    pub(super) fn forget(&mut self) {
        self.now = None;
        self.ends.clear();
        self.kept = 0;
    }
}

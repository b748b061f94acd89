//! Those who follow one scope, and what they are told together: many messages are handed over at once, since each time costs as
//! much as what is told.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use tokio::sync::broadcast;

/// What is handed over together at most: so many messages, and so many bytes and one message more.
pub(super) const TOGETHER: usize = 64;
const BYTES_TOGETHER: usize = 64 << 10;

/// Times that messages were handed over which a client may be behind before it is told everything anew.
pub(super) const MOST_BEHIND: usize = 64;

/// Ends of requests that are told to who has fallen behind, as far as it was not told of them: so many at least.
pub(super) const MOST_ENDS: usize = 1_024;

/// What is told, in a few messages.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) texts: Arc<[Utf8Bytes]>,
    /// Counts up with every end of a request that is told: that of the last one; `None` where they tell something else.
    pub(super) end: Option<u64>,
}

/// Messages that are about to be told, one behind the other.
#[derive(Default)]
struct Next {
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
    /// How long the last ones were together: these will be alike.
    usual: usize,
}

impl Next {
    /// Adds the one that `write` appends. Says whether they are enough.
    fn push(&mut self, write: impl FnOnce(&mut String)) -> bool {
        if self.ends.is_empty() {
            self.text.reserve(self.usual);
        }
        write(&mut self.text);
        self.ends.push(self.text.len());
        self.ends.len() >= TOGETHER || self.text.len() >= BYTES_TOGETHER
    }

    fn take(&mut self, end: Option<u64>) -> Option<Told> {
        if self.ends.is_empty() {
            return None;
        }
        self.usual = self.text.len() + self.text.len() / 8;
        if self.text.capacity() > 2 * self.text.len() {
            // These are kept, and all their room with them.
            self.text.shrink_to_fit();
        }
        let all = Bytes::from(std::mem::take(&mut self.text));
        let mut begin = 0;
        // Each begins and ends as text does.
        let text = |end| Utf8Bytes::try_from(all.slice(std::mem::replace(&mut begin, end)..end)).unwrap_or_default();
        Some(Told { texts: self.ends.drain(..).map(text).collect(), end })
    }
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
    next: Next,
}

impl Circle {
    pub(super) fn new() -> Self {
        let live = broadcast::Sender::new(MOST_BEHIND);
        Circle { live, now: None, ends: VecDeque::new(), kept: 0, next: Next::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.live.receiver_count() == 0
    }

    /// Everything that is told from now on. What is about to be told is to be told before: see [`Circle::tell_ends`].
    pub(super) fn follow(&self) -> broadcast::Receiver<Told> {
        self.live.subscribe()
    }

    /// The ends that were told after the one that was the `since`th, as far as they are kept.
    pub(super) fn ends_since(&self, since: u64) -> Vec<Told> {
        self.ends.iter().filter(|told| told.end > Some(since)).cloned().collect()
    }

    /// The end of a request, the `nth`, which `write` appends, is told with the next ones, or with [`Circle::tell_ends`].
    pub(super) fn tell_end(&mut self, nth: u64, write: impl FnOnce(&mut String)) {
        if self.next.push(write) {
            self.tell_ends(nth);
        }
    }

    /// Tells the ends that are still to be told. The last of them is the `nth`, or one before it.
    pub(super) fn tell_ends(&mut self, nth: u64) {
        let Some(told) = self.next.take(Some(nth)) else { return };
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

    pub(super) fn tell_changes(&self, messages: Vec<String>) {
        let mut next = Next::default();
        let tell = |told: Option<Told>| told.map(|told| self.live.send(told));
        for message in messages {
            if next.push(|to| to.push_str(&message)) {
                tell(next.take(None));
            }
        }
        tell(next.take(None));
    }

    /// Keeps nothing of what was told.
    pub(super) fn forget(&mut self) {
        self.now = None;
        self.ends.clear();
        self.kept = 0;
        self.next = Next::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(told: &[Told]) -> Vec<String> {
        told.iter().flat_map(|told| told.texts.iter().map(|text| text.to_string())).collect()
    }

    fn all(live: &mut broadcast::Receiver<Told>) -> Vec<Told> {
        std::iter::from_fn(|| live.try_recv().ok()).collect()
    }

    #[test]
    fn many_changes_come_in_their_order_a_few_at_once() {
        let circle = Circle::new();
        let mut live = circle.follow();
        let changes: Vec<String> = (0..2 * TOGETHER + 1).map(|number| format!("é{number}é")).collect();
        circle.tell_changes(changes.clone());
        circle.tell_changes(Vec::new());
        let told = all(&mut live);
        assert_eq!(told.iter().map(|told| told.texts.len()).collect::<Vec<_>>(), [TOGETHER, TOGETHER, 1]);
        assert_eq!(messages(&told), changes);
    }

    #[test]
    fn long_messages_are_fewer_at_once() {
        let circle = Circle::new();
        let mut live = circle.follow();
        circle.tell_changes(vec!["x".repeat(10 << 10); 20]);
        assert_eq!(all(&mut live).iter().map(|told| told.texts.len()).collect::<Vec<_>>(), [7, 7, 6]);
    }

    /// However they were handed over, one by one or many at once.
    #[test]
    fn the_last_ends_are_kept_and_no_more_than_that() {
        for at_once in [1, 7, TOGETHER] {
            let mut circle = Circle::new();
            let mut live = circle.follow();
            let mut heard = Vec::new();
            let last = 3 * MOST_ENDS as u64;
            for nth in 1..=last {
                circle.tell_end(nth, |to| to.push_str(&nth.to_string()));
                if nth.is_multiple_of(at_once as u64) {
                    circle.tell_ends(nth);
                    heard.extend(messages(&all(&mut live)));
                }
            }
            circle.tell_ends(last);
            heard.extend(messages(&all(&mut live)));
            assert_eq!(heard, (1..=last).map(|nth| nth.to_string()).collect::<Vec<_>>(), "{at_once} at once");
            let kept = messages(&circle.ends_since(0));
            assert!((MOST_ENDS..MOST_ENDS + at_once).contains(&kept.len()), "{} of {at_once} at once", kept.len());
            assert!(heard.ends_with(&kept));
            let known = circle.ends_since(0)[1].end.expect("an end");
            assert!(circle.ends_since(known).iter().all(|told| told.end > Some(known)));
            assert_eq!(circle.ends_since(last).len(), 0);
            circle.forget();
            assert_eq!(circle.ends_since(0).len(), 0);
        }
    }
}

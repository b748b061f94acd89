//! How many attempts of the last hour and of the last day went well: counted in spans of five minutes, so that a day
//! costs a fixed amount of memory. It forgets with the process.

use std::time::Duration;

use tokio::time::Instant;

use crate::gateway::Verdict;

/// The span that is counted together.
const SPAN: Duration = Duration::from_secs(300);

/// Spans of a day, and of an hour.
const DAY: usize = 288;
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const WHOLE_DAY: Duration = Duration::from_secs(24 * 3600);

/// Attempts by the span in which they ended.
pub(super) struct Window {
    began: Instant,
    /// The number of the last span, counted from the beginning.
    last: u64,
    spans: Box<[Ended; DAY]>,
}

/// Attempts that have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) well: u32,
    pub(super) badly: u32,
    /// Those that say nothing of the backend.
    pub(super) neither: u32,
}

impl Ended {
    /// Their number.
    pub(super) fn all(self) -> u32 {
        self.well.saturating_add(self.badly).saturating_add(self.neither)
    }

    /// The part that went well of those that went well or badly; `None` where there was none at all.
    pub(super) fn rate(self) -> Option<f64> {
        let all = f64::from(self.well) + f64::from(self.badly);
        (all > 0.0).then(|| f64::from(self.well) / all)
    }
}

impl Window {
    /// Nothing has ended yet.
    pub(super) fn new(now: Instant) -> Self {
        Window { began: now, last: 0, spans: Box::new([Ended::default(); DAY]) }
    }

    /// An attempt has ended.
    pub(super) fn note(&mut self, now: Instant, verdict: Verdict) {
        let at = self.turn(now);
        let count = match verdict {
            Verdict::Well => &mut self.spans[at].well,
            Verdict::Badly => &mut self.spans[at].badly,
            Verdict::Neither => &mut self.spans[at].neither,
        };
        *count = count.saturating_add(1);
    }

    /// Those of the last `time`, up to a span more or less, and a day at most.
    pub(super) fn last(&mut self, now: Instant, time: Duration) -> Ended {
        self.turn(now);
        let spans = (time.as_secs() / SPAN.as_secs()).min(DAY as u64);
        let mut sum = Ended::default();
        for back in 0..spans.min(self.last + 1) {
            let span = self.spans[index(self.last - back)];
            sum.well = sum.well.saturating_add(span.well);
            sum.badly = sum.badly.saturating_add(span.badly);
            sum.neither = sum.neither.saturating_add(span.neither);
        }
        sum
    }

    /// Goes on to the span of `now`; those on the way are empty.
    fn turn(&mut self, now: Instant) -> usize {
        let current = now.saturating_duration_since(self.began).as_secs() / SPAN.as_secs();
        for passed in (self.last + 1..=current).take(DAY) {
            self.spans[index(passed)] = Ended::default();
        }
        self.last = self.last.max(current);
        index(self.last)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the remainder is small")]
fn index(span: u64) -> usize {
    (span % DAY as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Badly, Neither, Well};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_hour_and_a_day_pass() {
        let start = Instant::now();
        let mut window = Window::new(start);
        assert_eq!(window.last(start, HOUR).rate(), None);
        window.note(start, Badly);
        window.note(start, Well);
        let after = |minutes: u64| start + Duration::from_secs(60 * minutes);
        window.note(after(40), Well);
        window.note(after(40), Neither);
        let both = Ended { well: 2, badly: 1, neither: 1 };
        assert_eq!((window.last(after(40), HOUR), both.all()), (both, 4));
        assert_eq!(window.last(after(61), HOUR), Ended { well: 1, badly: 0, neither: 1 });
        assert_eq!(window.last(after(61), WHOLE_DAY).rate(), Some(2.0 / 3.0));
        assert_eq!(window.last(after(24 * 60 + 1), WHOLE_DAY), Ended { well: 1, badly: 0, neither: 1 });
        window.note(after(10 * 24 * 60), Well);
        assert_eq!(window.last(after(10 * 24 * 60), WHOLE_DAY), Ended { well: 1, badly: 0, neither: 0 });
        assert_eq!(
            window.last(start, HOUR),
            Ended { well: 1, badly: 0, neither: 0 },
            "an earlier moment changes nothing"
        );
    }
}

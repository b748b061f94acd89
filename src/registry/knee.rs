//! How many requests at once an engine is good for, where it does not tell: learned from its streams. More at once is
//! worth it for as long as the sum of their speeds grows; where it grows no more, the rest had better wait where they can
//! still go elsewhere. Pure: it counts streams and knows no clock.
//!
//! A limit is told once there is enough of at least two numbers at once, the larger of which is no better; it falls where
//! a smaller number turns out to be as good. After
//! every [`REST`] streams, a trial: a few more are let through (one, or a quarter where that is more) until there are
//! [`ENOUGH`] streams of them. Where they are worth it, they become the limit, and the next trial follows at once. So a
//! limit that was learned too low grows again. A trial that too little work comes to ends after as many streams.

use std::collections::BTreeMap;

/// What one stream says when it ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Requests in flight, from its first byte to its end, itself among them.
    pub(super) at_once: u32,
    /// Those of them that have had their first byte: the others may wait inside the engine.
    pub(super) flowing: u32,
    /// How fast it came.
    pub(super) tokens_per_second: f32,
}

/// What the streams of one model have said so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Knee {
    levels: BTreeMap<u32, Level>,
    limit: Option<u32>,
    trial: Option<u32>,
    /// Streams since the last trial began or ended.
    since: u32,
    seen: u32,
}

/// Mean of the sums of speeds with so many at once.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    streams: u32,
    sum: f64,
}

/// The largest number that is learned.
const MOST: u32 = 256;

/// Streams until a number at once is known well enough.
const ENOUGH: u32 = 8;

/// Streams between two trials, and the most that one lasts.
const REST: u32 = 64;

/// A mean goes over about so many streams: what was long ago is forgotten slowly.
const WINDOW: u32 = 32;

/// After so many streams everything counts half: what has not been seen for long is not known any more.
const HALF_LIFE: u32 = 512;

/// Faster than anything: no speed.
const FASTEST: f32 = 1e6;

/// Of what so many more would bring if nothing were shared, the part that is growth; and the growth that always is.
const GROWTH: f64 = 0.3;
const PLENTY: f64 = 0.2;

impl Knee {
    /// How many to let through at once; `None` = not known, or more than it has ever had.
    pub(super) fn limit(&self) -> Option<u32> {
        self.trial.or(self.limit)
    }

    /// A stream has ended. What cannot be true is left out of account.
    pub(super) fn push(&mut self, sample: Sample) {
        let Sample { at_once, flowing, tokens_per_second: speed } = sample;
        let is_true =
            speed > 0.0 && speed <= FASTEST && (1..=MOST).contains(&at_once) && (1..=at_once).contains(&flowing);
        if !is_true {
            return;
        }
        self.seen += 1;
        if self.seen == HALF_LIFE {
            self.seen = 0;
            self.levels.values_mut().for_each(|level| level.streams /= 2);
            self.levels.retain(|_, level| level.streams > 0);
        }
        self.levels.entry(at_once).or_default().push(f64::from(flowing) * f64::from(speed));
        self.since = self.since.saturating_add(1);
        match (self.limit, self.trial) {
            (None, _) => self.settle(self.knee()),
            (Some(limit), None) => match self.knee().filter(|knee| *knee < limit) {
                Some(lower) => self.settle(Some(lower)),
                None if self.since >= REST => self.try_more_than(limit),
                None => {}
            },
            (Some(limit), Some(_)) => self.judge(limit),
        }
    }

    fn try_more_than(&mut self, limit: u32) {
        // What is known of larger numbers is old.
        self.levels.retain(|at_once, _| *at_once <= limit);
        self.trial = Some(limit + (limit / 4).max(1));
        self.since = 0;
    }

    /// Whether the trial has come to anything.
    fn judge(&mut self, limit: u32) {
        let base = self.known().filter(|(at_once, _)| *at_once <= limit).last();
        let larger: Vec<(u32, f64)> = self.known().filter(|(at_once, _)| *at_once > limit).collect();
        match base {
            Some(base) if !larger.is_empty() => {
                let better =
                    larger.iter().filter(|larger| is_growth(base, **larger)).map(|(at_once, _)| *at_once).max();
                match better {
                    Some(better) if better < MOST => {
                        self.limit = Some(better);
                        self.try_more_than(better);
                    }
                    Some(_) => self.settle(None),
                    None => self.settle(self.knee().or(Some(limit))),
                }
            }
            _ if self.since >= REST => self.settle(Some(limit)),
            _ => {}
        }
    }

    fn settle(&mut self, limit: Option<u32>) {
        self.limit = limit;
        self.trial = None;
        self.since = 0;
    }

    /// The smallest number at once beyond which nothing larger is better; `None` where the largest is the best so far.
    fn knee(&self) -> Option<u32> {
        let known: Vec<(u32, f64)> = self.known().collect();
        let is_knee = |at: &usize| known[at + 1..].iter().all(|larger| !is_growth(known[*at], *larger));
        let at = (0..known.len()).find(is_knee)?;
        (at + 1 < known.len()).then(|| known[at].0)
    }

    /// Numbers at once and their sums, ascending, of which there are enough streams.
    fn known(&self) -> impl Iterator<Item = (u32, f64)> {
        self.levels.iter().filter(|(_, level)| level.streams >= ENOUGH).map(|(at_once, level)| (*at_once, level.sum))
    }
}

impl Level {
    fn push(&mut self, sum: f64) {
        self.streams = (self.streams + 1).min(WINDOW);
        self.sum += (sum - self.sum) / f64::from(self.streams);
    }
}

/// Whether more at once brings enough more.
fn is_growth((fewer, small): (u32, f64), (more, large): (u32, f64)) -> bool {
    let share = f64::from(more - fewer) / f64::from(fewer);
    large > small * (1.0 + (GROWTH * share).min(PLENTY))
}

#[cfg(test)]
mod tests;

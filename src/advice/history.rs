//! How often each model was asked for, hour by hour, for four weeks: what is kept of requests for advice. Names of models and
//! counts; nothing of clients and nothing of content. Memory and file have a bound whatever comes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Hours since 1970-01-01T00:00:00Z.
pub type Hour = u64;

/// Hours of a day.
pub const HOURS_OF_DAY: usize = 24;

/// Hours that are remembered: four weeks.
const KEPT: usize = 28 * HOURS_OF_DAY;

/// Models that are told apart. Where there are more, the one that was asked for longest ago makes room.
const MOST_MODELS: usize = 64;

/// Bytes of a model's name.
const LONGEST_NAME: usize = 256;

const VERSION: u32 = 1;

/// Requests by model and hour.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// When counting began; `None` as long as nothing was counted.
    since: Option<Hour>,
    models: BTreeMap<Arc<str>, Hours>,
}

/// The hours of one model, as a ring.
#[derive(Clone, Debug, PartialEq)]
struct Hours {
    /// The last one that was counted in.
    last: Hour,
    counts: Box<[u32; KEPT]>,
}

/// As it stands in its file and goes to other peers.
#[derive(Serialize, Deserialize)]
struct Written {
    v: u32,
    since: Option<Hour>,
    models: BTreeMap<Arc<str>, Run>,
}

/// Requests of each hour in turn.
#[derive(Serialize, Deserialize)]
struct Run {
    from: Hour,
    counts: Vec<u32>,
}

/// What cannot be a history.
#[derive(Debug, thiserror::Error)]
pub enum Damaged {
    /// It is no such JSON.
    #[error("not a history: {0}")]
    Json(#[from] serde_json::Error),
    /// It was written by another version.
    #[error("written by another version (v = {0}, this one reads {VERSION})")]
    Version(u32),
}

impl History {
    /// A request for `model` was served in this hour.
    pub fn note(&mut self, model: &str, hour: Hour) {
        self.add(model, hour, 1);
    }

    fn add(&mut self, model: &str, hour: Hour, count: u32) {
        let fits = |(at, letter): (usize, char)| at + letter.len_utf8() <= LONGEST_NAME;
        let end =
            model.char_indices().take_while(|place| fits(*place)).last().map_or(0, |(at, last)| at + last.len_utf8());
        let model = &model[..end];
        if !self.models.contains_key(model) {
            self.make_room(hour);
            self.models.insert(model.into(), Hours::new(hour));
        }
        if let Some(hours) = self.models.get_mut(model) {
            hours.add(hour, count);
            self.since = Some(self.since.map_or(hour, |since| since.min(hour)));
        }
    }

    fn make_room(&mut self, now: Hour) {
        self.models.retain(|_, hours| hours.last + KEPT as Hour > now);
        if self.models.len() >= MOST_MODELS {
            let oldest = self.models.iter().min_by_key(|(_, hours)| hours.last).map(|(name, _)| name.clone());
            oldest.and_then(|name| self.models.remove(&name));
        }
    }

    /// Whether nothing was ever counted.
    pub fn is_empty(&self) -> bool {
        self.since.is_none()
    }

    /// When counting began.
    pub fn since(&self) -> Option<Hour> {
        self.since
    }

    /// The models, in order.
    pub fn models(&self) -> impl Iterator<Item = &Arc<str>> {
        self.models.keys()
    }

    /// Whole days before `now` of which is known what was asked for, four weeks at most.
    pub fn days(&self, now: Hour) -> usize {
        let hours = self.since.map_or(0, |since| now.saturating_sub(since));
        usize::try_from(hours).unwrap_or(KEPT).min(KEPT) / HOURS_OF_DAY
    }

    /// Requests for `model` in each hour of the last `days` days before `now`, oldest first. The hour that is not over yet is left
    /// out.
    pub fn hours(&self, model: &str, now: Hour, days: usize) -> Vec<u32> {
        let length = (days * HOURS_OF_DAY).min(KEPT) as Hour;
        let hours = self.models.get(model);
        (now.saturating_sub(length)..now).map(|hour| hours.map_or(0, |hours| hours.at(hour))).collect()
    }

    /// Adds what another peer has counted: requests are counted where they enter, so none is there twice.
    pub fn merge(&mut self, other: &History) {
        for (name, theirs) in &other.models {
            let first = theirs.last.saturating_sub(KEPT as Hour - 1);
            for hour in first..=theirs.last {
                match theirs.at(hour) {
                    0 => {}
                    count => self.add(name, hour, count),
                }
            }
        }
        self.since = [self.since, other.since].into_iter().flatten().min();
    }

    /// As JSON. With `most` bytes, the models that were asked for longest ago are left out until it fits.
    pub fn write(&self, most: Option<usize>) -> String {
        let mut models: Vec<(&Arc<str>, &Hours)> = self.models.iter().collect();
        models.sort_by_key(|(name, hours)| (std::cmp::Reverse(hours.last), (*name).clone()));
        loop {
            let runs = models.iter().map(|(name, hours)| ((*name).clone(), hours.run())).collect();
            let written = Written { v: VERSION, since: self.since, models: runs };
            let text = serde_json::to_string(&written).unwrap_or_default();
            if most.is_none_or(|most| text.len() <= most) || models.pop().is_none() {
                return text;
            }
        }
    }

    /// Reads what [`History::write`] wrote. Hours after `now` are not believed.
    ///
    /// # Errors
    /// It is none.
    pub fn read(text: &[u8], now: Hour) -> Result<Self, Damaged> {
        let written: Written = serde_json::from_slice(text)?;
        if written.v != VERSION {
            return Err(Damaged::Version(written.v));
        }
        let mut history = History::default();
        for (name, run) in written.models.into_iter().take(MOST_MODELS) {
            for (hour, count) in (run.from..=now).zip(run.counts.into_iter().take(KEPT)) {
                if count > 0 {
                    history.add(&name, hour, count);
                }
            }
        }
        history.since = written.since.filter(|since| *since <= now).or(history.since);
        Ok(history)
    }
}

impl Hours {
    fn new(hour: Hour) -> Self {
        Hours { last: hour, counts: Box::new([0; KEPT]) }
    }

    fn add(&mut self, hour: Hour, count: u32) {
        if hour > self.last {
            // What was counted a whole ring ago is not of these hours.
            let passed = (hour - self.last).min(KEPT as Hour);
            (hour + 1 - passed..=hour).for_each(|hour| self.counts[slot(hour)] = 0);
            self.last = hour;
        }
        if self.last - hour < KEPT as Hour {
            let counted = &mut self.counts[slot(hour)];
            *counted = counted.saturating_add(count);
        }
    }

    fn at(&self, hour: Hour) -> u32 {
        let is_kept = hour <= self.last && self.last - hour < KEPT as Hour;
        if is_kept { self.counts[slot(hour)] } else { 0 }
    }

    fn run(&self) -> Run {
        let first = self.last.saturating_sub(KEPT as Hour - 1);
        let from = (first..=self.last).find(|hour| self.at(*hour) > 0).unwrap_or(self.last);
        Run { from, counts: (from..=self.last).map(|hour| self.at(hour)).collect() }
    }
}

fn slot(hour: Hour) -> usize {
    usize::try_from(hour % KEPT as Hour).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Hour = 500_000;

    #[test]
    fn an_hour_is_counted_and_forgotten_after_four_weeks() {
        let mut history = History::default();
        assert!(history.is_empty() && history.days(NOW) == 0);
        history.note("m", NOW);
        history.note("m", NOW);
        history.note("m", NOW + 3);
        assert_eq!(history.hours("m", NOW + 24, 1)[..4], [2, 0, 0, 1]);
        assert_eq!(history.hours("m", NOW + 4, 1)[20..], [2, 0, 0, 1], "the present hour is not over");
        assert_eq!((history.days(NOW + 23), history.days(NOW + 24), history.days(NOW + 99_999)), (0, 1, 28));
        history.note("m", NOW + KEPT as Hour);
        assert_eq!(history.hours("m", NOW + KEPT as Hour + 1, 28)[..3], [0, 0, 1]);
        history.note("m", NOW);
        assert_eq!(history.hours("m", NOW + KEPT as Hour + 1, 28).iter().sum::<u32>(), 2, "too long ago");
    }

    #[test]
    fn what_was_written_is_read_again_and_bounded() {
        let mut history = History::default();
        for number in 0..100_u64 {
            history.note(&format!("{number} {}", "é".repeat(200)), NOW + number);
        }
        assert_eq!(history.models().count(), MOST_MODELS);
        assert!(history.models().all(|name| name.len() <= LONGEST_NAME));
        let text = history.write(None);
        assert_eq!(History::read(text.as_bytes(), NOW + 200).expect("its own"), history);
        let short = history.write(Some(4_000));
        let kept = History::read(short.as_bytes(), NOW + 200).expect("its own");
        assert!(short.len() <= 4_000 && kept.models().count() > 3, "{}", kept.models().count());
    }

    #[test]
    fn what_is_no_history_is_refused_and_the_future_not_believed() {
        for text in ["", "[]", "{}", r#"{"v":1,"since":0,"models":{"m":{"from":-1,"counts":[]}}}"#] {
            assert!(matches!(History::read(text.as_bytes(), NOW), Err(Damaged::Json(_))), "{text}");
        }
        assert!(matches!(History::read(br#"{"v":2,"since":0,"models":{}}"#, NOW), Err(Damaged::Version(2))));
        let future = format!(r#"{{"v":1,"since":{},"models":{{"m":{{"from":{NOW},"counts":[1,2,3]}}}}}}"#, u64::MAX);
        let read = History::read(future.as_bytes(), NOW + 1).expect("a history");
        assert_eq!((read.since(), read.hours("m", NOW + 24, 1)[..3].to_vec()), (Some(NOW), vec![1, 2, 0]));
    }

    #[test]
    fn peers_counts_add_up() {
        let (mut one, mut other) = (History::default(), History::default());
        one.note("m", NOW);
        other.note("m", NOW);
        other.note("n", NOW - 30);
        one.merge(&other);
        assert_eq!((one.since(), one.hours("m", NOW + 1, 1)[23]), (Some(NOW - 30), 2));
        assert_eq!(one.models().count(), 2);
    }
}

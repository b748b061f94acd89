//! From what a history shows to what somebody might do about it. The same history and the same backends give the same advice with
//! the same ids, at whichever peer it is asked for.

use std::sync::Arc;

use super::Config;
use super::history::{HOURS_OF_DAY, History, Hour};
use super::pattern::Pattern;
use crate::fleet::Residency;

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// What was asked for, in the whole mesh as far as is known.
    pub history: &'a History,
    /// The hour that is not over yet.
    pub now: Hour,
    /// The backends of the mesh.
    pub places: &'a [Place],
}

/// A backend, as far as advice needs to know it.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Its peer.
    pub peer: Arc<str>,
    /// Its name there.
    pub backend: String,
    /// Whether models can be loaded and unloaded there by order, and it is well.
    pub can_load: bool,
    /// Whether it can fetch models that it does not have.
    pub can_fetch: bool,
    /// Lower wins.
    pub priority: u32,
    /// Requests that it has now.
    pub in_flight: u32,
    /// What it has.
    pub models: Vec<Held>,
}

/// A model at a backend.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// Its name there.
    pub id: String,
    /// Whether it is in memory.
    pub residency: Residency,
    /// Milliseconds that loading it takes, where that was seen.
    pub cold_ms: Option<u32>,
    /// Bytes of its weights; 0 = nobody said.
    pub bytes: u64,
}

/// What might be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Load it before the hour comes.
    KeepWarm,
    /// Load it at one more backend that has it.
    LoadAlso,
    /// Fetch it to one more backend.
    Place,
}

impl Step {
    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Step::KeepWarm => "keep_warm",
            Step::LoadAlso => "load_also",
            Step::Place => "place",
        }
    }
}

/// A piece of advice.
#[derive(Clone, Debug, PartialEq)]
pub struct Recommendation {
    /// The same for the same advice.
    pub id: String,
    /// What to do.
    pub step: Step,
    /// With which model.
    pub model: Arc<str>,
    /// Peer and name of the backend.
    pub target: (Arc<str>, String),
    /// The hour of the day (UTC) before which it should be done.
    pub hour: Option<usize>,
    /// How sure it is, from 0 to 1: half by how plain the pattern is, a quarter each by how many requests and days it is seen in.
    pub confidence: f64,
    /// What it would bring.
    pub gain: Gain,
    /// Why, for people.
    pub reasoning: String,
    /// Bytes of its weights, where somebody said.
    pub bytes: Option<u64>,
}

/// What a piece of advice would bring.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gain {
    /// Seconds a day that somebody need not wait for the model to load; `None` where no load of it was seen.
    pub seconds_per_day: Option<f64>,
    /// Requests a day that it is about.
    pub requests_per_day: f64,
}

/// What the history of the mesh suggests, the surest first.
pub fn advise(sight: Sight<'_>, config: &Config) -> Vec<Recommendation> {
    let days = sight.history.days(sight.now);
    if !config.enabled || days == 0 || (days as u64) < u64::from(config.min_sample_days) {
        return Vec::new();
    }
    let mut found: Vec<Recommendation> =
        sight.history.models().flat_map(|model| about(model, days, sight, config)).collect();
    found.sort_by(|a, b| {
        b.confidence.total_cmp(&a.confidence).then_with(|| (&a.model, a.step).cmp(&(&b.model, b.step)))
    });
    found.truncate(config.max_recommendations as usize);
    found
}

fn about(model: &Arc<str>, days: usize, sight: Sight<'_>, config: &Config) -> Vec<Recommendation> {
    let hours = sight.history.hours(model, sight.now, days);
    let requests: u64 = hours.iter().map(|count| u64::from(*count)).sum();
    if requests == 0 || requests < u64::from(config.min_request_count) {
        return Vec::new();
    }
    let now = usize::try_from(sight.now % HOURS_OF_DAY as Hour).unwrap_or_default();
    let about = About { model, days, requests, sight, config };
    Pattern::of(&hours, now).into_iter().filter_map(|pattern| about.recommend(&pattern)).collect()
}

/// One model.
struct About<'a> {
    model: &'a Arc<str>,
    days: usize,
    requests: u64,
    sight: Sight<'a>,
    config: &'a Config,
}

impl About<'_> {
    fn recommend(&self, pattern: &Pattern) -> Option<Recommendation> {
        let (step, place) = self.target(pattern)?;
        let held = place.held(self.model);
        let requests_per_day = real(self.requests) / real(self.days as u64);
        let loading = self.loading(held);
        let (hour, gain, why) = match *pattern {
            Pattern::Peak { hour, ratio, days, cold_days } => {
                let cold = real(cold_days as u64) / real(self.days as u64);
                let seconds_per_day = loading.map(|seconds| round(cold * seconds));
                let why = format!(
                    "Asked for at {hour:02}:00 UTC on {days} of {} days, {ratio:.1} times as often as in a mean hour; on \
                     {cold_days} of them nobody had asked in the hour before",
                    self.days
                );
                (Some(hour), seconds_per_day, why)
            }
            Pattern::Rising(growth) => {
                let why =
                    format!("Asked for {:.0} % more in the last seven days than in the seven before", growth * 100.0);
                (None, None, why)
            }
        };
        let loads = loading.map_or_else(
            || "how long loading takes was not seen yet".to_owned(),
            |seconds| format!("loading takes about {seconds:.0} s"),
        );
        let bytes = self.sight.places.iter().filter_map(|place| place.held(self.model)).map(|held| held.bytes).max();
        Some(Recommendation {
            id: id(step, self.model, place, hour),
            step,
            model: self.model.clone(),
            target: (place.peer.clone(), place.backend.clone()),
            hour,
            confidence: self.confidence(pattern),
            gain: Gain { seconds_per_day: gain, requests_per_day: round(requests_per_day) },
            reasoning: format!("{why}; {loads}."),
            bytes: bytes.filter(|bytes| *bytes > 0),
        })
    }

    /// Where it should be, if anywhere: nothing is worth doing where it is always in memory.
    fn target(&self, pattern: &Pattern) -> Option<(Step, &Place)> {
        let places = || self.sight.places.iter().filter(|place| place.can_load);
        let has = |place: &&Place| place.held(self.model).is_some();
        let is_cold = |place: &&Place| {
            place
                .held(self.model)
                .is_some_and(|held| held.residency.is_loaded() == Some(false) || held.cold_ms.is_some())
        };
        let is_unloaded =
            |place: &&Place| place.held(self.model).is_some_and(|held| held.residency.is_loaded() == Some(false));
        match pattern {
            Pattern::Peak { .. } => {
                Some((Step::KeepWarm, places().filter(is_cold).min_by_key(|place| self.rank(place))?))
            }
            Pattern::Rising(_) => match places().filter(is_unloaded).min_by_key(|place| self.rank(place)) {
                // Where it is in memory nowhere, one is as good as the next: there is nothing to relieve.
                Some(also) if places().any(|place| has(&place) && !is_unloaded(&place)) => Some((Step::LoadAlso, also)),
                Some(_) => None,
                None if places().any(|place| has(&place)) => {
                    let free = places().filter(|place| place.can_fetch && place.held(self.model).is_none());
                    free.min_by_key(|place| self.rank(place)).map(|place| (Step::Place, place))
                }
                None => None,
            },
        }
    }

    /// Who is asked first: where it loads fastest, then whoever is preferred, then whoever has least to do.
    fn rank<'p>(&self, place: &'p Place) -> (u32, u32, u32, &'p str, &'p str) {
        let cold = place.held(self.model).and_then(|held| held.cold_ms).unwrap_or(u32::MAX);
        (cold, place.priority, place.in_flight, &place.peer, &place.backend)
    }

    /// Seconds that loading takes there, or where it was seen.
    fn loading(&self, held: Option<&Held>) -> Option<f64> {
        let seen = self.sight.places.iter().filter_map(|place| place.held(self.model)?.cold_ms).min();
        held.and_then(|held| held.cold_ms).or(seen).map(|milliseconds| f64::from(milliseconds) / 1000.0)
    }

    fn confidence(&self, pattern: &Pattern) -> f64 {
        let samples = real(self.requests) / (10.0 * f64::from(self.config.min_request_count.max(1)));
        let days = real(self.days as u64) / (2.0 * f64::from(self.config.min_sample_days.max(1)));
        round(0.5 * pattern.strength(self.days) + 0.25 * samples.min(1.0) + 0.25 * days.min(1.0))
    }
}

impl Place {
    fn held(&self, model: &str) -> Option<&Held> {
        self.models.iter().find(|held| held.id == model)
    }
}

fn id(step: Step, model: &str, place: &Place, hour: Option<usize>) -> String {
    let text = format!("{}\n{model}\n{}\n{}\n{hour:?}", step.as_str(), place.peer, place.backend);
    format!("rec-{}", &blake3::hash(text.as_bytes()).to_hex()[..12])
}

/// Two decimals are all that is known.
fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests and days")]
fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Hour = 20_000 * 24 + 15;

    fn place(peer: &str, models: &[(&str, Residency, Option<u32>)]) -> Place {
        let held = |(id, residency, cold_ms): &(&str, Residency, Option<u32>)| Held {
            id: (*id).to_owned(),
            residency: *residency,
            cold_ms: *cold_ms,
            bytes: 5_000_000_000,
        };
        Place {
            peer: peer.into(),
            backend: "gpu".to_owned(),
            can_load: true,
            can_fetch: true,
            priority: 50,
            in_flight: 0,
            models: models.iter().map(held).collect(),
        }
    }

    /// So many days that begin at nine.
    fn mornings(days: Hour, requests: u32) -> History {
        let mut history = History::default();
        for day in 0..days {
            let nine = TODAY - 6 - 24 * day;
            for hour in [nine, nine + 1] {
                (0..requests).for_each(|_| history.note("m", hour));
            }
        }
        // The day before the first is known to have been quiet.
        history.note("other", TODAY - 24 * days);
        history
    }

    fn on() -> Config {
        Config { enabled: true, ..Config::default() }
    }

    #[test]
    fn two_weeks_of_mornings_are_a_reason_to_load_before_nine() {
        let history = mornings(14, 10);
        let places = [
            place("desk", &[("m", Residency::Unloaded, Some(12_000))]),
            place("attic", &[("m", Residency::Loaded, Some(30_000))]),
        ];
        let sight = Sight { history: &history, now: TODAY, places: &places };
        let [advice] = &advise(sight, &on())[..] else { panic!("one piece of advice") };
        assert_eq!((advice.step, &*advice.model, advice.hour), (Step::KeepWarm, "m", Some(9)));
        assert_eq!(advice.target, ("desk".into(), "gpu".to_owned()));
        assert!(advice.confidence >= 0.5 && advice.confidence <= 1.0, "{advice:?}");
        assert_eq!(advice.gain, Gain { seconds_per_day: Some(12.0), requests_per_day: 20.0 });
        assert_eq!(advice.bytes, Some(5_000_000_000));
        assert_eq!(
            advice.reasoning,
            "Asked for at 09:00 UTC on 14 of 14 days, 12.0 times as often as in a mean hour; on 14 of them nobody had asked \
             in the hour before; loading takes about 12 s."
        );
        assert_eq!(advise(sight, &on())[0].id, advice.id, "the same advice has the same id");
    }

    #[test]
    fn below_the_minima_nothing_is_said() {
        let places = [place("desk", &[("m", Residency::Unloaded, None)])];
        let of =
            |history: &History, config: &Config| advise(Sight { history, now: TODAY, places: &places }, config).len();
        assert_eq!(of(&mornings(14, 10), &on()), 1);
        assert_eq!(of(&mornings(14, 10), &Config::default()), 0, "off");
        assert_eq!(of(&mornings(6, 100), &on()), 0, "six days");
        assert_eq!(of(&mornings(14, 3), &on()), 0, "84 requests");
        assert_eq!(of(&History::default(), &Config { min_sample_days: 0, ..on() }), 0);
        assert_eq!(of(&mornings(14, 10), &Config { max_recommendations: 0, ..on() }), 0);
    }

    #[test]
    fn what_cannot_be_loaded_or_is_always_there_is_left_alone() {
        let history = mornings(14, 10);
        let of = |place: Place| advise(Sight { history: &history, now: TODAY, places: &[place] }, &on()).len();
        assert_eq!(of(place("desk", &[("m", Residency::Unknown, None)])), 0, "nobody says that it is ever unloaded");
        assert_eq!(of(Place { can_load: false, ..place("desk", &[("m", Residency::Unloaded, None)]) }), 0);
        assert_eq!(of(place("desk", &[("other", Residency::Unloaded, None)])), 0);
    }

    #[test]
    fn growing_demand_asks_for_one_more() {
        let mut history = History::default();
        for back in 0..14 * 24 {
            let count = if back < 7 * 24 { 15 } else { 10 };
            (0..count).for_each(|_| history.note("m", TODAY - 1 - back));
        }
        let step = |places: &[Place]| {
            let found = advise(Sight { history: &history, now: TODAY, places }, &on());
            found.first().map(|advice| (advice.step, advice.target.0.to_string(), advice.hour))
        };
        let busy = place("desk", &[("m", Residency::Loaded, None)]);
        let (free, empty) = (place("attic", &[("m", Residency::Unloaded, None)]), place("bare", &[]));
        let also = |step, peer: &str| Some((step, peer.to_owned(), None));
        assert_eq!(step(&[busy.clone(), empty.clone(), free.clone()]), also(Step::LoadAlso, "attic"));
        assert_eq!(step(&[busy.clone(), empty.clone()]), also(Step::Place, "bare"));
        assert_eq!(step(&[busy, Place { can_fetch: false, ..empty }]), None);
        assert_eq!(step(&[free]), None, "in memory nowhere");
    }
}

//! How long an answer will take at a candidate, as far as it can be guessed: the wait for a slot, the model's way into
//! memory, the part of the prompt that is not held there, and the answer. Guesses are in milliseconds.

use std::time::Duration;

use super::intent::Intent;
use super::silence;
use super::world::Candidate;
use crate::fleet::{Load, Pace, Residency};

/// Tokens of an answer where nobody has counted any.
const ANSWER_TOKENS: f64 = 256.0;

/// Bytes of a token: what is not counted is estimated so.
const BYTES_PER_TOKEN: f64 = 4.0;

/// What is assumed where nobody has measured anything.
const FIRST_MS: f64 = 200.0;
const PREFILL: f64 = 1_000.0;
const DECODE: f64 = 30.0;

/// A model that is read from a disk first.
const COLD_MS: f64 = 10_000.0;

/// On the way to another peer and back.
const HOP_MS: f64 = 1.0;

/// Of a backend that takes any number of requests: with so many more, all take twice as long as one alone.
const BATCH: f64 = 8.0;

/// What an answer will take.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Until it has a slot.
    pub wait: Duration,
    /// From there to its end.
    pub service: Duration,
    /// Tokens of the prompt that need no reading.
    pub held: u64,
    /// After so long with a slot and without the first byte of a stream something is wrong there, if anybody can tell.
    pub stuck_after: Option<Duration>,
}

impl Estimate {
    /// Until the answer is there.
    pub fn total(&self) -> Duration {
        self.wait.saturating_add(self.service)
    }
}

/// What is asked and what is usual, for the candidates of one offer.
pub(super) struct Estimator {
    prompt: f64,
    answer: f64,
    first_ms: f64,
    prefill: f64,
    decode: f64,
}

impl Estimator {
    /// What has not been measured is taken to be as good as the best that was, so that it is tried and then known.
    pub(super) fn new<'c>(intent: &Intent, candidates: impl Iterator<Item = &'c Candidate> + Clone) -> Self {
        let best = |of: fn(&Candidate) -> Option<f64>, better: fn(f64, f64) -> f64| {
            candidates.clone().filter_map(of).reduce(better)
        };
        let answers = candidates.clone().filter_map(|candidate| candidate.pace.answer);
        let (sum, count) = answers.fold((0.0, 0.0), |(sum, count), answer| (sum + f64::from(answer), count + 1.0));
        let usual = if count > 0.0 { sum / count } else { ANSWER_TOKENS };
        let limit = intent.needs.max_tokens.map_or(f64::INFINITY, |most| most as f64);
        let bytes = intent.prompt.map_or(0, |prompt| prompt.bytes).max(intent.needs.prompt_bytes);
        Estimator {
            prompt: bytes as f64 / BYTES_PER_TOKEN,
            answer: if intent.needs.embeddings { 0.0 } else { usual.min(limit) },
            first_ms: best(first_ms, f64::min).unwrap_or(FIRST_MS),
            prefill: best(|candidate| candidate.pace.prefill.map(f64::from), f64::max).unwrap_or(PREFILL),
            decode: best(decode, f64::max).unwrap_or(DECODE),
        }
    }

    /// Tokens of an answer that `candidate` writes in a second.
    pub(super) fn speed(&self, candidate: &Candidate) -> f64 {
        decode(candidate).unwrap_or(self.decode)
    }

    pub(super) fn of(&self, candidate: &Candidate) -> Estimate {
        let Pace { prefill, cold_ms, .. } = candidate.pace;
        let is_cold = matches!(candidate.residency, Residency::Unloaded | Residency::Loading);
        let held = if is_cold { 0.0 } else { (candidate.held as f64 / BYTES_PER_TOKEN).min(self.prompt) };
        let load_ms = cold_ms.map_or(COLD_MS, f64::from);
        let cold = match candidate.residency {
            Residency::Unloaded => load_ms,
            Residency::Loading => load_ms / 2.0,
            Residency::Loaded | Residency::Unknown => 0.0,
        };
        let reading = (self.prompt - held) * 1000.0 / prefill.map_or(self.prefill, f64::from);
        let writing = self.answer * 1000.0 / self.speed(candidate);
        let way = if candidate.place.is_here() { 0.0 } else { HOP_MS };
        let alone = cold + first_ms(candidate).unwrap_or(self.first_ms) + reading + writing;
        let crowding = crowding(candidate);
        let service = alone * crowding + way;
        let service = service.clamp(0.0, MOST_MS);
        // Where nobody has seen how long requests keep a slot, they are taken to be like this one.
        let usual = candidate.load.service_ms.unwrap_or(service as u32);
        Estimate {
            wait: Load { service_ms: Some(usual), ..candidate.load }.expected_wait(),
            service: Duration::from_secs_f64(service / 1000.0),
            held: held as u64,
            stuck_after: Some(silence::stuck_after(candidate, self.prompt, crowding)),
        }
    }
}

/// Longer than anybody waits.
const MOST_MS: f64 = 1e9;

/// Where any number is taken, all share one machine.
fn crowding(candidate: &Candidate) -> f64 {
    let load = &candidate.load;
    if load.concurrency.is_some() { 1.0 } else { 1.0 + f64::from(load.at_work().saturating_add(load.queued)) / BATCH }
}

fn first_ms(candidate: &Candidate) -> Option<f64> {
    candidate.pace.first_ms.map(|ms| f64::from(ms.max(1)))
}

fn decode(candidate: &Candidate) -> Option<f64> {
    let told = candidate.load.tokens_per_second.filter(|speed| speed.is_finite() && *speed > 0.0);
    candidate.pace.decode.or(told).map(f64::from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fleet::{Needs, Zone};
    use crate::route::intent::Prompt;
    use crate::route::testing::candidate;

    fn asked(bytes: u64, max_tokens: Option<u64>) -> Intent {
        let needs = Needs { max_tokens, ..Needs::default() };
        Intent { needs, prompt: Some(Prompt { key: 1, bytes, named: false }), ..Intent::default() }
    }

    fn estimate(intent: &Intent, candidate: &Candidate) -> u128 {
        Estimator::new(intent, std::iter::once(candidate)).of(candidate).total().as_millis()
    }

    fn paced() -> Candidate {
        let pace = Pace {
            first_ms: Some(100),
            prefill: Some(1_000.0),
            decode: Some(50.0),
            answer: Some(100),
            cold_ms: Some(5_000),
        };
        Candidate { pace, ..candidate("b", Zone::Restricted, 1) }
    }

    #[test]
    fn it_is_the_sum_of_its_parts() {
        assert_eq!(estimate(&asked(4_000, None), &paced()), 100 + 1_000 + 2_000);
        assert_eq!(estimate(&asked(4_000, Some(10)), &paced()), 100 + 1_000 + 200, "what the client sets");
        let held = Candidate { held: 3_000, ..paced() };
        assert_eq!(estimate(&asked(4_000, None), &held), 100 + 250 + 2_000);
        let cold = Candidate { residency: Residency::Unloaded, ..held.clone() };
        assert_eq!(estimate(&asked(4_000, None), &cold), 5_000 + 100 + 1_000 + 2_000, "and nothing is held");
        let loading = Candidate { residency: Residency::Loading, ..held };
        assert_eq!(estimate(&asked(4_000, None), &loading), 2_500 + 100 + 1_000 + 2_000);
        let load = Load { in_flight: 2, queued: 1, concurrency: Some(2), service_ms: Some(4_000), ..Load::default() };
        assert_eq!(estimate(&asked(4_000, None), &Candidate { load, ..paced() }), 4_000 + 3_100);
    }

    #[test]
    fn a_crowd_slows_down_only_who_takes_any_number() {
        let load = |concurrency| Load { in_flight: 16, concurrency, ..Load::default() };
        assert_eq!(estimate(&asked(0, None), &Candidate { load: load(None), ..paced() }), 3 * 2_100);
        assert_eq!(estimate(&asked(0, None), &Candidate { load: load(Some(32)), ..paced() }), 2_100);
    }

    #[test]
    fn embeddings_have_no_answer_to_write() {
        let mut intent = asked(4_000, None);
        intent.needs.embeddings = true;
        assert_eq!(estimate(&intent, &paced()), 1_100);
    }

    proptest! {
        #[test]
        fn absurd_figures_give_a_figure(
            bytes in any::<u64>(),
            held in any::<u64>(),
            most in proptest::option::of(any::<u64>()),
            speed in prop_oneof![Just(f32::NAN), Just(0.0), Just(-1.0), Just(f32::MIN_POSITIVE), Just(1e6)],
            counts in any::<(u32, u32, Option<u32>, Option<u32>)>(),
        ) {
            let (in_flight, queued, concurrency, service_ms) = counts;
            let load = Load {
                in_flight, queued, concurrency, service_ms, tokens_per_second: Some(speed), ..Load::default()
            };
            let candidate = Candidate { held, load, ..candidate("b", Zone::Restricted, 1) };
            estimate(&asked(bytes, most), &candidate);
        }
    }
}

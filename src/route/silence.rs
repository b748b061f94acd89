//! How long a first byte may take before something is wrong: several times what it should take, by what was measured of
//! that place. What nobody has measured is taken to be slow, so that nobody is blamed for what nobody knows. Figures are
//! in milliseconds.

use std::time::Duration;

use super::world::Candidate;
use crate::fleet::Residency;

/// Other things happen on a machine: this much may always come between.
const LEAST: f64 = 10_000.0;

/// How many times as long as it should take it may take.
const TIMES: f64 = 5.0;

/// What is assumed where nobody has measured anything: milliseconds to a first token, tokens read in a second, and
/// milliseconds to load a model.
const FIRST: f64 = 2_000.0;
const PREFILL: f64 = 50.0;
const COLD: f64 = 120_000.0;

/// After how long without a first byte `candidate` has to be taken to be stuck, with a prompt of so many tokens, where its
/// answer is a stream: a whole answer may rightly take as long as it likes.
pub(super) fn stuck_after(candidate: &Candidate, prompt: f64, crowding: f64) -> Duration {
    let pace = candidate.pace;
    let cold = match candidate.residency {
        Residency::Loaded => 0.0,
        // Whoever has answered lately and says nothing of memory has the model there.
        Residency::Unknown if pace.first_ms.is_some() || pace.prefill.is_some() => 0.0,
        Residency::Unknown | Residency::Unloaded | Residency::Loading => pace.cold_ms.map_or(COLD, f64::from),
    };
    let first = pace.first_ms.map_or(FIRST, f64::from);
    // What it is believed to hold it may have thrown away.
    let reading = prompt * 1000.0 / pace.prefill.map_or(PREFILL, f64::from);
    let expected = cold + (first + reading) * crowding;
    Duration::try_from_secs_f64((LEAST + TIMES * expected) / 1000.0).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Pace, Zone};
    use crate::route::testing::candidate;

    fn measured(residency: Residency) -> Candidate {
        let pace = Pace { first_ms: Some(100), prefill: Some(1_000.0), cold_ms: Some(6_000), ..Pace::default() };
        Candidate { pace, residency, ..candidate("b", Zone::Restricted, 1) }
    }

    fn seconds(candidate: &Candidate, prompt: f64, crowding: f64) -> f64 {
        stuck_after(candidate, prompt, crowding).as_secs_f64()
    }

    #[test]
    fn it_is_several_times_what_was_measured() {
        let loaded = measured(Residency::Loaded);
        assert_eq!(seconds(&loaded, 0.0, 1.0), 10.5);
        assert_eq!(seconds(&loaded, 10_000.0, 1.0), 60.5, "a long prompt");
        assert_eq!(seconds(&loaded, 10_000.0, 2.0), 111.0, "among others");
        assert_eq!(seconds(&Candidate { held: 40_000, ..loaded }, 10_000.0, 1.0), 60.5, "what is held may be gone");
        assert_eq!(seconds(&measured(Residency::Unloaded), 0.0, 1.0), 40.5, "a cold model");
        assert_eq!(seconds(&measured(Residency::Unknown), 0.0, 1.0), 10.5);
    }

    #[test]
    fn what_nobody_has_measured_is_taken_to_be_slow() {
        let unknown = candidate("b", Zone::Restricted, 1);
        assert_eq!(seconds(&unknown, 0.0, 1.0), 620.0, "it may be loading");
        let loaded = Candidate { residency: Residency::Loaded, ..unknown };
        assert_eq!(seconds(&loaded, 1_000.0, 1.0), 120.0);
    }

    #[test]
    fn absurd_figures_are_no_panic() {
        for speed in [f32::NAN, 0.0, -1.0, f32::MIN_POSITIVE, f32::INFINITY] {
            let pace = Pace { prefill: Some(speed), ..Pace::default() };
            let candidate = Candidate { pace, ..candidate("b", Zone::Restricted, 1) };
            for prompt in [0.0, f64::MAX, f64::NAN] {
                stuck_after(&candidate, prompt, 1.0);
            }
        }
    }
}

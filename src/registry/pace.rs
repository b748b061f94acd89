//! What one answer teaches of the pace of its model. Pure.

use std::time::Duration;

use crate::fleet::Pace;

/// An answer that came to its end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Tokens of the prompt, told or estimated.
    pub prompt: u64,
    /// Those of them that needed no reading.
    pub cached: u64,
    /// Tokens of the answer; 0 for embeddings.
    pub answer: u64,
    /// To the first byte of the answer.
    pub first: Duration,
    /// From there to the last one; none where the answer came in one piece.
    pub rest: Duration,
    /// The model was not in memory when it was asked for.
    pub cold: bool,
}

/// Fewer tokens than these take no time to read that could be told from the rest.
const WORTH_TIMING: u64 = 128;

/// Answers that a moving average goes by.
const WINDOW: u32 = 20;

/// A shorter answer, in tokens, says nothing of how fast it was written.
const WORTH_COUNTING: u64 = 16;

/// At least so much of a time is what it is taken for, whatever else is assumed to be in it.
const LEAST_PART: f32 = 0.1;

/// Takes `sample` into `pace`, which was learned from so many answers `before`.
pub(super) fn learn(pace: &mut Pace, sample: &Sample, before: u32) {
    let window = before.saturating_add(1).min(WINDOW);
    let came_in_one_piece = sample.rest.is_zero() && sample.answer > 0;
    if sample.cold {
        pace.cold_ms = Some(averaged(pace.cold_ms, millis(sample.first), window));
    } else if !came_in_one_piece {
        learn_reading(pace, sample, window);
    }
    if sample.answer >= WORTH_COUNTING && !came_in_one_piece {
        pace.decode = smoothed(pace.decode, (sample.answer - 1) as f32 / sample.rest.as_secs_f32(), window);
    } else if sample.answer >= WORTH_COUNTING && !sample.cold {
        pace.decode = smoothed(pace.decode, sample.answer as f32 / writing_in_one_piece(pace, sample), window);
    }
    if sample.answer > 0 {
        pace.answer = Some(averaged(pace.answer, u32::try_from(sample.answer).unwrap_or(u32::MAX), window));
    }
    *pace = pace.plausible();
}

/// What the time to the first byte says of reading.
fn learn_reading(pace: &mut Pace, sample: &Sample, window: u32) {
    let first = sample.first.as_secs_f32();
    let fresh = sample.prompt.saturating_sub(sample.cached);
    if fresh < WORTH_TIMING {
        pace.first_ms = Some(averaged(pace.first_ms, millis(sample.first), window));
    } else {
        let overhead = pace.first_ms.map_or(0.0, |ms| ms as f32 / 1000.0);
        let reading = (first - overhead).max(first * LEAST_PART);
        pace.prefill = smoothed(pace.prefill, fresh as f32 / reading, window);
    }
}

/// Seconds of an answer in one piece that were writing.
fn writing_in_one_piece(pace: &Pace, sample: &Sample) -> f32 {
    let first = sample.first.as_secs_f32();
    let fresh = sample.prompt.saturating_sub(sample.cached);
    let reading = pace.prefill.map_or(0.0, |speed| fresh as f32 / speed);
    (first - reading).max(first * LEAST_PART)
}

/// The plain average of the first samples, and a moving one from then on. A short window would follow every long answer:
/// lengths of answers differ by far more than speeds do.
fn averaged(old: Option<u32>, sample: u32, window: u32) -> u32 {
    let (sample, window) = (u64::from(sample), u64::from(window));
    let mean = |old: u32| (sample + (window - 1) * u64::from(old) + window / 2) / window;
    u32::try_from(old.map_or(sample, mean)).unwrap_or(u32::MAX)
}

/// The same for speeds. What cannot be changes nothing.
fn smoothed(old: Option<f32>, sample: f32, window: u32) -> Option<f32> {
    let sample = Pace { decode: Some(sample), ..Pace::default() }.plausible().decode;
    let window = window as f32;
    match (old, sample) {
        (Some(old), Some(sample)) => Some((sample + (window - 1.0) * old) / window),
        (old, sample) => sample.or(old),
    }
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn learned(samples: &[Sample]) -> Pace {
        let mut pace = Pace::default();
        samples.iter().zip(0..).for_each(|(sample, before)| learn(&mut pace, sample, before));
        pace
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_stream_tells_reading_from_writing() {
        let short = Sample { prompt: 10, answer: 101, first: ms(50), rest: ms(2_000), ..Sample::default() };
        let long = Sample { prompt: 2_000, cached: 1_000, answer: 101, first: ms(550), rest: ms(2_000), ..short };
        let pace = learned(&[short, long]);
        assert_eq!((pace.first_ms, pace.answer, pace.cold_ms), (Some(50), Some(101), None));
        assert_eq!((pace.prefill.map(f32::round), pace.decode.map(f32::round)), (Some(2_000.0), Some(50.0)));
    }

    #[test]
    fn an_answer_in_one_piece_is_writing_but_for_what_reading_takes() {
        let stream = Sample { prompt: 1_000, answer: 100, first: ms(1_000), rest: ms(990), ..Sample::default() };
        let whole = Sample { prompt: 1_000, answer: 100, first: ms(2_000), rest: ms(0), ..stream };
        let pace = learned(&[stream, whole]);
        assert_eq!((pace.prefill, pace.decode.map(f32::round)), (Some(1_000.0), Some(100.0)));
        assert_eq!(pace.first_ms, None);
    }

    #[test]
    fn embeddings_are_reading_alone() {
        let pace = learned(&[Sample { prompt: 512, first: ms(256), ..Sample::default() }]);
        assert_eq!((pace.prefill.map(f32::round), pace.decode, pace.answer), (Some(2_000.0), None, None));
    }

    #[test]
    fn a_load_is_not_mistaken_for_reading() {
        let cold =
            Sample { prompt: 10, answer: 21, first: ms(9_000), rest: ms(2_000), cold: true, ..Sample::default() };
        let pace = learned(&[cold]);
        assert_eq!((pace.cold_ms, pace.first_ms, pace.decode), (Some(9_000), None, Some(10.0)));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_absurd(
            samples in proptest::collection::vec(
                (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<bool>()), 0..20),
        ) {
            let samples: Vec<Sample> = samples
                .into_iter()
                .map(|(prompt, cached, answer, first, rest, cold)| Sample {
                    prompt, cached, answer, first: Duration::from_micros(first), rest: Duration::from_micros(rest), cold,
                })
                .collect();
            let pace = learned(&samples);
            prop_assert_eq!(pace.plausible(), pace);
        }
    }
}

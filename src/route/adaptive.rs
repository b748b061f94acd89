//! `adaptive`: by the time until the answer is there, as far as it can be guessed from what is known now. It knows
//! nothing yet of prompts that a backend holds warm, nor of what this peer sent out since the news were written.

use rand::seq::SliceRandom;

use super::world::Candidate;
use crate::env::Dice;
use crate::fleet::{Load, Needs};

/// Tokens of answer that are expected where the client sets no lower limit.
const EXPECTED_TOKENS: u64 = 256;

/// Slots of a backend that does not tell how many it has.
const ASSUMED_SLOTS: u32 = 4;

/// Guesses this close together, as a ratio, are the same: then the operator's priority decides, then this peer's own
/// come first, and chance decides among equals, so that peers with the same news do not all run to the same place.
const NEAR: f64 = 1.1;

/// First token and speed where nobody has measured any.
const UNMEASURED: Pace = Pace { first_token_ms: 500.0, tokens_per_second: 30.0 };

#[derive(Clone, Copy)]
struct Pace {
    first_token_ms: f64,
    tokens_per_second: f64,
}

/// Ranks candidates, which come in canonical order: those with a free slot by expected time, then the full ones alike.
pub(super) fn rank<'w>(candidates: Vec<&'w Candidate>, needs: &Needs, dice: &mut Dice) -> Vec<&'w Candidate> {
    if candidates.len() < 2 {
        return candidates;
    }
    let best = best_pace(&candidates);
    let tokens = if needs.embeddings { 0 } else { needs.max_tokens.unwrap_or(u64::MAX).min(EXPECTED_TOKENS) };
    let mut timed: Vec<(bool, f64, &Candidate)> = candidates
        .into_iter()
        .map(|candidate| (candidate.load.is_full(), expected_ms(&candidate.load, best, tokens), candidate))
        .collect();
    timed.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut ranked = Vec::with_capacity(timed.len());
    let mut rest = timed.as_mut_slice();
    while let Some(&(full, least, _)) = rest.first() {
        let near = rest.partition_point(|(is_full, time, _)| *is_full == full && *time <= least * NEAR);
        let (group, behind) = rest.split_at_mut(near.max(1));
        group.shuffle(dice);
        group.sort_by_key(|(_, _, candidate)| (candidate.priority, !candidate.place.is_here()));
        ranked.extend(group.iter().map(|(_, _, candidate)| *candidate));
        rest = behind;
    }
    ranked
}

/// The best that was measured on any of them. What has not been measured is taken to be as good, so that it is tried
/// and then known.
fn best_pace(candidates: &[&Candidate]) -> Pace {
    let first = candidates.iter().filter_map(|candidate| first_token_ms(&candidate.load)).reduce(f64::min);
    let speed = candidates.iter().filter_map(|candidate| speed(&candidate.load)).reduce(f64::max);
    Pace {
        first_token_ms: first.unwrap_or(UNMEASURED.first_token_ms),
        tokens_per_second: speed.unwrap_or(UNMEASURED.tokens_per_second),
    }
}

fn first_token_ms(load: &Load) -> Option<f64> {
    load.ttft_ms.or(load.latency_ms).map(|ms| f64::from(ms.max(1)))
}

fn speed(load: &Load) -> Option<f64> {
    load.tokens_per_second.map(f64::from).filter(|speed| speed.is_finite() && *speed > 0.0)
}

/// Milliseconds for one answer alone, stretched by what the slots are sharing already.
fn expected_ms(load: &Load, best: Pace, tokens: u64) -> f64 {
    let first = first_token_ms(load).unwrap_or(best.first_token_ms);
    let decode = tokens as f64 * 1000.0 / speed(load).unwrap_or(best.tokens_per_second);
    let slots = f64::from(load.concurrency.unwrap_or(ASSUMED_SLOTS).max(1));
    let busy = f64::from(load.in_flight.saturating_add(load.queued)) / slots;
    (first + decode) * (1.0 + busy)
}

//! The order in which candidates are tried. Every strategy starts from one canonical order, so what the world's lists
//! happened to be sorted by decides nothing. A strategy ranks; it admits and rejects nobody.

use std::cmp::Reverse;

use rand::seq::SliceRandom;

use super::intent::Chance;
use super::score::Score;
use super::world::Candidate;
use super::{Rules, Strategy, adaptive};
use crate::fleet::Needs;

/// A candidate in its rank, with its score where the strategy makes one.
pub(super) type Ranked<'w> = (&'w Candidate, Option<Score>);

/// Ranks the candidates of one offer, best first. A place that stands there twice is taken once. Suspects come after all
/// others.
pub(super) fn rank<'w>(
    mut candidates: Vec<&'w Candidate>,
    rules: &Rules,
    needs: &Needs,
    chance: &mut Chance<'_>,
) -> Vec<Ranked<'w>> {
    candidates.sort_by(|a, b| a.place.in_order(&b.place));
    candidates.dedup_by(|a, b| a.place == b.place);
    let mut ranked: Vec<Ranked<'w>> = match rules.strategy {
        Strategy::Smart => smart(candidates, rules),
        Strategy::RoundRobin => unscored(rotate(candidates, chance.turn)),
        Strategy::PriorityOnly => unscored(priority_only(candidates)),
        Strategy::Random => {
            candidates.shuffle(chance.dice);
            unscored(candidates)
        }
        Strategy::Adaptive => unscored(adaptive::rank(candidates, needs, chance.dice)),
    };
    ranked.sort_by_key(|(candidate, _)| candidate.suspect);
    ranked
}

fn unscored(candidates: Vec<&Candidate>) -> Vec<Ranked<'_>> {
    candidates.into_iter().map(|candidate| (candidate, None)).collect()
}

/// The higher score first; of equals this peer's own, then the one with less pending, then by name.
fn smart<'w>(candidates: Vec<&'w Candidate>, rules: &Rules) -> Vec<Ranked<'w>> {
    let mut scored: Vec<(&Candidate, Score)> =
        candidates.into_iter().map(|candidate| (candidate, Score::of(candidate, rules.weights))).collect();
    scored.sort_by_key(|(candidate, score)| (Reverse(score.total), !candidate.place.is_here(), candidate.pending()));
    scored.into_iter().map(|(candidate, score)| (candidate, Some(score))).collect()
}

/// Suspects do not take turns: they would shift the turns of the others.
fn rotate(candidates: Vec<&Candidate>, turn: u64) -> Vec<&Candidate> {
    let (suspects, mut sound): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|candidate| candidate.suspect);
    if !sound.is_empty() {
        let first = turn % sound.len() as u64;
        sound.rotate_left(first as usize);
    }
    sound.extend(suspects);
    sound
}

fn priority_only(mut candidates: Vec<&Candidate>) -> Vec<&Candidate> {
    candidates.sort_by_key(|candidate| (candidate.priority, !candidate.place.is_here(), candidate.pending()));
    candidates
}

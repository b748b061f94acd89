//! The order in which candidates are tried. Every strategy starts from one canonical order, so what the world's lists
//! happened to be sorted by decides nothing. A strategy ranks; it admits and rejects nobody.

use std::cmp::Reverse;
use std::time::Duration;

use rand::seq::SliceRandom;

use super::estimate::{Estimate, Estimator};
use super::intent::{Chance, Intent};
use super::score::Score;
use super::world::Candidate;
use super::{Rules, Strategy, adaptive};

/// A candidate in its rank.
#[derive(Clone, Copy)]
pub(super) struct Ranked<'w> {
    pub(super) candidate: &'w Candidate,
    /// Where the strategy makes one.
    pub(super) score: Option<Score>,
    pub(super) estimate: Estimate,
    /// How long it is worth waiting for a slot there, rather than going on to the next.
    pub(super) worth: Duration,
}

/// Ranks the candidates of one offer, best first. A place that stands there twice is taken once. Suspects come after all
/// others.
pub(super) fn rank<'w>(
    mut candidates: Vec<&'w Candidate>,
    rules: &Rules,
    intent: &Intent,
    chance: &mut Chance<'_>,
) -> Vec<Ranked<'w>> {
    candidates.sort_by(|a, b| a.place.in_order(&b.place));
    candidates.dedup_by(|a, b| a.place == b.place);
    if rules.strategy == Strategy::Adaptive {
        return adaptive(candidates, intent, chance);
    }
    let estimator = Estimator::new(intent, candidates.clone().into_iter());
    let scored = match rules.strategy {
        Strategy::Smart => smart(candidates, rules, intent),
        Strategy::RoundRobin => unscored(rotate(candidates, chance.turn)),
        Strategy::PriorityOnly => unscored(priority_only(candidates)),
        Strategy::Random | Strategy::Adaptive => {
            candidates.shuffle(chance.dice);
            unscored(candidates)
        }
    };
    let ranked = scored.into_iter().map(|(candidate, score)| {
        let estimate = estimator.of(candidate);
        Ranked { candidate, score, estimate, worth: Duration::ZERO }
    });
    suspects_last(ranked.collect())
}

fn suspects_last(mut ranked: Vec<Ranked<'_>>) -> Vec<Ranked<'_>> {
    ranked.sort_by_key(|ranked| ranked.candidate.suspect);
    ranked
}

/// By what an answer costs, and how much of a wait each is worth against the best of the others.
fn adaptive<'w>(candidates: Vec<&'w Candidate>, intent: &Intent, chance: &mut Chance<'_>) -> Vec<Ranked<'w>> {
    let timed = adaptive::rank(candidates, intent, chance.dice);
    let sound = timed.iter().enumerate().filter(|(_, (candidate, _))| !candidate.suspect);
    let mut costs: Vec<(f64, usize)> = sound.map(|(at, (_, estimate))| (adaptive::cost(estimate), at)).collect();
    costs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let best_other = |at: usize| costs.iter().find(|(_, other)| *other != at).map(|(cost, _)| *cost);
    let ranked = timed.iter().enumerate().map(|(at, (candidate, estimate))| Ranked {
        candidate,
        score: None,
        estimate: *estimate,
        worth: best_other(at).map_or(Duration::ZERO, |other| adaptive::worth_waiting(estimate, other)),
    });
    suspects_last(ranked.collect())
}

type Scored<'w> = (&'w Candidate, Option<Score>);

fn unscored(candidates: Vec<&Candidate>) -> Vec<Scored<'_>> {
    candidates.into_iter().map(|candidate| (candidate, None)).collect()
}

/// The higher score first; of equals this peer's own, then the one with less pending, then by name.
fn smart<'w>(candidates: Vec<&'w Candidate>, rules: &Rules, intent: &Intent) -> Vec<Scored<'w>> {
    let mut scored: Vec<(&Candidate, Score)> = candidates
        .into_iter()
        .map(|candidate| {
            let score = Score::of(candidate, rules.weights, rules.slow_from_ms);
            (candidate, if intent.avoids(candidate) { score.halved() } else { score })
        })
        .collect();
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

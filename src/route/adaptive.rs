//! `adaptive`: by the time until the answer is there. A wait counts for more than its length, because it is the surest sign
//! of more waits to come; what is about as near is decided by the operator, by rendezvous, or by chance.

use rand::seq::SliceRandom;

use super::affinity;
use super::estimate::{Estimate, Estimator};
use super::intent::Intent;
use super::world::Candidate;
use crate::env::Dice;
use crate::fleet::Residency;

/// What a second of waiting is worth in seconds of service. The laboratory of the simulation says what becomes of it.
const WAITING: f64 = 1.5;

/// Guesses this close together, as a ratio, are the same: then the operator's priority decides, then who has had the
/// conversation, then where it belongs; of prompts that belong nowhere, this peer's own backends come first, and chance
/// decides among equals, so that peers with the same news do not all run to the same place.
const NEAR: f64 = 1.1;

/// So are guesses this close, in milliseconds: nobody notices, and nobody measures it.
const SAME_MS: f64 = 50.0;

/// What an answer of a place that costs is worth less while money is short.
const AVOIDED: f64 = 2.0;

/// A prompt this long is worth holding on to, in bytes of canonical text.
const WORTH_HOLDING: u64 = 1024;

/// A candidate and what its answer would take.
pub(super) type Timed<'w> = (&'w Candidate, Estimate);

/// Ranks candidates, which come in canonical order.
pub(super) fn rank<'w>(candidates: Vec<&'w Candidate>, intent: &Intent, dice: &mut Dice) -> Vec<Timed<'w>> {
    let estimator = Estimator::new(intent, candidates.iter().copied());
    let mut timed: Vec<(f64, Timed<'w>)> = candidates
        .into_iter()
        .map(|candidate| (candidate, estimator.of(candidate)))
        .map(|timed| (cost(&timed.1) * if intent.avoids(timed.0) { AVOIDED } else { 1.0 }, timed))
        .collect();
    // A model is loaded in one place at a time: who comes meanwhile waits for that one.
    let is_loading = timed.iter().any(|(_, (candidate, _))| candidate.residency == Residency::Loading);
    let must_wait = |candidate: &Candidate| is_loading && candidate.residency == Residency::Unloaded;
    timed.sort_by(|a, b| must_wait(a.1.0).cmp(&must_wait(b.1.0)).then(a.0.total_cmp(&b.0)));
    let mut ranked = Vec::with_capacity(timed.len());
    let mut rest = timed.as_mut_slice();
    while let Some(&(least, (first, _))) = rest.first() {
        let is_near = |(cost, (candidate, _)): &(f64, Timed<'_>)| {
            must_wait(candidate) == must_wait(first) && *cost <= least * NEAR + SAME_MS
        };
        let (group, behind) = rest.split_at_mut(rest.partition_point(is_near).max(1));
        settle(group, &estimator, intent, dice);
        ranked.extend(group.iter().map(|(_, timed)| *timed));
        rest = behind;
    }
    ranked
}

/// What a candidate is ranked by, in milliseconds.
pub(super) fn cost(estimate: &Estimate) -> f64 {
    (estimate.service.as_secs_f64() + WAITING * estimate.wait.as_secs_f64()) * 1000.0
}

/// How long it is worth waiting for a candidate that takes `service`, where the best of the others costs `other`.
pub(super) fn worth_waiting(service: &Estimate, other: f64) -> std::time::Duration {
    let gain = (other / 1000.0 - service.service.as_secs_f64()) / WAITING;
    std::time::Duration::try_from_secs_f64(gain).unwrap_or_default()
}

/// Puts those that are about as near in order.
fn settle(group: &mut [(f64, Timed<'_>)], estimator: &Estimator, intent: &Intent, dice: &mut Dice) {
    let Some(first) = group.first().map(|(_, (first, _))| *first) else { return };
    // What has to be loaded first is to be loaded in the same place by all entries: there the model decides alone.
    if group.iter().all(|(_, (candidate, _))| candidate.residency == Residency::Unloaded) {
        let key = affinity::key_of_model(&first.model.id);
        let wanted = |candidate: &Candidate| affinity::wanted(key, candidate, estimator.speed(candidate));
        group.sort_by(|(_, (a, _)), (_, (b, _))| {
            a.priority.cmp(&b.priority).then_with(|| wanted(b).total_cmp(&wanted(a)))
        });
        return;
    }
    let Some(prompt) = intent.prompt.filter(|prompt| prompt.named || prompt.bytes >= WORTH_HOLDING) else {
        group.shuffle(dice);
        group.sort_by_key(|(_, (candidate, _))| (candidate.priority, !candidate.place.is_here()));
        return;
    };
    let at_work = |candidate: &Candidate| candidate.load.at_work().saturating_add(candidate.load.queued);
    let total = group.iter().map(|(_, (candidate, _))| at_work(candidate)).fold(0, u32::saturating_add);
    let places = group.len();
    let sure = |candidate: &Candidate| {
        let is_over = affinity::is_over(at_work(candidate), total, places);
        (candidate.priority, is_over, !candidate.knows)
    };
    let wanted = |candidate: &Candidate| affinity::wanted(prompt.key, candidate, estimator.speed(candidate));
    group.sort_by(|(_, (a, _)), (_, (b, _))| sure(a).cmp(&sure(b)).then_with(|| wanted(b).total_cmp(&wanted(a))));
}

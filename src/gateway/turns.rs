//! Whose turn it is: the order in which the places of a plan are tried, and how long each may take. Pure but for the clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::left;
use super::outcome::{Answer, Miss, Missed, Step};
use crate::fleet::Load;
use crate::route::{self, Place, Plan};

/// Who is tried next: every candidate of a model once, those again whose trouble may pass, then the next model; each
/// model at most `1 + max_retries` times.
pub(super) struct Turns {
    queue: VecDeque<route::Step>,
    again: VecDeque<route::Step>,
    /// Left out because others had no slot either; they may be waited for.
    passed_over: Vec<route::Step>,
    per_model: u32,
    model: Option<Arc<str>>,
    attempts: Vec<(Arc<str>, u32)>,
    missed: Vec<Missed>,
    refusals: u32,
    renewals: u32,
}

/// After so many busy owners the news is too old to go by: it is time to wait at the best of those that answered.
const MOST_REFUSALS: u32 = 3;

/// How often a request may begin anew because those that it waited for have gone.
const MOST_RENEWALS: u32 = 3;

impl Turns {
    pub(super) fn new(plan: &Plan, max_retries: u32) -> Self {
        Turns {
            queue: plan.steps.iter().cloned().collect(),
            again: VecDeque::new(),
            passed_over: Vec::new(),
            per_model: max_retries.saturating_add(1),
            model: None,
            attempts: Vec::new(),
            missed: Vec::new(),
            refusals: 0,
            renewals: 0,
        }
    }

    /// Goes by another plan from now on: whoever was busy may be so no more. What was attempted still counts.
    pub(super) fn renew(&mut self, plan: &Plan) {
        self.renewals += 1;
        self.refusals = 0;
        self.missed.retain(|missed| !missed.miss.is_busy());
        self.again.clear();
        self.passed_over.clear();
        self.queue = plan.steps.iter().cloned().collect();
    }

    /// Somebody was busy and has told how busy: what has not been tried, and what was only busy, is ranked anew.
    pub(super) fn reorder(&mut self, plan: &Plan) {
        let is_out = |step: &route::Step| {
            let was_it =
                |missed: &&Missed| missed.step.planned.place == step.place && missed.step.planned.model == step.model;
            self.missed.iter().filter(was_it).any(|missed| !missed.miss.is_busy() || missed.step.waits)
        };
        self.queue = plan.steps.iter().filter(|step| !is_out(step)).cloned().collect();
    }

    /// Whether it may go by another plan once more.
    pub(super) fn may_renew(&self) -> bool {
        self.renewals < MOST_RENEWALS
    }

    /// The next candidate, if there is one and time is left.
    pub(super) fn next(&mut self, deadline: Instant, stream: bool) -> Option<Step> {
        let retries = self.attempts();
        if retries > 0 && left(deadline).is_zero() {
            return None;
        }
        let planned = self.pick()?;
        self.model = Some(planned.model.clone());
        let was_tried = |missed: &Missed| !missed.miss.is_busy() && missed.step.planned.place == planned.place;
        let is_again = self.missed.iter().any(was_tried);
        let wait = self.wait_for(&planned, left(deadline), stream);
        let has_better = self.has_better(&planned.model);
        Some(Step { planned, deadline: Instant::now() + wait, retries, has_better, waits: false, is_again })
    }

    /// How long the first byte may take where `left` is all the time there is. With nobody else to go to, all of it. The
    /// first token of a stream comes soon or never: its time is shared out among those that are left, and ends as soon as
    /// something must be wrong, where that can be told. A whole answer may rightly take most of the time; the rest is for
    /// another place.
    fn wait_for(&self, planned: &route::Step, left: Duration, stream: bool) -> Duration {
        match self.remaining() {
            0 => left,
            _ if !stream => left * 2 / 3,
            others => {
                let in_line = if planned.place.is_here() { Duration::ZERO } else { planned.worth };
                let stuck_after = planned.estimate.stuck_after.unwrap_or(Duration::MAX);
                stuck_after.saturating_add(in_line).min(left / (others + 1))
            }
        }
    }

    fn pick(&mut self) -> Option<route::Step> {
        loop {
            let is_same_model = |step: &route::Step| self.model.is_none() || Some(&step.model) == self.model.as_ref();
            let first = self.queue.front();
            match first {
                Some(step) if !step.place.is_here() && self.refusals >= MOST_REFUSALS => {
                    self.passed_over.extend(self.queue.pop_front());
                }
                Some(step) if self.is_exhausted(&step.model) => drop(self.queue.pop_front()),
                Some(step) if is_same_model(step) => return self.queue.pop_front(),
                _ => match self.again.pop_front() {
                    Some(step) if self.is_exhausted(&step.model) => {}
                    Some(step) => return Some(step),
                    None => return self.queue.pop_front(),
                },
            }
        }
    }

    /// Backends here that are about to be tried for the same model, and would be done sooner than `step` if they had a
    /// slot now.
    pub(super) fn beside(&self, step: &route::Step) -> Vec<route::Step> {
        let is_as_good = |other: &&route::Step| {
            other.place.is_here() && other.model == step.model && other.estimate.service <= step.estimate.total()
        };
        self.queue.iter().filter(is_as_good).cloned().collect()
    }

    /// The turn of `step` is that of `other` instead; `step` is tried when that comes to nothing.
    pub(super) fn exchanged(&mut self, step: Step, other: &route::Step) -> Step {
        self.queue.retain(|queued| queued.place != other.place || queued.model != other.model);
        self.queue.push_front(step.planned);
        Step { planned: other.clone(), ..step }
    }

    /// Attempts made so far, for whatever model.
    fn attempts(&self) -> u32 {
        self.attempts.iter().map(|(_, count)| count).sum()
    }

    fn attempts_for(&self, model: &Arc<str>) -> u32 {
        self.attempts.iter().find(|(known, _)| known == model).map_or(0, |(_, count)| *count)
    }

    fn is_exhausted(&self, model: &Arc<str>) -> bool {
        self.attempts_for(model) >= self.per_model
    }

    fn count(&mut self, model: &Arc<str>) {
        match self.attempts.iter_mut().find(|(known, _)| known == model) {
            Some((_, count)) => *count += 1,
            None => self.attempts.push((model.clone(), 1)),
        }
    }

    /// Turns that may follow the one that begins for this model.
    fn remaining(&self) -> u32 {
        let made = self.model.as_ref().map_or(0, |model| self.attempts_for(model));
        let left = self.per_model.saturating_sub(made + 1);
        let waiting = self.queue.iter().filter(|step| Some(&step.model) == self.model.as_ref()).count();
        left.min(u32::try_from(waiting).unwrap_or(u32::MAX))
    }

    /// A turn came to nothing. Of whoever was busy nothing was asked, so that was no attempt.
    pub(super) fn missed(&mut self, step: Step, miss: Miss) -> &Missed {
        if miss.is_busy() {
            self.refusals += u32::from(matches!(miss, Miss::Refused(_)));
        } else if !miss.is_unfit() {
            self.count(&step.planned.model);
        }
        if miss.may_pass() {
            self.again.push_back(step.planned.clone());
        }
        if miss.speaks_for_its_peer() {
            // The peer was asked for the model by the name that it has there.
            let is_the_same = |other: &route::Step| {
                other.served.id == step.planned.served.id && same_peer(&other.place, &step.planned.place)
            };
            self.queue.retain(|other| !is_the_same(other));
            self.passed_over.retain(|other| !is_the_same(other));
        }
        self.missed.push(Missed { step, miss });
        &self.missed[self.missed.len() - 1]
    }

    /// Whether a sound place of this model is only busy.
    fn has_better(&self, model: &Arc<str>) -> bool {
        self.missed
            .iter()
            .any(|missed| missed.is_worth_waiting_for() && !missed.is_in_doubt() && missed.step.planned.model == *model)
    }

    /// Those of the first model with attempts left that are only busy, or were passed over because others were; with what
    /// each has told of its load when it refused. Those in doubt only where all are.
    pub(super) fn busy(&self) -> Vec<(&route::Step, Option<Load>)> {
        let waits_for =
            |missed: &&Missed| missed.is_worth_waiting_for() && !self.is_exhausted(&missed.step.planned.model);
        let passed_over = || self.passed_over.iter().filter(|step| !self.is_exhausted(&step.model));
        let first = self.missed.iter().find(waits_for).map(|missed| &missed.step.planned);
        let Some(model) = first.or_else(|| passed_over().next()).map(|step| &step.model) else { return Vec::new() };
        let refused = self.missed.iter().filter(waits_for);
        let refused = refused.map(|missed| (&missed.step.planned, missed.told(), missed.is_in_doubt()));
        let passed_over = passed_over().map(|step| (step, None, step.suspect));
        let mut busy: Vec<(&route::Step, Option<Load>, bool)> = Vec::new();
        for found in refused.chain(passed_over).filter(|(step, ..)| step.model == *model) {
            match busy.iter_mut().find(|(known, ..)| known.place == found.0.place) {
                // What was told last counts.
                Some(known) if found.1.is_some() => *known = found,
                Some(_) => {}
                None => busy.push(found),
            }
        }
        let all_in_doubt = busy.iter().all(|(_, _, in_doubt)| *in_doubt);
        busy.retain(|(_, _, in_doubt)| all_in_doubt || !in_doubt);
        busy.into_iter().map(|(step, told, _)| (step, told)).collect()
    }

    /// The turn of one that was busy and has a slot now, or will give us one: the others may be waited for later on.
    pub(super) fn granted(&mut self, step: &route::Step, deadline: Instant, waits: bool) -> Step {
        let is_it = |other: &route::Step| other.place == step.place && other.model == step.model;
        self.missed.retain(|missed| !(missed.miss.is_busy() && is_it(&missed.step.planned)));
        self.passed_over.retain(|passed_over| !is_it(passed_over));
        Step { planned: step.clone(), deadline, retries: self.attempts(), has_better: false, waits, is_again: false }
    }

    /// Whether some backend has said that it would rather be asked later.
    pub(super) fn has_last_resort(&self) -> bool {
        self.missed.iter().any(|missed| matches!(missed.miss, Miss::Later(_)))
    }

    /// What a backend said that would rather be asked later: better than nothing, and it says when.
    pub(super) fn last_resort(&mut self) -> Option<(Step, Answer)> {
        let at = self.missed.iter().rposition(|missed| matches!(missed.miss, Miss::Later(_)))?;
        match self.missed.swap_remove(at) {
            Missed { step, miss: Miss::Later(answer) } => Some((step, *answer)),
            _ => None,
        }
    }

    /// Every turn there was.
    pub(super) fn into_missed(self) -> Vec<Missed> {
        self.missed
    }
}

fn same_peer(one: &Place, other: &Place) -> bool {
    matches!((one, other), (Place::There { peer: one, .. }, Place::There { peer: other, .. }) if one == other)
}

#[cfg(test)]
pub(super) mod tests;

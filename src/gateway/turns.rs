//! Whose turn it is: the order in which the places of a plan are tried, and how long each may take. Pure but for the clock.

use std::collections::VecDeque;
use std::sync::Arc;

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
        // A stream's first token comes soon or never, so its wait is shared out among those that are left. A whole
        // answer may rightly take most of the time there is; the rest is for another place, if there is one.
        let wait = match self.remaining() {
            others if stream => left(deadline) / (others + 1),
            0 => left(deadline),
            _ => left(deadline) * 2 / 3,
        };
        let has_better = self.has_better(&planned.model);
        Some(Step { planned, deadline: Instant::now() + wait, retries, has_better, waits: false, is_again })
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
        } else {
            self.count(&step.planned.model);
        }
        if miss.may_pass() {
            self.again.push_back(step.planned.clone());
        }
        if miss.speaks_for_its_peer() {
            let is_the_same =
                |other: &route::Step| other.model == step.planned.model && same_peer(&other.place, &step.planned.place);
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
pub(super) mod tests {
    use std::time::Duration;

    use http::StatusCode;

    use super::*;
    use crate::exchange::{Refusal, RefusalReason};
    use crate::fleet::{Kind, Model, PeerId, Zone};
    use crate::route::{Floors, Strategy};

    /// A plan of `model/backend` places.
    pub(in crate::gateway) fn plan(places: &[&str]) -> Plan {
        let steps = places.iter().map(|place| {
            let (model, backend) = place.split_once('/').expect("model/backend");
            route::Step {
                place: Place::Here { backend: backend.into() },
                model: model.into(),
                served: Arc::new(Model::named(model)),
                kind: Kind::Generic,
                full: false,
                suspect: false,
                fallback: false,
                score: None,
                estimate: route::Estimate::default(),
                worth: Duration::ZERO,
                residency: crate::fleet::Residency::Unknown,
                downgraded: None,
                zone: Zone::Restricted,
                floors: Floors::default(),
            }
        });
        Plan {
            asked: "m".to_owned(),
            steps: steps.collect(),
            rejections: Vec::new(),
            zone: Zone::Open,
            tier: None,
            strategy: Strategy::Smart,
            known: true,
        }
    }

    /// Whose turns there are where every one ends with `miss`.
    fn order(places: &[&str], max_retries: u32, miss: impl Fn() -> Miss) -> Vec<String> {
        let mut turns = Turns::new(&plan(places), max_retries);
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut tried = Vec::new();
        while let Some(step) = turns.next(deadline, false) {
            tried.push(format!("{}/{}", step.planned.model, step.planned.place.backend()));
            turns.missed(step, miss());
        }
        tried
    }

    /// Retries once went to the same failing backend only.
    #[tokio::test]
    async fn others_come_first_and_then_those_whose_trouble_may_pass() {
        let unreachable = || Miss::Unreachable(String::new());
        let failing = || Miss::Status(StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(order(&["m/a", "m/b"], 2, failing), ["m/a", "m/b", "m/a"]);
        assert_eq!(order(&["m/a", "m/b"], 2, unreachable), ["m/a", "m/b"], "nobody there is nobody there");
        assert_eq!(order(&["m/a"], 2, failing), ["m/a", "m/a", "m/a"]);
        assert_eq!(order(&["m/a", "m/b", "m/c", "m/d"], 1, failing), ["m/a", "m/b"], "bounded");
        assert_eq!(order(&["m/a"], 0, failing), ["m/a"]);
    }

    /// Whoever has no slot was not asked, and must not use up the attempts of one that has.
    #[tokio::test]
    async fn a_busy_place_is_no_attempt() {
        assert_eq!(order(&["m/a", "m/b", "m/c", "m/d"], 1, || Miss::Busy), ["m/a", "m/b", "m/c", "m/d"]);
        let mut turns = Turns::new(&plan(&["m/a", "m/b"]), 0);
        let deadline = Instant::now() + Duration::from_secs(60);
        let first = turns.next(deadline, false).expect("a turn");
        turns.missed(first, Miss::Busy);
        assert_eq!(turns.next(deadline, false).expect("another").retries, 0);
    }

    /// Requests once went to a backend that hangs as soon as all others had no slot for a moment.
    #[tokio::test]
    async fn one_in_doubt_is_waited_for_only_where_all_are() {
        let deadline = Instant::now() + Duration::from_secs(60);
        let waited_for = |misses: [fn() -> Miss; 2], suspect: [bool; 2]| {
            let mut plan = plan(&["m/a", "m/b"]);
            plan.steps.iter_mut().zip(suspect).for_each(|(step, suspect)| step.suspect = suspect);
            let mut turns = Turns::new(&plan, 2);
            let mut has_better = Vec::new();
            for miss in misses {
                let step = turns.next(deadline, false).expect("a turn");
                has_better.push(step.has_better);
                turns.missed(step, miss());
            }
            let names = turns.busy().iter().map(|(step, _)| step.place.backend().to_string()).collect();
            (names, has_better[1])
        };
        let both = || vec!["a".to_owned(), "b".to_owned()];
        let busy: fn() -> Miss = || Miss::Busy;
        let alone: fn() -> Miss = || Miss::LeftAlone;
        assert_eq!(waited_for([busy, busy], [false, false]), (both(), true));
        assert_eq!(waited_for([busy, busy], [false, true]), (vec!["a".to_owned()], true));
        assert_eq!(waited_for([busy, alone], [false, false]), (vec!["a".to_owned()], true));
        assert_eq!(waited_for([alone, busy], [false, false]), (vec!["b".to_owned()], false));
        assert_eq!(waited_for([alone, alone], [false, true]), (both(), false));
        assert_eq!(waited_for([|| Miss::Gone, alone], [false, false]), (vec!["b".to_owned()], false));
    }

    /// Requests once went round among peers whose queues were full until their time was up.
    #[tokio::test]
    async fn nobody_is_waited_for_twice() {
        let mut plan = plan(&["m/a", "m/b", "m/c"]);
        for step in &mut plan.steps {
            let backend = step.place.backend().clone();
            step.place = Place::There { peer: PeerId::from_text(&*backend), peer_name: backend.clone(), backend };
        }
        let mut turns = Turns::new(&plan, 2);
        let deadline = Instant::now() + Duration::from_secs(60);
        let refuse = |turns: &mut Turns, step| {
            let refusal =
                Refusal { reason: RefusalReason::Busy, message: String::new(), load: None, left_alone: false };
            turns.missed(step, Miss::Refused(refusal));
            turns.reorder(&plan);
        };
        let mut waited_for = Vec::new();
        loop {
            while let Some(step) = turns.next(deadline, false) {
                refuse(&mut turns, step);
            }
            let Some(step) = turns.busy().first().map(|(step, _)| (*step).clone()) else { break };
            waited_for.push(step.place.backend().to_string());
            assert!(waited_for.len() <= 3, "{waited_for:?}");
            let step = turns.granted(&step, deadline, true);
            refuse(&mut turns, step);
        }
        waited_for.sort();
        assert_eq!(waited_for, ["a", "b", "c"]);
    }

    /// A request once went round for ever between places that nobody was to ask.
    #[tokio::test]
    async fn what_is_left_alone_unasked_is_not_ranked_anew() {
        let plan = plan(&["m/a", "m/b", "m/c"]);
        let mut turns = Turns::new(&plan, 2);
        let deadline = Instant::now() + Duration::from_secs(60);
        let refusal = Refusal { reason: RefusalReason::Busy, message: String::new(), load: None, left_alone: false };
        let mut misses = vec![Miss::Refused(refusal)];
        let mut tried = 0;
        while let Some(step) = turns.next(deadline, false) {
            tried += 1;
            assert!(tried <= 6, "no end");
            let miss = misses.pop().unwrap_or(Miss::LeftAlone);
            let is_news = miss.is_news();
            turns.missed(step, miss);
            if is_news {
                turns.reorder(&plan);
            }
        }
        assert_eq!(tried, 4, "the one that refused is asked once more, at most");
    }

    #[tokio::test]
    async fn every_model_of_the_chain_has_attempts_of_its_own() {
        let failing = || Miss::Broken(String::new());
        let places = ["m/a", "m/b", "n/a", "n/c"];
        assert_eq!(order(&places, 2, failing), ["m/a", "m/b", "m/a", "n/a", "n/c", "n/a"]);
        assert_eq!(order(&places, 0, failing), ["m/a", "n/a"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_shares_its_wait_out_and_a_whole_answer_takes_most_of_it() {
        let deadline = Instant::now() + Duration::from_secs(60);
        let wait = |stream| {
            let mut turns = Turns::new(&plan(&["m/a", "m/b", "m/c"]), 2);
            let step = turns.next(deadline, stream).expect("a turn");
            (step.deadline - Instant::now()).as_secs()
        };
        assert_eq!((wait(true), wait(false)), (20, 40));
    }

    #[tokio::test(start_paused = true)]
    async fn no_turn_begins_after_the_deadline() {
        let mut turns = Turns::new(&plan(&["m/a", "m/b"]), 2);
        let deadline = Instant::now() + Duration::from_secs(1);
        let first = turns.next(deadline, true).expect("the first is always tried");
        turns.missed(first, Miss::Silent(Duration::from_secs(1)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(turns.next(deadline, true).is_none());
    }
}

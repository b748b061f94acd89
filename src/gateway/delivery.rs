//! What is made of the first byte of an answer: the choice is final, the way is told in headers, and what the attempt
//! holds goes with the answer until it has ended.

use std::sync::Arc;

use super::outcome::{Answer, Step};
use super::record::Trip;
use super::rulebook::{Edition, Present};
use super::{Gateway, cost, notes, reply};
use crate::exchange::{Endpoint, Origin, Reply, Request};
use crate::route::Plan;

/// Somebody answers.
pub(super) struct Found {
    pub(super) answer: Answer,
    pub(super) step: Step,
    pub(super) plan: Arc<Plan>,
    pub(super) present: Present,
}

impl Gateway {
    /// The first byte is here: the choice is final.
    pub(super) fn deliver(&self, found: Found, request: &Request, edition: &Edition, mut trip: Trip) -> Reply {
        let Found { mut answer, step, plan, present } = found;
        let is_entry = matches!(request.origin, Origin::Client);
        trip.answered(&answer, &step, &plan);
        let note = notes::Note {
            answer: &answer,
            step: &step,
            trip: &trip,
            here: &self.here(),
            request_id: &request.id,
            for_peer: !is_entry,
            standing: self.treasury.as_ref().filter(|_| is_entry).map(|treasury| treasury.standing()),
        };
        let headers = note.headers();
        trip.metered.extend(answer.metered.take());
        let hold = answer.hold.take();
        let here = answer.lease.as_ref();
        let price = here.and_then(|lease| cost::price_at(edition, &lease.entry().spec, &step.planned.served));
        let held = reply::Held {
            lease: answer.lease.take(),
            away: answer.away.take(),
            hold,
            price,
            lesson: answer.lesson.take(),
            present,
        };
        let bounds = reply::Bounds { patience: edition.manner.patience, cutting: self.cutting.clone() };
        let endpoint = request.endpoint;
        let tells_its_end = endpoint.is_chat() || endpoint == Endpoint::Completions;
        let to = reply::To { dialect: endpoint.dialect(), is_entry, tells_its_end };
        reply::pass_on(answer, headers, trip, held, bounds, to)
    }
}

//! Why a request got no answer, and how that is told: to a client as an error in its own shape, to a peer as a refusal.

use std::sync::Arc;
use std::time::Duration;

use http::header;

use super::asking::kinds_having;
use super::outcome::{Miss, Missed};
use super::record::Trip;
use crate::dialect::{BadRequest, Fault};
use crate::exchange::{Dialect, Endpoint, Refusal, RefusalReason, Reply};
use crate::fleet::Model;
use crate::queue::Priority;
use crate::route::{Plan, Verdict};

/// Why there is no answer.
pub(super) enum Failure {
    /// The client's request cannot be understood.
    Bad(BadRequest),
    /// This node serves as many requests as it may.
    Overloaded(u32),
    /// As many wait for a slot as may. `wait` is what one more would be expected to wait.
    QueueFull { wait: Duration, depth: usize, priority: Priority },
    /// No slot became free in time.
    QueueTimeout { waited: Duration, depth: usize, priority: Priority },
    /// The client's key is not good for this model.
    Forbidden { caller: String, model: String },
    /// Nobody may serve it.
    NoCandidate(Box<Plan>),
    /// Those it waited for have gone, and nobody is left.
    NobodyLeft(Box<Plan>),
    /// This node has no more time.
    Draining,
    /// Everybody who may was tried.
    AllMissed(Vec<Missed>),
}

/// What a client is told.
pub(super) struct Told {
    /// The error.
    pub(super) fault: Fault,
    /// `x-nexus-rejection-reasons` and `-details`, where a policy left nobody.
    pub(super) rejection: Option<(String, String)>,
}

impl Failure {
    /// As a client is told. `every_model` is all that could have been asked for, sorted by name.
    pub(super) fn told(
        self,
        trip: &Trip,
        every_model: impl Fn() -> Vec<Arc<Model>>,
        patience: Duration,
        endpoint: Endpoint,
    ) -> Told {
        let fault = match self {
            Failure::Bad(bad) => Fault::bad_request(bad.to_string()),
            Failure::Overloaded(limit) => Fault::too_many_requests_at_once(limit),
            Failure::QueueFull { wait, depth, priority } => {
                Fault::queue_full(&trip.asked, whole_seconds(wait), depth, priority.as_str())
            }
            Failure::QueueTimeout { waited, depth, priority } => {
                Fault::queue_timeout(&trip.asked, whole_seconds(waited), depth, priority.as_str())
            }
            Failure::NobodyLeft(plan) => Fault::no_healthy_backend(&trip.asked, plan.context()),
            Failure::Draining => Fault::draining(),
            Failure::Forbidden { caller, model } => forbidden(&caller, &model),
            Failure::NoCandidate(plan) => return no_candidate(&plan, &trip.asked, every_model, endpoint),
            Failure::AllMissed(missed) => all_missed(&missed, trip, patience, endpoint),
        };
        Told { fault, rejection: None }
    }

    /// As a peer is told.
    pub(super) fn refusal(self, trip: &Trip) -> Refusal {
        let left_alone = matches!(&self, Failure::AllMissed(missed)
            if missed.iter().all(|missed| matches!(missed.miss, Miss::LeftAlone)));
        let unfit = match &self {
            Failure::AllMissed(missed) => missed.iter().rfind(|missed| !missed.miss.is_busy()),
            _ => None,
        };
        let fault = unfit.and_then(|missed| missed.miss.told());
        let (reason, message) = match self {
            Failure::Bad(bad) => (RefusalReason::Malformed, bad.to_string()),
            Failure::Overloaded(_) => (RefusalReason::Busy, "this peer serves as many requests as it may".to_owned()),
            Failure::QueueFull { .. } => (RefusalReason::Busy, "the queue of this peer is full".to_owned()),
            Failure::QueueTimeout { .. } => (RefusalReason::Busy, "no slot became free in time".to_owned()),
            Failure::Forbidden { model, .. } => (RefusalReason::Policy, format!("model '{model}' is not allowed")),
            Failure::Draining => (RefusalReason::Draining, "this peer is stopping".to_owned()),
            Failure::NobodyLeft(_) => (RefusalReason::NoBackend, format!("no backend for '{}' here now", trip.asked)),
            Failure::NoCandidate(plan) => match plan.verdict() {
                Verdict::RejectedByPolicy => (RefusalReason::Policy, format!("rejected by {}", plan.rejected_by())),
                _ => (RefusalReason::NoBackend, format!("no backend for '{}' here now", trip.asked)),
            },
            Failure::AllMissed(_) if left_alone => {
                (RefusalReason::Busy, "what would do gave trouble and is left alone for now".to_owned())
            }
            Failure::AllMissed(missed) if missed.iter().all(|missed| missed.miss.is_busy()) => {
                (RefusalReason::Busy, "every slot is taken".to_owned())
            }
            Failure::AllMissed(missed) => {
                let last = missed.iter().rfind(|missed| !missed.miss.is_busy());
                let is_late = last.is_some_and(|missed| missed.miss.is_late());
                match last.map(|missed| &missed.miss) {
                    Some(Miss::Unfit(fault)) => (RefusalReason::Unfit, fault.message.clone()),
                    _ if is_late => (RefusalReason::Late, last.map(ToString::to_string).unwrap_or_default()),
                    _ => (RefusalReason::Failed, last.map(ToString::to_string).unwrap_or_default()),
                }
            }
        };
        Refusal { reason, message, load: None, left_alone, fault }
    }
}

/// Rounded up, and never 0: nobody should come back at once.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0 || time.is_zero())
}

/// What is told a client whose key is not good for a model.
pub(super) fn forbidden(caller: &str, model: &str) -> Fault {
    Fault::forbidden(format!(
        "The key of client '{caller}' is not good for model '{model}'. Ask for a model that its `models` allow."
    ))
}

/// What is told where the plan has nobody to try.
pub(super) fn no_candidate(
    plan: &Plan,
    asked: &str,
    every_model: impl Fn() -> Vec<Arc<Model>>,
    endpoint: Endpoint,
) -> Told {
    let fault = match plan.verdict() {
        Verdict::NoEndpoint => Fault::not_implemented(asked, endpoint, &kinds_having(endpoint)),
        Verdict::Incapable(missing) => {
            let fault = Fault::capability_mismatch(asked, &missing);
            match plan.too_long() {
                Some((needed, most)) => fault.too_long(needed, most, &names(holding(&every_model(), needed))),
                None => fault,
            }
        }
        Verdict::NoHealthyBackend => Fault::no_healthy_backend(asked, plan.context()),
        Verdict::RejectedByPolicy => {
            let rejection = Some((plan.rejection_reasons(), plan.rejection_details()));
            return Told { fault: Fault::rejected_by_policy(asked, &plan.rejected_by(), plan.context()), rejection };
        }
        Verdict::NotFound | Verdict::Serve => Fault::model_not_found(asked, names(every_model().iter())),
    };
    Told { fault, rejection: None }
}

/// Those that are known to hold so many tokens.
fn holding(models: &[Arc<Model>], tokens: u64) -> impl Iterator<Item = &Arc<Model>> {
    models.iter().filter(move |model| model.context_length.is_some_and(|limit| limit >= tokens))
}

/// Each name once.
fn names<'m>(models: impl Iterator<Item = &'m Arc<Model>>) -> Vec<&'m str> {
    let mut names: Vec<&str> = models.map(|model| model.id.as_str()).collect();
    names.dedup();
    names
}

fn all_missed(missed: &[Missed], trip: &Trip, patience: Duration, endpoint: Endpoint) -> Fault {
    let Some(last) = missed.iter().rfind(|missed| !missed.miss.is_busy()) else {
        let told = missed.iter().filter_map(Missed::told).map(|load| load.expected_wait());
        return Fault::busy(&trip.asked, whole_seconds(told.min().unwrap_or_default().min(patience)));
    };
    // What could not be asked says less than what was asked and failed.
    let last = missed.iter().rfind(|missed| !missed.miss.is_busy() && !missed.miss.is_unfit()).unwrap_or(last);
    match &last.miss {
        Miss::Unfit(fault) => (**fault).clone(),
        Miss::NoEndpoint => Fault::not_implemented(&trip.asked, endpoint, &kinds_having(endpoint)),
        Miss::Refused(refusal) if refusal.reason == RefusalReason::Unfit => Fault::told_by_peer(refusal),
        miss if miss.is_late() => Fault::gateway_timeout(&trip.asked, patience.as_secs()),
        Miss::Refused(refusal) if refusal.reason == RefusalReason::Policy => {
            Fault::forbidden_elsewhere(last.to_string())
        }
        _ => Fault::bad_gateway(&trip.asked, missed.len(), &last.to_string()),
    }
}

/// The fault as a reply.
pub(super) fn reply(fault: &Fault, dialect: Dialect) -> Reply {
    let mut reply = Reply::new(crate::exchange::full(fault.body(dialect)));
    *reply.status_mut() = fault.status;
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    if let Some(seconds) = fault.retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    reply
}

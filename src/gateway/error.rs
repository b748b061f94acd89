//! Why a request got no answer, and how that is told: to a client as an error in its own shape, to a peer as a refusal.

use std::sync::Arc;
use std::time::Duration;

use http::header;

use super::account;
use super::asking::kinds_having;
use super::meter::{self, Limit};
use super::outcome::{Miss, Missed};
use super::record::Trip;
use crate::budget::Limited;
use crate::dialect::{BadRequest, Fault};
use crate::exchange::{self, Dialect, Endpoint, Refusal, RefusalReason, Reply};
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
    /// The client's key allows no more in this minute.
    Limited { caller: String, limit: Limit, why: Limited },
    /// Nobody may serve it.
    NoCandidate(Arc<Plan>),
    /// Those it waited for have gone, and nobody is left.
    NobodyLeft(Arc<Plan>),
    /// This node has no more time.
    Draining,
    /// Everybody who may was tried, by this plan.
    AllMissed(Vec<Missed>, Arc<Plan>),
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
        known: impl Fn() -> Known,
        patience: Duration,
        endpoint: Endpoint,
        here: &str,
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
            Failure::NobodyLeft(plan) if plan.verdict() == Verdict::RejectedByPolicy => {
                return rejected(&plan, &trip.asked, &[], here);
            }
            Failure::NobodyLeft(plan) => Fault::no_healthy_backend(&trip.asked, plan.context(here)),
            Failure::Draining => Fault::draining(),
            Failure::Forbidden { caller, model } => forbidden(&caller, &model),
            Failure::Limited { caller, limit, why } => {
                Fault::rate_limited(meter::told(&caller, limit, why), whole_seconds(why.retry_after))
            }
            Failure::NoCandidate(plan) => {
                return no_candidate(&plan, &trip.asked, known, endpoint, here);
            }
            Failure::AllMissed(missed, plan) if is_refused_by_policy(&missed) => {
                if let Some(fault) = is_out_of_quota(&missed) {
                    return Told { fault, rejection: None };
                }
                return rejected(&plan, &trip.asked, &missed, here);
            }
            Failure::AllMissed(missed, _) => all_missed(&missed, trip, patience, endpoint),
        };
        Told { fault, rejection: None }
    }

    /// What kind of failure it is, by the word of metrics.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Failure::Bad(_) => "bad_request",
            Failure::Overloaded(_) => "overloaded",
            Failure::QueueFull { .. } | Failure::QueueTimeout { .. } => "queued",
            Failure::Forbidden { .. } => "forbidden",
            Failure::Limited { .. } => "rate_limited",
            Failure::Draining => "draining",
            Failure::NoCandidate(plan) | Failure::NobodyLeft(plan) => match plan.verdict() {
                Verdict::NoEndpoint | Verdict::Incapable(_) => "capability_mismatch",
                Verdict::NoHealthyBackend => "no_healthy_backend",
                Verdict::RejectedByPolicy => "routing_rejected",
                Verdict::NotFound | Verdict::Serve => "model_not_found",
            },
            Failure::AllMissed(missed, _) if is_refused_by_policy(missed) => "routing_rejected",
            Failure::AllMissed(missed, _) => match last_told(missed) {
                None if missed.iter().all(|missed| missed.miss.is_busy()) => "queued",
                None => "capability_mismatch",
                Some(last) if last.miss.is_late() => "timeout",
                Some(_) => "backend_error",
            },
        }
    }

    /// As a peer is told.
    pub(super) fn refusal(self, trip: &Trip, here: &str) -> Refusal {
        let left_alone = matches!(&self, Failure::AllMissed(missed, _)
            if missed.iter().all(|missed| matches!(missed.miss, Miss::LeftAlone)));
        let unfit = match &self {
            Failure::AllMissed(missed, _) => missed.iter().rfind(|missed| !missed.miss.is_busy()),
            _ => None,
        };
        let fault = match &self {
            Failure::NoCandidate(plan) | Failure::NobodyLeft(plan) if plan.verdict() == Verdict::RejectedByPolicy => {
                Some(account::for_peer(plan, &[], here))
            }
            Failure::AllMissed(missed, plan) if is_refused_by_policy(missed) => Some(match is_out_of_quota(missed) {
                Some(fault) => exchange::Told { status: 429, code: fault.code.to_string(), context: None },
                None => account::for_peer(plan, missed, here),
            }),
            _ => unfit.and_then(|missed| missed.miss.told()),
        };
        let (reason, message) = match self {
            Failure::Bad(bad) => (RefusalReason::Malformed, bad.to_string()),
            Failure::Overloaded(_) => (RefusalReason::Busy, "this peer serves as many requests as it may".to_owned()),
            Failure::QueueFull { .. } => (RefusalReason::Busy, "the queue of this peer is full".to_owned()),
            Failure::QueueTimeout { .. } => (RefusalReason::Busy, "no slot became free in time".to_owned()),
            Failure::Forbidden { model, .. } => (RefusalReason::Policy, format!("model '{model}' is not allowed")),
            Failure::Limited { .. } => (RefusalReason::Busy, "the key of its client allows no more now".to_owned()),
            Failure::Draining => (RefusalReason::Draining, "this peer is stopping".to_owned()),
            Failure::NoCandidate(plan) | Failure::NobodyLeft(plan) => match plan.verdict() {
                Verdict::RejectedByPolicy => (RefusalReason::Policy, format!("rejected by {}", plan.rejected_by())),
                _ => (RefusalReason::NoBackend, format!("no backend for '{}' here now", trip.asked)),
            },
            Failure::AllMissed(..) if left_alone => {
                (RefusalReason::Busy, "what would do gave trouble and is left alone for now".to_owned())
            }
            Failure::AllMissed(missed, _) if missed.iter().all(|missed| missed.miss.is_busy()) => {
                (RefusalReason::Busy, "every slot is taken".to_owned())
            }
            Failure::AllMissed(missed, _) => {
                let last = missed.iter().rfind(|missed| !missed.miss.is_busy());
                let is_late = last.is_some_and(|missed| missed.miss.is_late());
                match last.map(|missed| &missed.miss) {
                    Some(Miss::Limited(wait)) => (RefusalReason::Unfit, limited(*wait, &trip.asked).message),
                    Some(Miss::Unfit(fault)) => (RefusalReason::Unfit, fault.message.clone()),
                    Some(Miss::Unpaid(refused)) => (RefusalReason::Policy, refused.to_string()),
                    Some(Miss::NoPrice) => (RefusalReason::Policy, account::NO_PRICE.to_owned()),
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

/// What this peer knows of models.
pub(super) struct Known {
    pub(super) models: Vec<Arc<Model>>,
    /// Backends of this peer that have not been checked yet: nobody knows what they have.
    pub(super) unchecked: usize,
}

/// What is told where the plan has nobody to try.
pub(super) fn no_candidate(
    plan: &Plan,
    asked: &str,
    known: impl Fn() -> Known,
    endpoint: Endpoint,
    here: &str,
) -> Told {
    let fault = match plan.verdict() {
        Verdict::NoEndpoint => Fault::not_implemented(asked, endpoint, &kinds_having(endpoint)),
        Verdict::Incapable(missing) => {
            let fault = Fault::capability_mismatch(asked, &missing);
            match plan.too_long() {
                Some((needed, most)) => fault.too_long(needed, most, &names(holding(&known().models, needed))),
                None => fault,
            }
        }
        Verdict::NoHealthyBackend => Fault::no_healthy_backend(asked, plan.context(here)),
        Verdict::RejectedByPolicy => return rejected(plan, asked, &[], here),
        Verdict::NotFound | Verdict::Serve => match known() {
            Known { unchecked: 0, models } => Fault::model_not_found(asked, names(models.iter())),
            Known { unchecked, .. } => Fault::not_known_yet(asked, unchecked),
        },
    };
    Told { fault, rejection: None }
}

/// Policies leave nobody, here or at the owners that were asked.
fn rejected(plan: &Plan, asked: &str, missed: &[Missed], here: &str) -> Told {
    let (fault, headers) = account::rejected(asked, plan, missed, here);
    Told { fault, rejection: Some(headers) }
}

/// Whether a policy of an owner was the last thing in the way.
fn is_refused_by_policy(missed: &[Missed]) -> bool {
    last_told(missed).is_some_and(|last| match &last.miss {
        Miss::Refused(refusal) => refusal.reason == RefusalReason::Policy,
        miss => miss.is_about_money(),
    })
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
        Miss::Limited(wait) => limited(*wait, &trip.asked),
        Miss::Unfit(fault) => (**fault).clone(),
        Miss::NoEndpoint => Fault::not_implemented(&trip.asked, endpoint, &kinds_having(endpoint)),
        Miss::Refused(refusal) if refusal.reason == RefusalReason::Unfit => Fault::told_by_peer(refusal),
        miss if miss.is_late() => Fault::gateway_timeout(&trip.asked, patience.as_secs()),
        _ => Fault::bad_gateway(&trip.asked, missed.len(), &last.to_string()),
    }
}

/// What is told where every backend has had as much as it may in this minute.
fn limited(wait: Duration, asked: &str) -> Fault {
    let message = format!("The backends of model '{asked}' may have no more in this minute");
    Fault::rate_limited(message, whole_seconds(wait))
}

/// Whether the client's own money was the last thing in the way, here or at an owner.
fn is_out_of_quota(missed: &[Missed]) -> Option<Fault> {
    match &last_told(missed)?.miss {
        Miss::Unpaid(refused) if refused.of_caller => Some(Fault::insufficient_quota(refused.to_string())),
        Miss::Refused(refusal) => {
            let is_quota = refusal.fault.as_ref().is_some_and(|told| told.code == "insufficient_quota");
            is_quota.then(|| out_of_quota(&refusal.message))
        }
        _ => None,
    }
}

fn out_of_quota(reason: &str) -> Fault {
    Fault::insufficient_quota(format!(
        "The monthly limit of this client's key does not cover the request: {reason}. Send a smaller 'max_tokens', use a \
         local model, or ask whoever runs this mesh."
    ))
}

/// What says most of why nobody serves: what could not be asked says less than what was asked and failed.
fn last_told(missed: &[Missed]) -> Option<&Missed> {
    missed.iter().rfind(|missed| !missed.miss.is_busy() && (!missed.miss.is_unfit() || missed.miss.is_about_money()))
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

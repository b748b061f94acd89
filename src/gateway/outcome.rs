//! What comes of a try: an answer whose first byte is here, or a miss that says whose fault it was.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::time::Instant;

use super::lesson::Lesson;
use super::meter::Metered;
use super::tally::Tally;
use super::witness::Verdict;
use crate::budget::{Hold, Refused};
use crate::dialect::Fault;
use crate::exchange::{Refusal, RefusalReason, Reply, Told};
use crate::fleet::Load;
use crate::registry::{Away, InFlight};
use crate::route;

/// A candidate's turn.
pub(super) struct Step {
    /// Its place in the plan.
    pub(super) planned: route::Step,
    /// Until when its first byte must be there.
    pub(super) deadline: Instant,
    /// Attempts before this one.
    pub(super) retries: u32,
    /// Whether the same place has been tried before.
    pub(super) is_again: bool,
    /// Whether a sound place of the same model is only busy: it is better to wait for that one than to ask one in doubt.
    pub(super) has_better: bool,
    /// Whether it may wait, or has waited, for a slot at its owner: it is not waited for twice.
    pub(super) waits: bool,
}

/// A reply whose first byte is here.
pub(super) struct Answer {
    pub(super) reply: Reply,
    pub(super) first: Option<Bytes>,
    /// The slot it holds, where the backend is our own.
    pub(super) lease: Option<InFlight>,
    /// That it is at another peer, where it is.
    pub(super) away: Option<Away>,
    /// What it will teach, where the backend is our own.
    pub(super) lesson: Option<Lesson>,
    /// What it says was used, where that is not seen in passing.
    pub(super) tally: Option<Tally>,
    /// What it costs, in USD, where that is known already.
    pub(super) cost: Option<f64>,
    /// What was taken of its backend's limits, until what it came to is told at its end.
    pub(super) metered: Option<Metered>,
    /// What is set aside for it, where what it came to is told at its end.
    pub(super) hold: Option<Hold>,
    pub(super) ttft: Duration,
}

/// Why a try came to nothing.
pub(super) enum Miss {
    /// Nobody there.
    Unreachable(String),
    /// The connection broke, or what came was no answer.
    Broken(String),
    /// Nothing came in time.
    Silent(Duration),
    /// It answered with an error of its own.
    Status(StatusCode),
    /// It asks to be left alone for a while; this is what it said.
    Later(Box<Answer>),
    /// Every slot is taken.
    Busy,
    /// It gave trouble lately, and somebody else may do.
    LeftAlone,
    /// Its peer will not serve it.
    Refused(Refusal),
    /// It is gone since the plan was made.
    Gone,
    /// The request cannot be put in the words of the backend; this is what is told of it.
    Unfit(Box<Fault>),
    /// The backend has no such endpoint.
    NoEndpoint,
    /// What it may cost could not be set aside.
    Unpaid(Refused),
    /// Nobody knows what it costs, and what it costs matters.
    NoPrice,
    /// It may have no more in this minute: there is room after this.
    Limited(Duration),
}

impl Miss {
    /// How its backend did; `None` where that was asked nothing.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        match self {
            Miss::Unreachable(_) | Miss::Broken(_) | Miss::Silent(_) => Some(Verdict::Badly),
            // What it has never learned to do is no trouble of its own.
            Miss::Status(StatusCode::NOT_IMPLEMENTED) | Miss::Later(_) => Some(Verdict::Neither),
            Miss::Status(_) => Some(Verdict::Badly),
            Miss::Busy
            | Miss::LeftAlone
            | Miss::Refused(_)
            | Miss::Gone
            | Miss::Unfit(_)
            | Miss::NoEndpoint
            | Miss::Unpaid(_)
            | Miss::NoPrice
            | Miss::Limited(_) => None,
        }
    }

    /// Whether the same candidate may do better at once.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Miss::Broken(_) | Miss::Status(_))
    }

    /// Whether nothing was asked of the backend, since it could not have been.
    pub(super) fn is_unfit(&self) -> bool {
        matches!(self, Miss::Unfit(_) | Miss::NoEndpoint | Miss::Limited(_))
            || self.is_about_money()
            || matches!(self, Miss::Refused(Refusal { reason: RefusalReason::Unfit, .. }))
    }

    /// Whether it was not asked because of what it may cost.
    pub(super) fn is_about_money(&self) -> bool {
        matches!(self, Miss::Unpaid(_) | Miss::NoPrice)
    }

    /// Whether no first byte came in time, here or at a peer.
    pub(super) fn is_late(&self) -> bool {
        matches!(self, Miss::Silent(_) | Miss::Refused(Refusal { reason: RefusalReason::Late, .. }))
    }

    /// Whether the other backends of its peer would fare no better: the peer has tried them all, or is not there.
    pub(super) fn speaks_for_its_peer(&self) -> bool {
        match self {
            Miss::Unreachable(_) => true,
            Miss::Refused(refusal) => refusal.reason != RefusalReason::Busy,
            _ => false,
        }
    }

    /// Whether nothing was asked of it: every slot is taken, or it had better be left alone while there are others.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Miss::Busy | Miss::LeftAlone | Miss::Refused(Refusal { reason: RefusalReason::Busy, .. }))
    }

    /// Whether its owner was asked and has told how busy it is: the plan did not know. Of whoever was not asked there is
    /// no news, and to rank it anew would be to begin again for ever.
    pub(super) fn is_news(&self) -> bool {
        matches!(self, Miss::Refused(_)) && self.is_busy()
    }

    /// What the client is told of a request that does not fit, for the peer that passes it on.
    pub(super) fn told(&self) -> Option<Told> {
        match self {
            Miss::Unfit(fault) => Some(Told {
                status: fault.status.as_u16(),
                code: fault.code.to_string(),
                context: fault.context.clone(),
            }),
            Miss::Limited(wait) => Some(Told {
                status: 429,
                code: "rate_limit_exceeded".to_owned(),
                context: Some(serde_json::json!({ "retry_after_seconds": wait.as_secs() + 1 })),
            }),
            Miss::Refused(refusal) => refusal.fault.clone(),
            _ => None,
        }
    }

    /// Why, in one word.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Miss::Unreachable(_) => "unreachable",
            Miss::Broken(_) => "broken",
            Miss::Silent(_) => "timeout",
            Miss::Status(_) => "server_error",
            Miss::Later(_) => "later",
            Miss::Busy => "busy",
            Miss::LeftAlone => "left_alone",
            Miss::Refused(refusal) => refusal.reason.as_str(),
            Miss::Gone => "gone",
            Miss::Unfit(_) => "unfit",
            Miss::NoEndpoint => "no_endpoint",
            Miss::Unpaid(_) => "budget",
            Miss::NoPrice => "no_price",
            Miss::Limited(_) => "limited",
        }
    }

    fn is_left_alone(&self) -> bool {
        matches!(self, Miss::LeftAlone | Miss::Refused(Refusal { left_alone: true, .. }))
    }
}

/// A try that came to nothing, in words: names, no URLs.
pub(super) struct Missed {
    pub(super) step: Step,
    pub(super) miss: Miss,
}

impl Missed {
    /// How busy its owner said that it is.
    pub(super) fn told(&self) -> Option<Load> {
        match &self.miss {
            Miss::Refused(refusal) => refusal.load,
            _ => None,
        }
    }

    /// Whether a slot there would do, and has not been waited for yet.
    pub(super) fn is_worth_waiting_for(&self) -> bool {
        self.miss.is_busy() && !self.step.waits
    }

    /// Whether it has a slot for nobody but those who find none elsewhere.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.step.planned.suspect || self.miss.is_left_alone()
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = &self.step.planned.place;
        match &self.miss {
            Miss::Unreachable(why) => write!(f, "{place} cannot be reached: {why}"),
            Miss::Broken(why) => write!(f, "{place} gave no answer: {why}"),
            Miss::Silent(waited) => write!(f, "{place} sent no first byte within {:.1} s", waited.as_secs_f32()),
            Miss::Status(status) => write!(f, "{place} answered {}", said(*status)),
            Miss::Later(answer) => write!(f, "{place} answered {}", said(answer.reply.status())),
            Miss::Busy => write!(f, "every slot of {place} is taken"),
            Miss::LeftAlone => write!(f, "{place} gave trouble lately and is left alone"),
            Miss::Refused(refusal) => write!(f, "{place} was refused by its peer: {}", refusal.message),
            Miss::Gone => write!(f, "{place} is gone"),
            Miss::Unfit(fault) => write!(f, "{place} cannot be asked: {}", fault.message),
            Miss::NoEndpoint => write!(f, "{place} has no such endpoint"),
            Miss::Unpaid(refused) => write!(f, "{place} was not asked: {refused}"),
            Miss::Limited(wait) => {
                write!(
                    f,
                    "{place} may have no more in this minute; there is room in {:.0} s",
                    wait.as_secs_f32().ceil()
                )
            }
            Miss::NoPrice => write!(f, "{place} was not asked: what its model costs is not known, and a limit holds"),
        }
    }
}

/// A status as people know it; some have no name that everybody knows.
fn said(status: StatusCode) -> String {
    status
        .canonical_reason()
        .map_or_else(|| status.as_u16().to_string(), |reason| format!("{} {reason}", status.as_u16()))
}

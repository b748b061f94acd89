//! What comes of a try: an answer whose first byte is here, or a miss that says whose fault it was.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::time::Instant;

use crate::exchange::{Refusal, RefusalReason, Reply};
use crate::registry::InFlight;
use crate::route;

/// A candidate's turn.
pub(super) struct Step {
    /// Its place in the plan.
    pub(super) planned: route::Step,
    /// Until when its first byte must be there.
    pub(super) deadline: Instant,
    /// Attempts before this one.
    pub(super) retries: u32,
    /// Whether it may wait, or has waited, for a slot at its owner: it is not waited for twice.
    pub(super) waits: bool,
}

/// A reply whose first byte is here.
pub(super) struct Answer {
    pub(super) reply: Reply,
    pub(super) first: Option<Bytes>,
    /// The slot it holds, where the backend is our own.
    pub(super) lease: Option<InFlight>,
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
    /// Its peer will not serve it.
    Refused(Refusal),
    /// It is gone since the plan was made.
    Gone,
}

impl Miss {
    /// Whether the same candidate may do better at once.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Miss::Broken(_) | Miss::Status(_))
    }

    /// Whether no first byte came in time, here or at a peer.
    pub(super) fn is_late(&self) -> bool {
        matches!(self, Miss::Silent(_) | Miss::Refused(Refusal { reason: RefusalReason::Late, .. }))
    }

    /// Whether nothing is wrong but that every slot is taken.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Miss::Busy | Miss::Refused(Refusal { reason: RefusalReason::Busy, .. }))
    }
}

/// A try that came to nothing, in words: names, no URLs.
pub(super) struct Missed {
    pub(super) step: Step,
    pub(super) miss: Miss,
}

impl Missed {
    /// Whether a slot there would do, and has not been waited for yet.
    pub(super) fn is_worth_waiting_for(&self) -> bool {
        self.miss.is_busy() && !self.step.waits
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = &self.step.planned.place;
        match &self.miss {
            Miss::Unreachable(why) => write!(f, "{place} cannot be reached: {why}"),
            Miss::Broken(why) => write!(f, "{place} gave no answer: {why}"),
            Miss::Silent(waited) => write!(f, "{place} sent no first byte within {:.1} s", waited.as_secs_f32()),
            Miss::Status(status) => write!(f, "{place} answered {status}"),
            Miss::Later(answer) => write!(f, "{place} answered {}", answer.reply.status()),
            Miss::Busy => write!(f, "every slot of {place} is taken"),
            Miss::Refused(refusal) => write!(f, "{place} was refused by its peer: {}", refusal.message),
            Miss::Gone => write!(f, "{place} is gone"),
        }
    }
}

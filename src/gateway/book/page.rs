//! One request's page: what it asked, how it was decided, who was tried, how it ended. Written by the request as it goes;
//! nobody else has a reason to wait for its lock for longer than it takes to read a page.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::exchange::text::cut;
use crate::exchange::{Caller, Endpoint, Origin, Request, RequestId};
use crate::fleet::PeerId;
use crate::gateway::outcome::Step;
use crate::route::{Chain, Place, Plan};

/// Attempts that are told apart.
const MOST_ATTEMPTS: usize = 32;

/// Candidates that are kept of a plan when its request has ended, chosen and rejected ones each.
const MOST_CANDIDATES: usize = 48;

/// The longest name and error that are kept, in characters.
pub(super) const MOST_NAME: usize = 256;
const MOST_ERROR: usize = 1_024;

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It stands in line.
    Waiting,
    /// It is planned, or was sent and has no first byte yet.
    Trying,
    /// Its answer is on the way.
    Streaming,
    /// It was answered to the end.
    Done,
    /// It was not, or with an error.
    Failed,
    /// It came from a peer, which was told why not.
    Refused,
}

impl State {
    /// Every one of them.
    pub const ALL: [State; 6] =
        [State::Waiting, State::Trying, State::Streaming, State::Done, State::Failed, State::Refused];

    /// The word of JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Trying => "trying",
            State::Streaming => "streaming",
            State::Done => "done",
            State::Failed => "failed",
            State::Refused => "refused",
        }
    }

    /// Whether this is the word of a state in which nothing more comes of a request.
    pub fn is_word_of_end(word: &str) -> bool {
        Self::ALL.into_iter().any(|state| state.is_over() && state.as_str() == word)
    }

    /// Whether nothing more will come of it.
    pub fn is_over(self) -> bool {
        matches!(self, State::Done | State::Failed | State::Refused)
    }
}

/// A request, from its coming to its end.
pub struct Page {
    /// Counts up with every request of this peer.
    pub(super) number: u64,
    /// Counts up with every request that ends; 0 as long as it has not.
    closed: AtomicU64,
    /// The same at every peer.
    pub id: RequestId,
    pub(super) endpoint: Endpoint,
    pub(super) began: Instant,
    /// When it came, in milliseconds since 1970.
    pub(super) began_ms: u64,
    /// The peer that forwarded it, where one did.
    pub(super) from: Option<PeerId>,
    pub(super) caller: Option<Arc<Caller>>,
    way: Mutex<Way>,
}

/// The part of a page that is still written.
pub(super) struct Way {
    pub(super) state: State,
    pub(super) asked: Box<str>,
    pub(super) stream: bool,
    pub(super) chain: Option<Arc<Chain>>,
    pub(super) plan: Option<Arc<Plan>>,
    /// How often it was planned.
    pub(super) plans: u32,
    /// Candidates that were let go when it ended.
    pub(super) left_out: usize,
    pub(super) attempts: Vec<Tried>,
    pub(super) attempts_left_out: u32,
    /// Since when it stands in line, and how long it stood there before.
    pub(super) in_line: Option<Instant>,
    pub(super) queued: Duration,
    pub(super) route_reason: &'static str,
    pub(super) ended: Option<Ended>,
}

/// One attempt.
#[derive(Clone)]
pub struct Tried {
    /// Where.
    pub place: Place,
    /// The model as it was asked for there.
    pub model: String,
    /// When, from the coming of the request.
    pub at: Duration,
    /// How long it took to the first byte, or to nothing.
    pub took: Option<Duration>,
    /// Why nothing came of it.
    pub missed: Option<Box<str>>,
}

/// How a request ended.
#[derive(Clone)]
pub struct Ended {
    /// From its coming to its end.
    pub took: Duration,
    /// The HTTP status; 499 where the client left, 0 where a peer was refused.
    pub status: u16,
    /// What went wrong.
    pub error: Option<Box<str>>,
    /// Its kind, by the word of metrics.
    pub error_type: Option<&'static str>,
    /// Tokens of the prompt and of the answer, where the backend told.
    pub tokens: Option<(u64, u64)>,
    /// In USD, where this peer paid for it and the price is known.
    pub cost_usd: Option<f64>,
}

/// The same, from whoever knows it.
pub(in crate::gateway) struct End<'a> {
    pub(in crate::gateway) state: State,
    pub(in crate::gateway) status: u16,
    pub(in crate::gateway) error: Option<&'a str>,
    pub(in crate::gateway) error_type: Option<&'static str>,
    pub(in crate::gateway) tokens: Option<(u64, u64)>,
    pub(in crate::gateway) cost_usd: Option<f64>,
}

impl Page {
    pub(in crate::gateway) fn new(number: u64, request: &Request, began_ms: u64) -> Self {
        let from = match &request.origin {
            Origin::Client => None,
            Origin::Peer(hop) => Some(hop.from.clone()),
        };
        let way = Way {
            state: State::Trying,
            asked: "".into(),
            stream: false,
            chain: None,
            plan: None,
            plans: 0,
            left_out: 0,
            attempts: Vec::new(),
            attempts_left_out: 0,
            in_line: None,
            queued: Duration::ZERO,
            route_reason: "",
            ended: None,
        };
        Page {
            number,
            closed: AtomicU64::new(0),
            id: request.id.clone(),
            endpoint: request.endpoint,
            began: Instant::now(),
            began_ms,
            from,
            caller: request.caller.clone(),
            way: Mutex::new(way),
        }
    }

    /// Whether another peer forwarded it.
    pub fn is_from_peer(&self) -> bool {
        self.from.is_some()
    }

    /// The peer that forwarded it, where one did.
    pub fn from(&self) -> Option<&PeerId> {
        self.from.as_ref()
    }

    /// Counts up with every request of this peer that ends; 0 while this one is under way.
    pub fn ordinal(&self) -> u64 {
        self.closed.load(Ordering::Relaxed)
    }

    pub(super) fn close_as(&self, ordinal: u64) {
        self.closed.store(ordinal, Ordering::Relaxed);
    }

    /// How far it is.
    pub fn state(&self) -> State {
        self.way().state
    }

    /// The kind of what went wrong, by the word of metrics, once it has ended.
    pub fn error_type(&self) -> Option<&'static str> {
        self.way().ended.as_ref()?.error_type
    }

    /// The last peer that was asked for it, where one was.
    pub fn asked_peer(&self) -> Option<PeerId> {
        let way = self.way();
        way.attempts.iter().rev().find_map(|tried| match &tried.place {
            Place::There { peer, .. } => Some(peer.clone()),
            Place::Here { .. } => None,
        })
    }

    /// Whether `peer` has a part in it.
    pub fn concerns(&self, peer: &PeerId) -> bool {
        let is_asked = |tried: &Tried| matches!(&tried.place, Place::There { peer: asked, .. } if asked == peer);
        self.from.as_ref() == Some(peer) || self.way().attempts.iter().any(is_asked)
    }

    pub(super) fn way(&self) -> MutexGuard<'_, Way> {
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When it ended, in milliseconds since 1970; `None` while it is under way.
    pub(super) fn ended_at(&self) -> Option<u64> {
        let took = self.way().ended.as_ref()?.took;
        Some(self.began_ms.saturating_add(super::told::millis(took)))
    }

    pub(in crate::gateway) fn understood(&self, asked: &str, stream: bool) {
        let mut way = self.way();
        way.asked = cut(asked, MOST_NAME).into();
        way.stream = stream;
    }

    pub(in crate::gateway) fn planned(&self, chain: &Arc<Chain>, plan: &Arc<Plan>) {
        let mut way = self.way();
        way.plans += 1;
        // Names come from clients, as long as they like, and a page is kept for long.
        if chain.asked.len().max(chain.resolved.len()) > MOST_NAME {
            return;
        }
        way.chain = Some(chain.clone());
        way.plan = Some(plan.clone());
    }

    pub(in crate::gateway) fn queued(&self) {
        let mut way = self.way();
        way.state = State::Waiting;
        way.in_line.get_or_insert_with(Instant::now);
    }

    pub(in crate::gateway) fn tries(&self, step: &Step) {
        let mut way = self.way();
        way.leave_line();
        way.state = State::Trying;
        if way.attempts.len() >= MOST_ATTEMPTS {
            way.attempts_left_out += 1;
            way.attempts.remove(0);
        }
        let planned = &step.planned;
        way.attempts.push(Tried {
            place: planned.place.clone(),
            model: cut(&planned.served.id, MOST_NAME).to_owned(),
            at: self.began.elapsed(),
            took: None,
            missed: None,
        });
    }

    /// Nothing came of the last attempt.
    pub(in crate::gateway) fn missed(&self, why: &dyn std::fmt::Display) {
        let now = self.began.elapsed();
        let mut way = self.way();
        if let Some(last) = way.attempts.last_mut() {
            last.took = Some(now.saturating_sub(last.at));
            last.missed = Some(cut(&why.to_string(), MOST_ERROR).into());
        }
    }

    /// The first byte is here.
    pub(in crate::gateway) fn answered(&self, ttft: Duration, route_reason: &'static str) {
        let mut way = self.way();
        way.state = State::Streaming;
        way.route_reason = route_reason;
        if let Some(last) = way.attempts.last_mut() {
            last.took = Some(ttft);
        }
    }

    pub(in crate::gateway) fn end(&self, end: &End<'_>) {
        let mut way = self.way();
        way.leave_line();
        way.state = end.state;
        way.trim();
        way.ended = Some(Ended {
            took: self.began.elapsed(),
            status: end.status,
            error: end.error.map(|error| cut(error, MOST_ERROR).into()),
            error_type: end.error_type,
            tokens: end.tokens,
            cost_usd: end.cost_usd,
        });
    }
}

impl Way {
    fn leave_line(&mut self) {
        if let Some(since) = self.in_line.take() {
            self.queued += since.elapsed();
        }
    }

    /// The plan of a large mesh is long, and most of it never mattered: what is kept for later has a bound.
    fn trim(&mut self) {
        let Some(plan) = &mut self.plan else { return };
        let over = |len: usize| len.saturating_sub(MOST_CANDIDATES);
        self.left_out = over(plan.steps.len()) + over(plan.rejections.len());
        if self.left_out > 0 {
            let plan = Arc::make_mut(plan);
            plan.steps.truncate(MOST_CANDIDATES);
            plan.rejections.truncate(MOST_CANDIDATES);
            plan.steps.shrink_to_fit();
            plan.rejections.shrink_to_fit();
        }
    }
}

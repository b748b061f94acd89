//! One try: a slot is taken, the request goes out, and the first byte is awaited. What comes of it is an answer, or a
//! miss that says whose fault it was and whether the next candidate may be tried.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use tokio::time::Instant;

use super::error::Failure;
use super::record::Trip;
use super::{Gateway, left};
use crate::backend;
use crate::dialect::{self, Inspection};
use crate::env::ExchangeError;
use crate::exchange::{Cut, Hop, Refusal, Reply, Request};
use crate::mesh::ForwardError;
use crate::registry::InFlight;
use crate::route::{self, Chain, Place, Plan};

/// A candidate's turn.
pub(super) struct Step {
    /// Its place in the plan.
    pub(super) planned: route::Step,
    /// Until when its first byte must be there.
    pub(super) deadline: Instant,
    /// Attempts before this one.
    pub(super) retries: u32,
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
    fn may_pass(&self) -> bool {
        matches!(self, Miss::Broken(_) | Miss::Status(_))
    }
}

impl Gateway {
    /// Tries one candidate, up to its first byte.
    pub(super) async fn attempt(
        &self,
        step: &Step,
        request: &Request,
        asked: &Inspection,
        chain: &Chain,
    ) -> Result<Answer, Miss> {
        match &step.planned.place {
            Place::Here { backend } => self.attempt_here(backend, step, request, asked).await,
            Place::There { peer, backend, .. } => {
                let Some(mesh) = &self.mesh else { return Err(Miss::Gone) };
                let started = Instant::now();
                let hop = Hop {
                    from: mesh.id().clone(),
                    asked: chain.asked.clone(),
                    model: step.planned.model.to_string(),
                    backend: backend.to_string(),
                    hops_left: self.manner.max_hops.saturating_sub(1),
                    visited: vec![mesh.id().clone()],
                    time_left: left(step.deadline),
                    zone: step.planned.floors.zone,
                    tier: step.planned.floors.tier,
                };
                let forwarded = mesh.forward(peer, hop, request, left(step.deadline)).await;
                let reply = forwarded.map_err(|error| far_miss(error, started, step.deadline))?;
                first_byte(reply, started, step.deadline, None).await
            }
        }
    }

    async fn attempt_here(
        &self,
        name: &str,
        step: &Step,
        request: &Request,
        asked: &Inspection,
    ) -> Result<Answer, Miss> {
        let Some(entry) = self.registry.snapshot().get(name).cloned() else { return Err(Miss::Gone) };
        let lease = entry.begin().map_err(|_| Miss::Busy)?;
        let started = Instant::now();
        let body = dialect::splice(&request.body, asked.model_span.clone(), &step.planned.served.id);
        let outgoing = backend::request(&entry.spec, request.endpoint, &request.id, &request.headers, body);
        let reply = match tokio::time::timeout_at(step.deadline, self.http.send(outgoing)).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => {
                entry.unreachable();
                return Err(match error {
                    ExchangeError::Connect(why) => Miss::Unreachable(why),
                    ExchangeError::Broken(why) => Miss::Broken(why),
                });
            }
            Err(_) => {
                entry.unreachable();
                return Err(Miss::Silent(started.elapsed()));
            }
        };
        let status = reply.status();
        if status.is_server_error() {
            entry.failed();
            return Err(Miss::Status(status));
        }
        let answer =
            first_byte(reply, started, step.deadline, Some(lease)).await.inspect_err(|_| entry.unreachable())?;
        if is_temporary(status) {
            return Err(Miss::Later(Box::new(answer)));
        }
        if status.is_success() && !asked.stream && !looks_like_json(answer.first.as_deref()) {
            entry.failed();
            return Err(Miss::Broken("what came is not JSON".to_owned()));
        }
        entry.answered(answer.ttft);
        Ok(answer)
    }
}

/// A client's mistake is the same everywhere; these are not mistakes.
fn is_temporary(status: StatusCode) -> bool {
    matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS)
}

fn looks_like_json(first: Option<&[u8]>) -> bool {
    let start = first.unwrap_or_default().iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(start, Some(b'{' | b'['))
}

/// Waits for the first byte of the body: until it is there, another candidate may still be tried.
async fn first_byte(
    reply: Reply,
    started: Instant,
    deadline: Instant,
    lease: Option<InFlight>,
) -> Result<Answer, Miss> {
    let (parts, mut body) = reply.into_parts();
    let first = loop {
        match tokio::time::timeout_at(deadline, body.frame()).await {
            Err(_) => return Err(Miss::Silent(started.elapsed())),
            Ok(None) => break None,
            Ok(Some(Err(cut))) => return Err(broken(cut)),
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => break Some(data),
                // Trailers before any data: an empty body.
                Err(_) => break None,
            },
        }
    };
    Ok(Answer { reply: Reply::from_parts(parts, body), first, lease, ttft: started.elapsed() })
}

fn broken(cut: Cut) -> Miss {
    Miss::Broken(cut.to_string())
}

fn far_miss(error: ForwardError, started: Instant, deadline: Instant) -> Miss {
    match error {
        ForwardError::Unreachable(why) => Miss::Unreachable(why),
        ForwardError::Silent if left(deadline).is_zero() => Miss::Silent(started.elapsed()),
        ForwardError::Silent => Miss::Unreachable("its peer does not answer".to_owned()),
        ForwardError::Refused(refusal) => Miss::Refused(refusal),
        ForwardError::Lost => Miss::Broken("its peer went away".to_owned()),
    }
}

/// Who is tried next: every candidate of a model once, those again whose trouble may pass, then the next model; each
/// model at most `1 + max_retries` times.
pub(super) struct Attempts {
    queue: VecDeque<route::Step>,
    again: VecDeque<route::Step>,
    per_model: u32,
    model: Option<std::sync::Arc<str>>,
    tried_of_model: u32,
    tried: u32,
    missed: Vec<(Step, Miss)>,
}

impl Attempts {
    pub(super) fn new(plan: &Plan, max_retries: u32) -> Self {
        Attempts {
            queue: plan.steps.iter().cloned().collect(),
            again: VecDeque::new(),
            per_model: max_retries.saturating_add(1),
            model: None,
            tried_of_model: 0,
            tried: 0,
            missed: Vec::new(),
        }
    }

    /// The next candidate, if there is one and time is left.
    pub(super) fn next(&mut self, deadline: Instant, stream: bool) -> Option<Step> {
        if self.tried > 0 && left(deadline).is_zero() {
            return None;
        }
        let planned = self.pick()?;
        if self.model.as_ref() != Some(&planned.model) {
            self.model = Some(planned.model.clone());
            self.tried_of_model = 0;
        }
        self.tried_of_model += 1;
        let retries = self.tried;
        self.tried += 1;
        // A stream's first token comes soon or never, so its wait is shared out among those that are left. A whole
        // answer may rightly take all the time there is.
        let shares = if stream { self.remaining() + 1 } else { 1 };
        Some(Step { planned, deadline: Instant::now() + left(deadline) / shares, retries })
    }

    fn pick(&mut self) -> Option<route::Step> {
        loop {
            let same_model = |step: &route::Step| self.model.is_none() || Some(&step.model) == self.model.as_ref();
            let exhausted = self.tried_of_model >= self.per_model;
            match self.queue.front() {
                Some(step) if same_model(step) && exhausted => drop(self.queue.pop_front()),
                Some(step) if same_model(step) => return self.queue.pop_front(),
                _ if !exhausted && !self.again.is_empty() => return self.again.pop_front(),
                _ => {
                    self.again.clear();
                    return self.queue.pop_front();
                }
            }
        }
    }

    /// Attempts that may follow for this model.
    fn remaining(&self) -> u32 {
        let left = self.per_model.saturating_sub(self.tried_of_model);
        let waiting = self.queue.iter().filter(|step| Some(&step.model) == self.model.as_ref()).count();
        left.min(u32::try_from(waiting).unwrap_or(u32::MAX))
    }

    pub(super) fn missed(&mut self, step: Step, miss: Miss, trip: &mut Trip) {
        trip.missed(&step, &miss);
        if miss.may_pass() {
            self.again.push_back(step.planned.clone());
        }
        self.missed.push((step, miss));
    }

    /// What a backend said that would rather be asked later: better than nothing, and it says when.
    pub(super) fn last_resort(&mut self) -> Option<(Step, Answer)> {
        let at = self.missed.iter().rposition(|(_, miss)| matches!(miss, Miss::Later(_)))?;
        match self.missed.swap_remove(at) {
            (step, Miss::Later(answer)) => Some((step, *answer)),
            _ => None,
        }
    }

    pub(super) fn failure(self, plan: Plan) -> Failure {
        if self.missed.is_empty() { Failure::NoCandidate(Box::new(plan)) } else { Failure::AllMissed(self.missed) }
    }
}

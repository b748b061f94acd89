//! One try: a slot is taken, the request goes out, and the first byte is awaited.

use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt;
use tokio::time::Instant;

use super::asking::{Asked, NotAsked};
use super::cost::is_weighed;
use super::lesson::Sent;
use super::money::let_go;
use super::outcome::{Answer, Miss, Step};
use super::waiting::Grant;
use super::witness::LimitOf;
use super::{Ask, Gateway, left};
use crate::budget::nanos;
use crate::env::ExchangeError;
use crate::exchange::{Cut, Hop, Origin, Refusal, Reply};
use crate::fleet::{Locality, Zone};
use crate::mesh::ForwardError;
use crate::registry::{Entry, InFlight};
use crate::route::{self, Place};

impl Gateway {
    /// Tries one candidate, up to its first byte.
    pub(super) async fn attempt(&self, step: &Step, grant: Grant, ask: &Ask<'_>) -> Result<Answer, Miss> {
        match &step.planned.place {
            Place::Here { backend } => {
                let lease = match grant {
                    Grant::Slot(lease) => lease,
                    _ => self.slot_of(backend, step, ask)?,
                };
                self.attempt_here(lease, step, ask).await
            }
            Place::There { peer, backend, .. } => {
                let Some(mesh) = &self.mesh else { return Err(Miss::Gone) };
                let is_granted = matches!(grant, Grant::MayQueue);
                if step.planned.suspect && step.has_better && !is_granted && ask.may_wait() {
                    return Err(Miss::LeftAlone);
                }
                let away = self.abroad.begin(peer, backend);
                let started = Instant::now();
                let hop = Hop {
                    from: mesh.id().clone(),
                    asked: ask.chain.asked.clone(),
                    by: ask.chain.names_between(&step.planned.model, &step.planned.served.id),
                    model: step.planned.served.id.clone(),
                    backend: backend.to_string(),
                    hops_left: ask.edition.manner.max_hops.saturating_sub(1),
                    visited: vec![mesh.id().clone()],
                    time_left: before_us(left(step.deadline)),
                    may_queue: is_granted,
                    may_wait: step.planned.worth.min(ask.edition.manner.queue.max_wait()),
                    last_resort: step.planned.suspect,
                    zone: step.planned.floors.zone,
                    tier: step.planned.floors.tier,
                    most: step.planned.most,
                    payer: self.payer(ask),
                };
                let forwarded = mesh.forward(peer, hop, ask.request, left(step.deadline)).await;
                let reply = match forwarded {
                    Ok(reply) => reply,
                    Err(error) => {
                        // Its owner has not counted what it refused: it is back before that word is taken in.
                        drop(away);
                        if let ForwardError::Refused(Refusal { load: Some(load), .. }) = &error {
                            self.abroad.told(peer, backend, *load);
                        }
                        return Err(far_miss(error, started, step.deadline));
                    }
                };
                if let Some(load) = reply.extensions().get().copied() {
                    self.abroad.told(peer, backend, load);
                }
                let mut answer = first_byte(reply, started, step.deadline).await?;
                answer.away = Some(away);
                Ok(answer)
            }
        }
    }

    /// A slot at once, unless others wait for one already, or the backend had better be left alone.
    pub(super) fn slot_of(&self, backend: &str, step: &Step, ask: &Ask<'_>) -> Result<InFlight, Miss> {
        let Some(entry) = self.registry.snapshot().get(backend).cloned() else { return Err(Miss::Gone) };
        if self.queue.depth_of(backend) > 0 || !entry.is_taken_for(&step.planned.served.id).is_zero() {
            return Err(Miss::Busy);
        }
        if self.is_better_off_elsewhere(&entry, step, ask) {
            return Err(Miss::LeftAlone);
        }
        entry.begin().map_err(|_| Miss::Busy)
    }

    /// Whether the backend is to be left alone and somebody else may do, who is only busy, or whom nobody has asked yet.
    /// Whoever planned this may not have known: another request may have become its probe since, or a peer has old news.
    /// Where there is nobody else it comes back, as it does to a backend that has no slot.
    fn is_better_off_elsewhere(&self, entry: &Entry, step: &Step, ask: &Ask<'_>) -> bool {
        let suspect = step.planned.suspect;
        let keeps_away = || entry.keeps_away(&step.planned.served.id);
        if step.has_better && ask.may_wait() {
            return suspect || keeps_away();
        }
        let comes_back = match &ask.request.origin {
            Origin::Client => !suspect && ask.may_wait() && entry.may_serve(),
            Origin::Peer(hop) => !hop.may_queue && !hop.last_resort && (step.retries == 0 || step.is_again),
        };
        comes_back && keeps_away()
    }

    /// Tries one of our own backends, up to its first byte.
    async fn attempt_here(&self, mut lease: InFlight, step: &Step, ask: &Ask<'_>) -> Result<Answer, Miss> {
        // Another backend may have come under its name since the plan was made, while the request stood in line.
        if !is_as_planned(lease.entry(), &step.planned) {
            return Err(Miss::Gone);
        }
        let asked = ask.asked;
        if asked.stream {
            lease.will_stream(&step.planned.served, step.planned.estimate.stuck_after);
        }
        let sent = Sent::now(lease.entry(), &step.planned.served, ask.prefix, asked.needs.prompt_bytes);
        lease.sends(&step.planned.served);
        if lease.is_too_late() {
            return Err(Miss::Busy);
        }
        let metered = self.meter_backend(&lease.entry().spec, ask).map_err(|wait| {
            self.turned_away(LimitOf::Backend, &lease.entry().name);
            Miss::Limited(wait)
        })?;
        let mut hold = match lease.entry().spec.kind.locality() {
            Locality::Local => None,
            Locality::Cloud => Box::pin(self.set_aside(lease.entry(), step, ask)).await?,
        };
        if let Some(hold) = &mut hold {
            hold.sent();
        }
        let started = Instant::now();
        let Asked { reply, tally, is_ours } = match self.ask(lease.entry(), step, ask).await {
            Ok(asked) => asked,
            Err(NotAsked::Exchange(ExchangeError::Connect(why))) => {
                lease.refused();
                let_go(hold);
                return Err(Miss::Unreachable(why));
            }
            Err(NotAsked::Exchange(ExchangeError::Broken(why))) => {
                lease.broken();
                return Err(Miss::Broken(why));
            }
            Err(NotAsked::Silent) => {
                lease.silent();
                return Err(Miss::Silent(started.elapsed()));
            }
            Err(NotAsked::Miss(miss)) => {
                if matches!(miss, Miss::Broken(_)) {
                    lease.failed();
                }
                if miss.is_unfit() {
                    let_go(hold);
                }
                return Err(miss);
            }
        };
        if is_ours {
            let_go(hold);
            return first_byte(reply, started, step.deadline).await;
        }
        let status = reply.status();
        if !status.is_success() {
            // Vendors take nothing for errors.
            let_go(hold.take());
        }
        if status.is_server_error() {
            // What it has never learned to do is no trouble that passes.
            if status != StatusCode::NOT_IMPLEMENTED {
                lease.failed();
            }
            return Err(Miss::Status(status));
        }
        let mut answer = first_byte(reply, started, step.deadline).await.inspect_err(|miss| match miss {
            Miss::Silent(_) => lease.silent(),
            _ => lease.broken(),
        })?;
        answer.tally = tally;
        if is_temporary(status) || is_our_key_refused(status, lease.entry()) {
            // What is kept in hand must keep no slot: somebody else may be waiting for it, with ours in hand.
            return Err(Miss::Later(Box::new(answer)));
        }
        if status.is_success()
            && !asked.stream
            && ask.request.endpoint.answers_json()
            && !looks_like_json(answer.first.as_deref())
        {
            lease.failed();
            return Err(Miss::Broken("what came is not JSON".to_owned()));
        }
        let model = &step.planned.served;
        if is_weighed(&answer, lease.entry(), ask) {
            let spec = &lease.entry().spec;
            let weighed = Box::pin(self.weigh(answer, spec, model, ask, step.deadline)).await;
            answer = weighed.inspect_err(|miss| match miss {
                Miss::Silent(_) => lease.silent(),
                _ => lease.broken(),
            })?;
            if let Some((hold, cost)) = hold.take_if(|_| answer.cost.is_some()).zip(answer.cost) {
                hold.settle(nanos(cost));
            }
        }
        answer.hold = hold;
        answer.metered = metered;
        lease.answered(answer.ttft, !status.is_client_error());
        lease.flows();
        answer.lease = Some(lease);
        if status.is_success() && ask.request.endpoint.is_read_by_model() {
            answer.lesson = Some(sent.answered(ask.prefix, answer.ttft));
        }
        Ok(answer)
    }
}

/// Whether a backend is still of the zone and the tier that the plan demands of it.
fn is_as_planned(entry: &Entry, planned: &route::Step) -> bool {
    let leaves = planned.served.leaves_the_machine();
    let zone = if leaves { Zone::Open } else { entry.spec.zone };
    zone.satisfies(planned.floors.zone) && planned.floors.tier.is_none_or(|tier| entry.spec.tier >= tier)
}

/// How long its word may take back to us.
const WORD_BACK: Duration = Duration::from_millis(200);

/// What of our time the owner may use. It must give up first: an owner that only sees us leave never learns that its
/// backend is silent, and sends it the next request.
fn before_us(left: Duration) -> Duration {
    left - (left / 10).min(WORD_BACK)
}

/// A client's mistake is the same everywhere; these are not mistakes.
fn is_temporary(status: StatusCode) -> bool {
    matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS)
}

/// A key of ours that a vendor refuses is no mistake of the client's: somebody else may serve it.
fn is_our_key_refused(status: StatusCode, entry: &Entry) -> bool {
    let is_about_keys =
        matches!(status, StatusCode::UNAUTHORIZED | StatusCode::PAYMENT_REQUIRED | StatusCode::FORBIDDEN);
    is_about_keys && entry.spec.key.is_some()
}

fn looks_like_json(first: Option<&[u8]>) -> bool {
    let first = first.unwrap_or_default();
    // Some send white space for as long as they are at work.
    let start = first.iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(start, Some(b'{' | b'[')) || !first.is_empty() && start.is_none()
}

/// Waits for the first byte of the body: until it is there, another candidate may still be tried.
async fn first_byte(reply: Reply, started: Instant, deadline: Instant) -> Result<Answer, Miss> {
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
    Ok(Answer {
        reply: Reply::from_parts(parts, body),
        first,
        lease: None,
        away: None,
        lesson: None,
        tally: None,
        cost: None,
        hold: None,
        metered: None,
        ttft: started.elapsed(),
    })
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

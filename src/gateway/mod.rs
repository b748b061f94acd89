//! The life of a request: understood, planned, tried on one candidate after the other until one answers, and passed on
//! as it arrives. A client's request and a peer's come through the same door.

mod account;
mod asking;
mod attempt;
mod book;
mod cost;
mod decision;
mod delivery;
mod door;
mod error;
mod explain;
mod heartbeat;
mod kinship;
mod lesson;
mod line;
mod meter;
mod money;
mod notes;
mod outcome;
mod parts;
mod planning;
mod record;
mod reply;
mod rulebook;
mod scrub;
mod survey;
mod tally;
mod trace;
mod translated;
mod turns;
mod waiting;
mod witness;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use http::header;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::budget::{Alone, Rates, Treasury};
use crate::dialect::{self, Inspection};
use crate::env::{Clock, HttpExchange};
use crate::exchange::{Reply, Request};
use crate::fleet::Prefix;
use crate::mesh::Mesh;
use crate::queue::Queue;
use crate::registry::{Abroad, InFlight, Registry};
use crate::route::{Chain, Strategy};

pub use book::{Book, Ended, History, Names, Page, State, Tried, Way};
pub use kinship::{Kin, Kinship};
pub use rulebook::Manner;
pub use survey::{Hearsay, Sources, survey};
pub use trace::{Attempt, Trace, TraceEnd, Traces};
pub use witness::{Attempted, LimitOf, Record, Verdict, Witness};

use delivery::Found;
use error::Failure;
use record::Trip;
use rulebook::{Edition, Rulebook, UnderWay};
use turns::Turns;
use waiting::{Grant, Waited};

/// How long a place that has just failed is left alone before it is tried again.
const AGAIN_PAUSE: Duration = Duration::from_millis(100);

/// Answers requests from the best backend of the mesh.
pub struct Gateway {
    rulebook: Rulebook,
    name: Arc<str>,
    registry: Arc<Registry>,
    abroad: Arc<Abroad>,
    mesh: Option<Mesh>,
    http: Arc<dyn HttpExchange>,
    under_way: UnderWay,
    draining: AtomicBool,
    queue: Arc<Queue<InFlight>>,
    cutting: CancellationToken,
    clock: Arc<dyn Clock>,
    turn: AtomicU64,
    chance: u64,
    labels: u64,
    labelled: AtomicU64,
    treasury: Option<Arc<Treasury>>,
    rates: Option<Arc<Rates>>,
    limits: Arc<Alone>,
    witness: Option<Arc<dyn Witness>>,
    traces: Option<Arc<dyn Traces>>,
    book: Arc<Book>,
}

impl Gateway {
    /// Answers a client. A stream that has nothing to say for long is kept alive meanwhile.
    pub async fn handle(self: Arc<Self>, request: Request) -> Reply {
        let edition = self.rulebook.edition();
        let Some(every) = edition.manner.heartbeat.filter(|_| heartbeat::may_stream(&request)) else {
            return self.respond(&request, &edition).await;
        };
        let (id, asked) = (request.id.clone(), request.clone());
        let mut pending: heartbeat::Pending = Box::pin(async move { self.respond(&request, &edition).await });
        match tokio::time::timeout(every, &mut pending).await {
            Ok(reply) => reply,
            Err(_) if heartbeat::asks_for_a_stream(&asked) => {
                notes::on_waiting(heartbeat::stream_of(pending, every, asked.endpoint.dialect()), &id)
            }
            Err(_) => pending.await,
        }
    }

    /// A failure is an answer, too, in the client's own error shape.
    async fn respond(&self, request: &Request, edition: &Edition) -> Reply {
        match self.answer(request, edition).await {
            Ok(reply) => reply,
            Err((failure, trip)) => {
                let kind = failure.kind();
                let told =
                    failure.told(&trip, || self.known(), edition.manner.patience, request.endpoint, &self.here());
                trip.fail(told.fault.status, kind, &told.fault.message);
                let standing = self.treasury.as_ref().map(|treasury| treasury.standing());
                notes::on_fault(&told, request.endpoint.dialect(), &request.id, &self.here(), standing)
            }
        }
    }

    async fn answer(&self, request: &Request, edition: &Edition) -> Result<Reply, (Failure, Trip)> {
        let following = self.follow(request);
        let mut trip = Trip::begin(request, self.witness.clone(), following, &self.book, self.clock.unix_millis());
        let found = tokio::select! {
            biased;
            found = self.find(request, edition, &mut trip) => found,
            () = self.cutting.cancelled() => Err(Failure::Draining),
        };
        match found {
            Ok(found) => Ok(self.deliver(found, request, edition, trip)),
            Err(failure) => Err((failure, trip)),
        }
    }

    /// The story: understood, planned, tried, until somebody answers.
    async fn find(&self, request: &Request, edition: &Edition, trip: &mut Trip) -> Result<Found, Failure> {
        let Edition { manner, .. } = edition;
        let present = self.under_way.enter(manner.max_concurrent).ok_or(Failure::Overloaded(manner.max_concurrent))?;
        // In this order: whoever waits for a draining peer to be idle sees this request, or it sees that the peer drains.
        if self.is_draining() {
            return Err(Failure::Draining);
        }
        let content_type = request.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let asked = dialect::inspect(request.endpoint, request.model.as_deref(), content_type, &request.body)
            .map_err(Failure::Bad)?;
        trip.understood(&asked, manner.log_prompts.then_some(&request.body));
        check_caller(request, &asked)?;
        trip.metered.extend(self.meter(request, &asked).await?);

        let chain = Arc::new(planning::chain(edition, request, &asked));
        let prefix = dialect::prefix_of(&asked, &request.headers, manner.affinity_by_user);
        let ask = Ask { request, asked: &asked, edition, chain: &chain, prefix: prefix.as_ref() };
        let began = Instant::now();
        let mut plan = self.plan(&ask);
        trip.planned(&chain, &plan, began.elapsed());

        let deadline = trip.started + edition.patience(request);
        let mut turns = Turns::new(&plan, manner.max_retries);
        loop {
            let (step, grant) = match turns.next(deadline, asked.stream) {
                Some(step) if step.is_again => {
                    tokio::time::sleep(AGAIN_PAUSE.min(left(deadline))).await;
                    (step, Grant::None)
                }
                Some(step) => match self.grant(step, &mut turns, &ask, deadline, trip).await? {
                    Some(granted) => granted,
                    None => {
                        plan = self.plan_anew(&mut turns, &ask)?;
                        trip.decided(&chain, &plan);
                        continue;
                    }
                },
                None => match self.wait(&mut turns, &ask, deadline, trip).await {
                    Ok(Waited::Granted(step, grant)) => (*step, grant),
                    Ok(Waited::ForNobody) => break,
                    Ok(Waited::InVain) => {
                        plan = self.plan_anew(&mut turns, &ask)?;
                        trip.decided(&chain, &plan);
                        continue;
                    }
                    // What a backend said is more than that another had no slot.
                    Err(_) if turns.has_last_resort() => break,
                    Err(failure) => return Err(failure),
                },
            };
            let traced =
                trip.tries(&step, |backend| self.address_of(backend)).map(|span| Box::new(request.within(&span)));
            let ask = Ask { request: traced.as_deref().unwrap_or(request), ..ask };
            match self.attempt(&step, grant, &ask).await {
                Ok(answer) => return Ok(Found { answer, step, plan, present }),
                Err(miss) => {
                    let is_news = miss.is_news();
                    trip.missed(turns.missed(step, miss));
                    if is_news && plan.strategy == Strategy::Adaptive {
                        plan = self.plan(&ask);
                        trip.decided(&chain, &plan);
                        turns.reorder(&plan);
                    }
                }
            }
        }
        match turns.last_resort() {
            Some((step, answer)) => Ok(Found { answer, step, plan, present }),
            None if plan.steps.is_empty() => Err(Failure::NoCandidate(plan)),
            None => Err(Failure::AllMissed(turns.into_missed(), plan)),
        }
    }
}

/// A request that has been understood.
#[derive(Clone, Copy)]
struct Ask<'a> {
    request: &'a Request,
    asked: &'a Inspection,
    edition: &'a Edition,
    chain: &'a Chain,
    prefix: Option<&'a Prefix>,
}

/// A client key may be good for some models only.
fn check_caller(request: &Request, asked: &Inspection) -> Result<(), Failure> {
    match &request.caller {
        Some(caller) if !caller.may_use(&asked.model) => {
            Err(Failure::Forbidden { caller: caller.name.clone(), model: asked.model.clone() })
        }
        _ => Ok(()),
    }
}

/// Time left until `deadline`.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

//! The life of a request: understood, planned, tried on one candidate after the other until one answers, and passed on
//! as it arrives. A client's request and a peer's come through the same door.

mod account;
mod asking;
mod attempt;
mod book;
mod cost;
mod decision;
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

use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http::header;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::budget::{Alone, Rates, Treasury};
use crate::dialect::{self, Inspection};
use crate::env::{Clock, Dice, Env, HttpExchange};
use crate::exchange::{Dialect, Endpoint, Origin, Reply, Request, RequestId};
use crate::fleet::{Model, Prefix};
use crate::mesh::Mesh;
use crate::queue::Queue;
use crate::registry::{Abroad, InFlight, Registry};
use crate::route::{self, Chain, Chance, Floors, Intent, Plan, Prompt, Rules, Strategy, TierMode};

pub use book::{Book, Ended, History, Page, State, Tried, Way};
pub use kinship::{Kin, Kinship};
pub use rulebook::Manner;
pub use survey::{Hearsay, Sources, survey};
pub use trace::{Attempt, Trace, TraceEnd, Traces};
pub use witness::{Attempted, LimitOf, Record, Verdict, Witness};

use error::{Failure, Known};
use outcome::{Answer, Step};
use record::Trip;
use rulebook::{Edition, Present, Rulebook, UnderWay};
use turns::Turns;
use waiting::{Grant, Waited};

/// How long a place that has just failed is left alone before it is tried again.
const AGAIN_PAUSE: Duration = Duration::from_millis(100);

/// Of so many plans one is measured part by part.
const MEASURED_EVERY: u64 = 64;

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
    /// A gateway to the backends of `registry` and, through `mesh`, to those of other peers.
    pub fn new(
        rules: Rules,
        manner: Manner,
        registry: Arc<Registry>,
        mesh: Option<Mesh>,
        treasury: Option<Arc<Treasury>>,
        env: &Env,
    ) -> Self {
        let queue = Queue::new(manner.queue.size());
        let offered = queue.clone();
        registry.on_free(Box::new(move |entry| offered.offer(&entry.name, || entry.grant())));
        Gateway {
            name: manner.peer_name.clone(),
            rulebook: Rulebook::new(Edition::new(rules, manner)),
            queue,
            under_way: UnderWay::default(),
            draining: AtomicBool::new(false),
            cutting: CancellationToken::new(),
            registry,
            abroad: Arc::default(),
            mesh,
            http: env.http.clone(),
            clock: env.clock.clone(),
            turn: AtomicU64::new(0),
            chance: env.seed.fork("routing").random(),
            labels: env.seed.fork("labels").random(),
            labelled: AtomicU64::new(0),
            rates: treasury.clone().map(Rates::new),
            limits: Arc::default(),
            treasury,
            witness: None,
            traces: None,
            book: Arc::default(),
        }
    }

    /// The same, with somebody who keeps count of its requests.
    #[must_use]
    pub fn witnessed_by(self, witness: Arc<dyn Witness>) -> Self {
        Gateway { witness: Some(witness), ..self }
    }

    /// What its queue has done.
    pub fn queue_counts(&self) -> crate::queue::Counts {
        self.queue.counts()
    }

    /// Ends every stream that is still under way, with an error event where its client understands one.
    pub fn cut(&self) {
        self.cutting.cancel();
    }

    /// Takes no new requests, from nobody, and finishes those that are under way; or takes them again.
    pub fn set_draining(&self, draining: bool) {
        self.draining.store(draining, Ordering::SeqCst);
    }

    /// Whether it takes no new requests.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Requests that are under way, those that wait for a slot among them.
    pub fn under_way(&self) -> u32 {
        self.under_way.count()
    }

    /// Answers a client. A stream that has nothing to say for long is kept alive meanwhile.
    pub async fn handle(self: Arc<Self>, request: Request) -> Reply {
        let edition = self.rulebook.edition();
        let Some(every) = edition.manner.heartbeat.filter(|_| may_stream(&request)) else {
            return self.respond(&request, &edition).await;
        };
        let (id, asked) = (request.id.clone(), request.clone());
        let mut pending: heartbeat::Pending = Box::pin(async move { self.respond(&request, &edition).await });
        match tokio::time::timeout(every, &mut pending).await {
            Ok(reply) => reply,
            Err(_) if asks_for_a_stream(&asked) => {
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

        let chain = Arc::new(chain(edition, request, &asked));
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

    /// The plan for a request, by what is known at this instant.
    fn plan(&self, ask: &Ask<'_>) -> Arc<Plan> {
        let world = self.survey(ask);
        let intent = self.intent(ask);
        let (began, turn) = (Instant::now(), self.turn.fetch_add(1, Ordering::Relaxed));
        let plan = self.plan_at(turn, ask, &intent, &world);
        if let Some(witness) = &self.witness {
            witness.planned(began.elapsed(), &plan);
            if turn.is_multiple_of(MEASURED_EVERY) {
                witness::measure(&**witness, &intent, ask.chain, &ask.edition.rules, &world);
            }
        }
        Arc::new(plan)
    }

    /// Those that were waited for have gone: others may serve now.
    fn plan_anew(&self, turns: &mut Turns, ask: &Ask<'_>) -> Result<Arc<Plan>, Failure> {
        let plan = self.plan(ask);
        if plan.steps.is_empty() {
            return Err(Failure::NobodyLeft(plan));
        }
        turns.renew(&plan);
        Ok(plan)
    }

    fn survey(&self, ask: &Ask<'_>) -> route::World {
        self.survey_as(ask, &ask.request.origin)
    }

    fn survey_as(&self, ask: &Ask<'_>, origin: &Origin) -> route::World {
        let bulk = OnceCell::new();
        let fee = |kind, model: &Model| {
            bulk.get_or_init(|| money::Bulk::of(ask)).fee(kind, model, &ask.edition.manner.prices)
        };
        survey(ask.chain, &self.sources(ask.edition), origin, ask.prefix, &fee)
    }

    fn intent(&self, ask: &Ask<'_>) -> Intent {
        Intent { money: self.money(ask), ..intent(ask, ask.edition.manner.max_hops) }
    }

    fn sources(&self, edition: &Edition) -> Sources<'_> {
        let mesh = self.mesh.as_ref().map(Hearsay::from);
        let here = self.registry.snapshot();
        let kinship = edition.kin.of(&here, mesh.as_ref().map(|mesh| &mesh.peers));
        Sources { here, abroad: &self.abroad, mesh, kinship }
    }

    /// The plan that the next request would get, without being that request.
    fn foresee(&self, ask: &Ask<'_>, intent: &Intent, world: &route::World) -> Plan {
        self.plan_at(self.turn.load(Ordering::Relaxed), ask, intent, world)
    }

    /// Every turn has dice of its own, so that no two requests share a lock and a plan can be foreseen.
    fn plan_at(&self, turn: u64, ask: &Ask<'_>, intent: &Intent, world: &route::World) -> Plan {
        let mut dice = Dice::seed_from_u64(self.chance.wrapping_add(turn));
        route::plan(intent, ask.chain, &ask.edition.rules, world, &mut Chance { turn, dice: &mut dice })
    }

    /// What an answer that is translated here is called.
    fn label_of(&self, id: &RequestId) -> String {
        let bits = self.labels ^ self.labelled.fetch_add(1, Ordering::Relaxed).rotate_left(32);
        let (high, low) = (twox_hash::XxHash3_64::oneshot_with_seed(bits, id.as_str().as_bytes()), bits);
        RequestId::from_bits(u128::from(high) << 64 | u128::from(low)).as_str()["req-".len()..].to_owned()
    }

    fn known(&self) -> Known {
        let here = self.registry.snapshot();
        let unchecked = here.entries.iter().filter(|entry| entry.condition().checked_at.is_none()).count();
        Known { models: survey::every_model(&self.registry, self.mesh.as_ref()), unchecked }
    }

    /// What this peer is called, which depends on who else is there.
    pub fn here(&self) -> Arc<str> {
        self.mesh.as_ref().map_or_else(|| self.name.clone(), Mesh::name)
    }

    /// The first byte is here: the choice is final.
    fn deliver(&self, found: Found, request: &Request, edition: &Edition, mut trip: Trip) -> Reply {
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

/// A request that has been understood.
#[derive(Clone, Copy)]
struct Ask<'a> {
    request: &'a Request,
    asked: &'a Inspection,
    edition: &'a Edition,
    chain: &'a Chain,
    prefix: Option<&'a Prefix>,
}

/// Somebody answers.
struct Found {
    answer: Answer,
    step: Step,
    plan: Arc<Plan>,
    present: Present,
}

/// Most requests that want no stream are told apart without reading them. Ollama's and Google's clients know no comments in
/// a stream.
fn may_stream(request: &Request) -> bool {
    let knows_comments = !matches!(request.endpoint.dialect(), Dialect::Ollama | Dialect::Google);
    knows_comments && memchr::memmem::find(&request.body, b"\"stream\"").is_some()
}

fn asks_for_a_stream(request: &Request) -> bool {
    dialect::inspect(request.endpoint, None, None, &request.body).is_ok_and(|asked| asked.stream)
}

/// The names that may serve. A peer's request has been through aliases and fallbacks already.
fn chain(edition: &Edition, request: &Request, asked: &Inspection) -> Chain {
    match &request.origin {
        Origin::Client => edition.rules.chain(&asked.model),
        Origin::Peer(hop) => Chain::settled(&*hop.asked, &hop.by, &*hop.model),
    }
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

fn intent(ask: &Ask<'_>, max_hops: u8) -> Intent {
    let Ask { request, asked, prefix, .. } = *ask;
    let flag =
        |name: &str| request.headers.get(name).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
    let strict = request.headers.contains_key("x-nexus-strict") && !is_false(request, "x-nexus-strict");
    let mode = if flag("x-nexus-flexible") && !strict { TierMode::Flexible } else { TierMode::Strict };
    let (floors, most, may_hop) = match &request.origin {
        Origin::Client => (None, None, max_hops > 0),
        Origin::Peer(hop) => (Some(Floors { zone: hop.zone, tier: hop.tier }), hop.most, false),
    };
    let prompt = prefix.map(|prefix| Prompt { key: prefix.key, bytes: prefix.bytes(), named: prefix.explicit });
    let endpoint = Some(request.endpoint);
    Intent {
        endpoint,
        needs: asked.needs,
        prompt,
        mode,
        floors,
        most,
        money: None,
        may_hop,
        may_fall_back: floors.is_none(),
    }
}

fn is_false(request: &Request, name: &str) -> bool {
    request.headers.get(name).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"false"))
}

/// Time left until `deadline`.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

#[cfg(test)]
mod tests;

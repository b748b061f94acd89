//! The life of a request: understood, planned, tried on one candidate after the other until one answers, and passed on
//! as it arrives. A client's request and a peer's come through the same door.

mod asking;
mod attempt;
mod cost;
mod error;
mod explain;
mod heartbeat;
mod kinship;
mod lesson;
mod line;
mod notes;
mod outcome;
mod record;
mod reply;
mod scrub;
mod survey;
mod tally;
mod translated;
mod turns;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::header;
use rand::{RngExt, SeedableRng};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::budget::price::Prices;
use crate::dialect::{self, Inspection};
use crate::env::{Clock, Dice, Env, HttpExchange};
use crate::exchange::{Dialect, Endpoint, Origin, Refusal, Reply, Request, RequestId, Serve};
use crate::fleet::{Load, Prefix};
use crate::mesh::Mesh;
use crate::queue::Queue;
use crate::registry::{Abroad, InFlight, Registry};
use crate::route::{self, Chain, Chance, Floors, Intent, Plan, Prompt, Rules, Strategy, TierMode};

pub use kinship::{Kin, Kinship};
pub use survey::{Hearsay, Sources, survey};

use error::Failure;
use outcome::{Answer, Step};
use record::Trip;
use turns::Turns;
use waiting::{Grant, Waited};

/// How requests are treated here.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Time to the first byte of an answer, and between its bytes.
    pub patience: Duration,
    /// Time between signs of life to a client whose stream has nothing to say yet; `None` = none.
    pub heartbeat: Option<Duration>,
    /// Further attempts for each model after the first.
    pub max_retries: u32,
    /// Requests served at once; further ones are turned away.
    pub max_concurrent: u32,
    /// How requests wait for a slot.
    pub queue: crate::queue::Config,
    /// Hops a request of a client may take.
    pub max_hops: u8,
    /// `user` of a request names its conversation.
    pub affinity_by_user: bool,
    /// Write the beginning of prompts to the log.
    pub log_prompts: bool,
    /// The name of this peer.
    pub peer_name: Arc<str>,
    /// What cloud models cost.
    pub prices: Arc<Prices>,
    /// A name that leaves the size of a model or its quantisation open may be served by any of them.
    pub merge_variants: bool,
}

/// How long a place that has just failed is left alone before it is tried again.
const AGAIN_PAUSE: Duration = Duration::from_millis(100);

/// What a semaphore can count, and more than a machine can serve.
const MOST_SLOTS: u32 = 1 << 20;

/// Answers requests from the best backend of the mesh.
pub struct Gateway {
    rules: Rules,
    manner: Manner,
    registry: Arc<Registry>,
    abroad: Arc<Abroad>,
    mesh: Option<Mesh>,
    http: Arc<dyn HttpExchange>,
    slots: Arc<Semaphore>,
    queue: Arc<Queue<InFlight>>,
    cutting: CancellationToken,
    clock: Arc<dyn Clock>,
    kin: Kin,
    turn: AtomicU64,
    chance: u64,
    labels: u64,
    labelled: AtomicU64,
}

impl Gateway {
    /// A gateway to the backends of `registry` and, through `mesh`, to those of other peers.
    pub fn new(rules: Rules, manner: Manner, registry: Arc<Registry>, mesh: Option<Mesh>, env: &Env) -> Self {
        let slots = Arc::new(Semaphore::new(manner.max_concurrent.min(MOST_SLOTS) as usize));
        let queue = Queue::new(manner.queue.size());
        let manner_merges = manner.merge_variants;
        let offered = queue.clone();
        registry.on_free(Box::new(move |entry| offered.offer(&entry.name, || entry.grant())));
        Gateway {
            rules,
            queue,
            slots,
            cutting: CancellationToken::new(),
            manner,
            registry,
            abroad: Arc::default(),
            mesh,
            http: env.http.clone(),
            clock: env.clock.clone(),
            kin: Kin::new(manner_merges),
            turn: AtomicU64::new(0),
            chance: env.seed.fork("routing").random(),
            labels: env.seed.fork("labels").random(),
            labelled: AtomicU64::new(0),
        }
    }

    /// Ends every stream that is still under way, with an error event where its client understands one.
    pub fn cut(&self) {
        self.cutting.cancel();
    }

    /// Answers a client. A stream that has nothing to say for long is kept alive meanwhile.
    pub async fn handle(self: Arc<Self>, request: Request) -> Reply {
        let Some(every) = self.manner.heartbeat.filter(|_| may_stream(&request)) else {
            return self.respond(&request).await;
        };
        let (id, asked) = (request.id.clone(), request.clone());
        let mut pending: heartbeat::Pending = Box::pin(async move { self.respond(&request).await });
        match tokio::time::timeout(every, &mut pending).await {
            Ok(reply) => reply,
            Err(_) if asks_for_a_stream(&asked) => {
                notes::on_waiting(heartbeat::stream_of(pending, every, asked.endpoint.dialect()), &id)
            }
            Err(_) => pending.await,
        }
    }

    /// A failure is an answer, too, in the client's own error shape.
    async fn respond(&self, request: &Request) -> Reply {
        match self.answer(request).await {
            Ok(reply) => reply,
            Err((failure, trip)) => {
                let every_model = || survey::every_model(&self.registry, self.mesh.as_ref());
                let told = failure.told(&trip, every_model, self.manner.patience, request.endpoint);
                trip.fail(told.fault.status, &told.fault.message);
                notes::on_fault(&told, request.endpoint.dialect(), &request.id, &self.here())
            }
        }
    }

    async fn answer(&self, request: &Request) -> Result<Reply, (Failure, Trip)> {
        let mut trip = Trip::begin(request);
        let found = tokio::select! {
            biased;
            found = self.find(request, &mut trip) => found,
            () = self.cutting.cancelled() => Err(Failure::Draining),
        };
        match found {
            Ok(found) => Ok(self.deliver(found, request, trip)),
            Err(failure) => Err((failure, trip)),
        }
    }

    /// The story: understood, planned, tried, until somebody answers.
    async fn find(&self, request: &Request, trip: &mut Trip) -> Result<Found, Failure> {
        let slot =
            self.slots.clone().try_acquire_owned().map_err(|_| Failure::Overloaded(self.manner.max_concurrent))?;
        let content_type = request.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let asked = dialect::inspect(request.endpoint, request.model.as_deref(), content_type, &request.body)
            .map_err(Failure::Bad)?;
        trip.understood(&asked, self.manner.log_prompts.then_some(&request.body));
        check_caller(request, &asked)?;

        let chain = self.chain(request, &asked);
        let prefix = dialect::prefix_of(&asked, &request.headers, self.manner.affinity_by_user);
        let ask = Ask { request, asked: &asked, chain: &chain, prefix: prefix.as_ref() };
        let mut plan = self.plan(&ask);
        trip.planned(&chain, &plan);

        let deadline = trip.started + self.patience(request);
        let mut turns = Turns::new(&plan, self.manner.max_retries);
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
                        continue;
                    }
                },
                None => match self.wait(&mut turns, &ask, deadline, trip).await {
                    Ok(Waited::Granted(step, grant)) => (*step, grant),
                    Ok(Waited::ForNobody) => break,
                    Ok(Waited::InVain) => {
                        plan = self.plan_anew(&mut turns, &ask)?;
                        continue;
                    }
                    // What a backend said is more than that another had no slot.
                    Err(_) if turns.has_last_resort() => break,
                    Err(failure) => return Err(failure),
                },
            };
            match self.attempt(&step, grant, &ask).await {
                Ok(answer) => return Ok(Found { answer, step, plan, slot }),
                Err(miss) => {
                    let is_news = miss.is_news();
                    trip.missed(turns.missed(step, miss));
                    if is_news && plan.strategy == Strategy::Adaptive {
                        plan = self.plan(&ask);
                        turns.reorder(&plan);
                    }
                }
            }
        }
        match turns.last_resort() {
            Some((step, answer)) => Ok(Found { answer, step, plan, slot }),
            None if plan.steps.is_empty() => Err(Failure::NoCandidate(Box::new(plan))),
            None => Err(Failure::AllMissed(turns.into_missed())),
        }
    }

    /// The names that may serve. A peer's request has been through aliases and fallbacks already.
    fn chain(&self, request: &Request, asked: &Inspection) -> Chain {
        match &request.origin {
            Origin::Client => self.rules.chain(&asked.model),
            Origin::Peer(hop) => Chain::settled(&*hop.asked, &*hop.model),
        }
    }

    /// The plan for a request, by what is known at this instant.
    fn plan(&self, ask: &Ask<'_>) -> Plan {
        let world = self.survey(ask);
        let intent = intent(ask, self.manner.max_hops);
        self.plan_at(self.turn.fetch_add(1, Ordering::Relaxed), &intent, ask.chain, &world)
    }

    /// Those that were waited for have gone: others may serve now.
    fn plan_anew(&self, turns: &mut Turns, ask: &Ask<'_>) -> Result<Plan, Failure> {
        let plan = self.plan(ask);
        if plan.steps.is_empty() {
            return Err(Failure::NobodyLeft(Box::new(plan)));
        }
        turns.renew(&plan);
        Ok(plan)
    }

    fn survey(&self, ask: &Ask<'_>) -> route::World {
        survey(ask.chain, &self.sources(), &ask.request.origin, ask.prefix)
    }

    fn sources(&self) -> Sources<'_> {
        let mesh = self.mesh.as_ref().map(Hearsay::from);
        let here = self.registry.snapshot();
        let kinship = self.kin.of(&here, mesh.as_ref().map(|mesh| &mesh.peers));
        Sources { here, abroad: &self.abroad, mesh, kinship }
    }

    /// The plan that the next request would get, without being that request.
    fn foresee(&self, intent: &Intent, chain: &Chain, world: &route::World) -> Plan {
        self.plan_at(self.turn.load(Ordering::Relaxed), intent, chain, world)
    }

    /// Every turn has dice of its own, so that no two requests share a lock and a plan can be foreseen.
    fn plan_at(&self, turn: u64, intent: &Intent, chain: &Chain, world: &route::World) -> Plan {
        let mut dice = Dice::seed_from_u64(self.chance.wrapping_add(turn));
        route::plan(intent, chain, &self.rules, world, &mut Chance { turn, dice: &mut dice })
    }

    /// What an answer that is translated here is called.
    fn label_of(&self, id: &RequestId) -> String {
        let bits = self.labels ^ self.labelled.fetch_add(1, Ordering::Relaxed).rotate_left(32);
        let (high, low) = (twox_hash::XxHash3_64::oneshot_with_seed(bits, id.as_str().as_bytes()), bits);
        RequestId::from_bits(u128::from(high) << 64 | u128::from(low)).as_str()["req-".len()..].to_owned()
    }

    fn patience(&self, request: &Request) -> Duration {
        match &request.origin {
            Origin::Client => self.manner.patience,
            Origin::Peer(hop) => hop.time_left.min(self.manner.patience),
        }
    }

    /// What this peer is called, which depends on who else is there.
    fn here(&self) -> Arc<str> {
        self.mesh.as_ref().map_or_else(|| self.manner.peer_name.clone(), Mesh::name)
    }

    /// The first byte is here: the choice is final.
    fn deliver(&self, found: Found, request: &Request, mut trip: Trip) -> Reply {
        let Found { mut answer, step, plan, slot } = found;
        let is_entry = matches!(request.origin, Origin::Client);
        trip.answered(&answer, &step, &plan);
        let note = notes::Note {
            answer: &answer,
            step: &step,
            trip: &trip,
            here: &self.here(),
            request_id: &request.id,
            for_peer: !is_entry,
        };
        let headers = note.headers();
        let held =
            reply::Held { lease: answer.lease.take(), away: answer.away.take(), lesson: answer.lesson.take(), slot };
        let bounds = reply::Bounds { patience: self.manner.patience, cutting: self.cutting.clone() };
        let endpoint = request.endpoint;
        let tells_its_end = endpoint.is_chat() || endpoint == Endpoint::Completions;
        let to = reply::To { dialect: endpoint.dialect(), is_entry, tells_its_end };
        reply::pass_on(answer, headers, trip, held, bounds, to)
    }
}

/// A request that has been understood.
struct Ask<'a> {
    request: &'a Request,
    asked: &'a Inspection,
    chain: &'a Chain,
    prefix: Option<&'a Prefix>,
}

/// Somebody answers.
struct Found {
    answer: Answer,
    step: Step,
    plan: Plan,
    slot: OwnedSemaphorePermit,
}

impl Serve for Gateway {
    fn serve(&self, request: Request) -> BoxFuture<'_, Result<Reply, Refusal>> {
        Box::pin(async move {
            let mut answered = self.answer(&request).await;
            if let (Ok(reply), Some(load)) = (&mut answered, self.load_asked_for(&request)) {
                reply.extensions_mut().insert(load);
            }
            answered.map_err(|(failure, trip)| {
                let mut refusal = failure.refusal(&trip);
                refusal.load = self.load_asked_for(&request);
                trip.refuse(&refusal);
                refusal
            })
        })
    }
}

impl Gateway {
    /// How busy the backend is that a peer has in mind, now.
    fn load_asked_for(&self, request: &Request) -> Option<Load> {
        let Origin::Peer(hop) = &request.origin else { return None };
        self.registry.snapshot().get(&hop.backend).map(|entry| entry.load())
    }
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
    let (floors, may_hop) = match &request.origin {
        Origin::Client => (None, max_hops > 0),
        Origin::Peer(hop) => (Some(Floors { zone: hop.zone, tier: hop.tier }), false),
    };
    let prompt = prefix.map(|prefix| Prompt { key: prefix.key, bytes: prefix.bytes(), named: prefix.explicit });
    let endpoint = Some(request.endpoint);
    Intent { endpoint, needs: asked.needs, prompt, mode, floors, may_hop, may_fall_back: floors.is_none() }
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

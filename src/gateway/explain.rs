//! What would be done with a request, now, with nothing sent to any backend. It makes the same survey and the same plan
//! as a request would get; only chance, where a strategy uses it, may fall otherwise the next time.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::error::{Failure, forbidden, no_candidate};
use super::planning::chain;
use super::{Ask, Gateway, check_caller};
use crate::dialect::{self, Fault};
use crate::exchange::Request;
use crate::fleet::Breaker;
use crate::route::{Candidate, Place, Plan, Rejection, Step, World};

impl Gateway {
    /// The plan for `request`, as JSON: every candidate of every model of the chain, kept or rejected and why, what its
    /// rank was made of, and the age of the news.
    ///
    /// # Errors
    /// The request is none.
    pub fn explain(&self, request: &Request) -> Result<Value, Box<Fault>> {
        let bad = |error: dialect::BadRequest| Box::new(Fault::bad_request(error.to_string()));
        let asked = dialect::inspect(request.endpoint, request.model.as_deref(), None, &request.body).map_err(bad)?;
        if let Err(Failure::Forbidden { caller, model }) = check_caller(request, &asked) {
            return Err(Box::new(forbidden(&caller, &model)));
        }
        let edition = self.rulebook.edition();
        let chain = chain(&edition, request, &asked);
        let prefix = dialect::prefix_of(&asked, &request.headers, edition.manner.affinity_by_user);
        let ask = Ask { request, asked: &asked, edition: &edition, chain: &chain, prefix: prefix.as_ref() };
        let world = self.survey(&ask);
        let plan = self.foresee(&ask, &self.intent(&ask), &world);

        let kept = plan.steps.iter().enumerate().map(|(at, step)| self.kept(at, step, &world));
        let rejected = plan.rejections.iter().map(|rejection| self.rejected(rejection, &world));
        let candidates: Vec<Value> = kept.chain(rejected).collect();
        let refusal = plan.steps.is_empty().then(|| {
            let fault = no_candidate(&plan, &asked.model, || self.known(), request.endpoint, &self.here()).fault;
            json!({ "status": fault.status.as_u16(), "code": fault.code, "message": fault.message })
        });
        Ok(json!({
            "model": asked.model,
            "resolved": chain.resolved,
            "aliases": chain.steps.iter().map(|(from, to)| json!([from, to])).collect::<Vec<_>>(),
            "fallbacks": chain.fallbacks,
            "needs": asked.needs,
            "strategy": plan.strategy,
            "zone": plan.zone,
            "tier": plan.tier,
            "candidates": candidates,
            "chosen": self.chosen(&plan),
            "refusal": refusal,
        }))
    }

    /// Whether nobody may serve this request of a stranger, and somebody might whom it would cost.
    pub fn is_barred_as_stranger(&self, request: &Request) -> bool {
        let Ok(asked) = dialect::inspect(request.endpoint, request.model.as_deref(), None, &request.body) else {
            return false;
        };
        let edition = self.rulebook.edition();
        let chain = chain(&edition, request, &asked);
        let ask = Ask { request, asked: &asked, edition: &edition, chain: &chain, prefix: None };
        let plan = self.foresee(&ask, &self.intent(&ask), &self.survey(&ask));
        plan.steps.is_empty() && plan.rejections.iter().any(Rejection::is_of_a_stranger)
    }

    fn chosen(&self, plan: &Plan) -> Option<Value> {
        let step = plan.steps.first()?;
        Some(json!({ "peer": self.peer_of(&step.place), "backend": step.place.backend(), "model": step.served.id }))
    }

    fn kept(&self, at: usize, step: &Step, world: &World) -> Value {
        let mut told = self.told(&step.place, &step.model, world);
        rank(&mut told, at, step);
        told
    }

    fn rejected(&self, rejection: &Rejection, world: &World) -> Value {
        let mut told = self.told(&rejection.place, &rejection.model, world);
        reject(&mut told, rejection);
        told
    }

    /// What is known of a place, kept or not.
    fn told(&self, place: &Place, model: &str, world: &World) -> Value {
        let known = world.offers.iter().filter(|offer| &*offer.model == model).flat_map(|offer| &offer.candidates);
        let candidate = known.into_iter().find(|candidate| candidate.place == *place);
        json!({
            "peer": self.peer_of(place),
            "backend": place.backend(),
            "model": model,
            "terms": candidate.map(terms).unwrap_or_else(|| json!({})),
            "breakers": self.breakers(place, model).iter().map(told_breaker).collect::<Vec<_>>(),
            "fact_age_ms": candidate.and_then(|candidate| candidate.fact_age).map_or(Value::Null, |age| json!(age.as_millis())),
        })
    }

    /// The breakers that guard `model` at a place and are not closed.
    fn breakers(&self, place: &Place, model: &str) -> Vec<Breaker> {
        let mut breakers = match (place, &self.mesh) {
            (Place::Here { backend }, _) => {
                self.registry.snapshot().get(backend).map(|entry| entry.breakers()).unwrap_or_default()
            }
            (Place::There { peer, backend, .. }, Some(mesh)) => {
                let (peers, now) = (mesh.peers(), Instant::now());
                let theirs =
                    peers.get(peer).and_then(|peer| peer.backends.iter().find(|one| one.about.name == **backend));
                theirs.map(|backend| backend.breakers(now).collect()).unwrap_or_default()
            }
            (Place::There { .. }, None) => Vec::new(),
        };
        breakers.retain(|breaker| breaker.guards(model));
        breakers
    }

    fn peer_of(&self, place: &Place) -> String {
        place.peer_name().map_or_else(|| self.here().to_string(), ToString::to_string)
    }
}

/// Writes down that a place was kept, and what its rank was made of. `told` has its `terms`.
pub(super) fn rank(told: &mut Value, at: usize, step: &Step) {
    told["verdict"] = "kept".into();
    told["rank"] = (at + 1).into();
    told["fallback"] = step.fallback.into();
    for (term, time) in [("wait_ms", step.estimate.wait), ("service_ms", step.estimate.service)] {
        told["terms"][term] = millis(time).into();
    }
    told["terms"]["expected_ms"] = millis(step.estimate.total()).into();
    told["terms"]["held_tokens"] = step.estimate.held.into();
    if let Some(score) = step.score {
        for (term, value) in [
            ("priority", score.priority),
            ("load", score.load),
            ("latency", score.latency),
            ("ttft_penalty", score.penalty),
            ("total", score.total),
        ] {
            told["terms"][term] = value.into();
        }
    }
    if let Some((wanted, got)) = step.downgraded {
        told["tier_downgraded"] = format!("{}->{}", wanted.get(), got.get()).into();
    }
}

/// Writes down that a place was rejected, and why.
pub(super) fn reject(told: &mut Value, rejection: &Rejection) {
    told["verdict"] = "rejected".into();
    told["rule"] = rejection.rule().as_str().into();
    told["reason"] = rejection.reason().into();
    told["suggested_action"] = rejection.suggested_action().into();
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn told_breaker(breaker: &Breaker) -> Value {
    json!({
        "kind": breaker.trouble.as_str(),
        "state": breaker.state(),
        "seconds_until_probe": breaker.seconds_until_probe(),
        "reason": breaker.to_string(),
    })
}

/// What the rank of a candidate goes by.
fn terms(candidate: &Candidate) -> Value {
    let load = &candidate.load;
    json!({
        "status": candidate.status,
        "suspect": candidate.suspect,
        "zone": candidate.effective_zone(),
        "tier": candidate.tier,
        "configured_priority": candidate.priority,
        "in_flight": load.in_flight,
        "queued": load.queued,
        "concurrency": load.concurrency,
        "expected_wait_ms": millis(load.expected_wait()),
        "residency": candidate.residency,
        "prefill_tokens_per_second": candidate.pace.prefill,
        "decode_tokens_per_second": candidate.pace.decode,
        "latency_ms": load.latency_ms,
        "ttft_ms": load.ttft_ms,
        "tokens_per_second": load.tokens_per_second,
    })
}

//! From a request that has been understood to the plan for it: who may serve by what is known at this instant, what is
//! asked for, and the chance that belongs to its turn. It tries nobody.

use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rand::SeedableRng;
use tokio::time::Instant;

use super::error::Failure;
use super::rulebook::Edition;
use super::turns::Turns;
use super::{Ask, Gateway, Hearsay, Sources, money, survey, witness};
use crate::dialect::Inspection;
use crate::env::Dice;
use crate::exchange::{Origin, Request};
use crate::fleet::Model;
use crate::route::{self, Chain, Chance, Floors, Intent, Plan, Prompt, TierMode};

/// Of so many plans one is measured part by part.
const MEASURED_EVERY: u64 = 64;

impl Gateway {
    /// The plan for a request, by what is known at this instant.
    pub(super) fn plan(&self, ask: &Ask<'_>) -> Arc<Plan> {
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
    pub(super) fn plan_anew(&self, turns: &mut Turns, ask: &Ask<'_>) -> Result<Arc<Plan>, Failure> {
        let plan = self.plan(ask);
        if plan.steps.is_empty() {
            return Err(Failure::NobodyLeft(plan));
        }
        turns.renew(&plan);
        Ok(plan)
    }

    pub(super) fn survey(&self, ask: &Ask<'_>) -> route::World {
        self.survey_as(ask, &ask.request.origin)
    }

    pub(super) fn survey_as(&self, ask: &Ask<'_>, origin: &Origin) -> route::World {
        let bulk = OnceCell::new();
        let fee = |kind, model: &Model| {
            bulk.get_or_init(|| money::Bulk::of(ask)).fee(kind, model, &ask.edition.manner.prices)
        };
        survey(ask.chain, &self.sources(ask.edition), origin, ask.prefix, &fee)
    }

    pub(super) fn intent(&self, ask: &Ask<'_>) -> Intent {
        Intent { money: self.money(ask), ..intent(ask, ask.edition.manner.max_hops) }
    }

    pub(super) fn sources(&self, edition: &Edition) -> Sources<'_> {
        let mesh = self.mesh.as_ref().map(Hearsay::from);
        let here = self.registry.snapshot();
        let kinship = edition.kin.of(&here, mesh.as_ref().map(|mesh| &mesh.peers));
        Sources { here, abroad: &self.abroad, mesh, kinship }
    }

    /// The plan that the next request would get, without being that request.
    pub(super) fn foresee(&self, ask: &Ask<'_>, intent: &Intent, world: &route::World) -> Plan {
        self.plan_at(self.turn.load(Ordering::Relaxed), ask, intent, world)
    }

    /// Every turn has dice of its own, so that no two requests share a lock and a plan can be foreseen.
    pub(super) fn plan_at(&self, turn: u64, ask: &Ask<'_>, intent: &Intent, world: &route::World) -> Plan {
        let mut dice = Dice::seed_from_u64(self.chance.wrapping_add(turn));
        route::plan(intent, ask.chain, &ask.edition.rules, world, &mut Chance { turn, dice: &mut dice })
    }
}

/// The names that may serve. A peer's request has been through aliases and fallbacks already.
pub(super) fn chain(edition: &Edition, request: &Request, asked: &Inspection) -> Chain {
    match &request.origin {
        Origin::Client => edition.rules.chain(&asked.model),
        Origin::Peer(hop) => Chain::settled(&*hop.asked, &hop.by, &*hop.model),
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

//! One part of routing by itself, so that it can be measured: a plan asks all of them of each candidate in turn, and has no
//! clock. Nothing is decided here.

use super::intent::Intent;
use super::rejection::Rule;
use super::world::World;
use super::{Chain, Rules, stage};

/// How many candidates of `world` one part of routing objects to.
pub fn objections(rule: Rule, intent: &Intent, chain: &Chain, rules: &Rules, world: &World) -> usize {
    let demand = rules.demand(chain);
    let floors = demand.floors.stricter(intent.floors.unwrap_or_default());
    let candidates = world.offers.iter().flat_map(|offer| &offer.candidates);
    let objects = candidates.filter(|candidate| match rule {
        Rule::Privacy => stage::zone::objection(candidate, floors.zone).is_some(),
        Rule::Tier => stage::tier::objection(candidate, floors.tier).is_some(),
        Rule::Budget => stage::budget::objection(candidate, intent.money, intent.most).is_some(),
        Rule::Lifecycle => stage::status::objection(candidate).is_some(),
        Rule::Scheduler => {
            stage::endpoint::objection(candidate, intent.endpoint).is_some()
                || stage::capability::objection(candidate, &intent.needs).is_some()
                || stage::hops::objection(candidate, intent.may_hop).is_some()
        }
    });
    objects.count()
}

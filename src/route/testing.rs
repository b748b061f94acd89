//! Candidates and worlds for the tests of routing.

use std::sync::Arc;

use super::{Candidate, Chain, Chance, Config, Fee, Intent, Offer, Place, Plan, Rules, World, plan};
use crate::env::Seed;
use crate::fleet::{Kind, Load, Model, Pace, PeerId, Residency, Status, Tier, Zone};

/// A healthy backend of this peer with the model `m`.
pub(super) fn candidate(name: &str, zone: Zone, tier_of: u8) -> Candidate {
    Candidate {
        place: here(name),
        kind: Kind::Generic,
        zone,
        tier: tier(tier_of),
        priority: 50,
        status: Status::Healthy,
        suspect: false,
        model: Arc::new(Model::named("m")),
        load: Load::default(),
        pace: Pace::default(),
        residency: Residency::Unknown,
        held: 0,
        knows: false,
        seat: super::seat(None, name),
        fact_age: None,
        trusted: true,
        fee: Fee::Free,
    }
}

pub(super) fn tier(number: u8) -> Tier {
    Tier::try_from(number).expect("1 to 5")
}

pub(super) fn here(backend: &str) -> Place {
    Place::Here { backend: backend.into() }
}

pub(super) fn there(backend: &str, peer: &str) -> Place {
    Place::There { peer: PeerId::from_text(peer), peer_name: peer.into(), backend: backend.into() }
}

pub(super) fn offer(model: &str, candidates: Vec<Candidate>) -> Offer {
    Offer { model: model.into(), candidates }
}

pub(super) fn rules(text: &str) -> Rules {
    let config: Config = toml::from_str(text).expect("valid TOML");
    Rules::new(&config).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// An intent that allows everything.
pub(super) fn anything() -> Intent {
    Intent { may_hop: true, may_fall_back: true, ..Intent::default() }
}

pub(super) fn planned(intent: &Intent, chain: &Chain, rules: &Rules, world: &World, turn: u64) -> Plan {
    let mut dice = Seed::fixed(turn).fork("plan");
    plan(intent, chain, rules, world, &mut Chance { turn, dice: &mut dice })
}

/// The backends of a plan, in order.
pub(super) fn backends(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().map(|step| &**step.place.backend()).collect()
}

/// A world in which only the model `m` is on offer.
pub(super) fn world(candidates: Vec<Candidate>) -> World {
    World { offers: vec![offer("m", candidates)] }
}

pub(super) fn plan_of(rules: &Rules, world: &World, asked: &str) -> Plan {
    planned(&anything(), &rules.chain(asked), rules, world, 0)
}

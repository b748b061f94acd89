//! What holds for every fleet, whatever is wrong with it.

use std::collections::HashSet;
use std::sync::Arc;

use rand::RngExt;
use rand::seq::{IndexedRandom, SliceRandom};

use crate::env::{Dice, Seed};
use crate::fleet::{Load, Model, Needs, Status, Support, Tier, Zone};
use crate::route::testing::*;
use crate::route::{Candidate, Chain, Floors, Intent, Place, Plan, Rules, TierMode, World};

/// A fleet of everything that can be wrong with one.
fn random_world(dice: &mut Dice) -> World {
    let offers = ["m", "n", "o"].iter().filter_map(|model| {
        let candidates = (0..dice.random_range(0..5)).map(|_| random_candidate(dice, model)).collect();
        dice.random_bool(0.8).then(|| offer(model, candidates))
    });
    World { offers: offers.collect() }
}

fn random_candidate(dice: &mut Dice, model: &str) -> Candidate {
    let backend = ["a", "b", "c"].choose(dice).copied().unwrap_or("a");
    let place = match dice.random_range(0..3) {
        0 => here(backend),
        peer => there(backend, &format!("p{peer}")),
    };
    let support = |dice: &mut Dice| [Support::Yes, Support::No, Support::Unknown][dice.random_range(0..3)];
    let id = if dice.random_bool(0.1) { format!("{model}:cloud") } else { model.to_owned() };
    let model =
        Model { tools: support(dice), context_length: dice.random_bool(0.3).then_some(100), ..Model::named(id) };
    let statuses = [Status::Healthy, Status::Healthy, Status::Unknown, Status::Unhealthy, Status::Draining];
    Candidate {
        place,
        zone: if dice.random_bool(0.5) { Zone::Open } else { Zone::Restricted },
        tier: tier(dice.random_range(1..=5)),
        priority: dice.random_range(0..150),
        status: statuses[dice.random_range(0..statuses.len())],
        suspect: dice.random_bool(0.2),
        model: Arc::new(model),
        load: Load {
            in_flight: dice.random_range(0..5),
            concurrency: dice.random_bool(0.5).then_some(3),
            latency_ms: dice.random_bool(0.5).then(|| dice.random_range(0..2000)),
            tokens_per_second: dice.random_bool(0.5).then(|| dice.random_range(1.0..200.0)),
            ..Load::default()
        },
        trusted: dice.random_bool(0.5),
        ..candidate(backend, Zone::Open, 1)
    }
}

struct Case {
    rules: Rules,
    chain: Chain,
    intent: Intent,
    zone: Zone,
    tier: Option<Tier>,
}

/// Rules in which the policy of `asked` (an alias of `m`), or that of `m`, is known to the test.
fn random_case(dice: &mut Dice) -> Case {
    let strategy = ["smart", "round_robin", "priority_only", "random", "adaptive"][dice.random_range(0..5)];
    let restricted = dice.random_bool(0.6);
    let wanted = dice.random_bool(0.6).then(|| dice.random_range(1..=5_u8));
    let holder = if dice.random_bool(0.5) { "asked" } else { "m" };
    let privacy = if restricted { "restricted" } else { "unrestricted" };
    let min_tier = wanted.map(|number| format!("min_tier = {number}")).unwrap_or_default();
    let rules = rules(&format!(
        "strategy = \"{strategy}\"\naliases = {{ asked = \"m\" }}\nfallbacks = {{ m = [\"n\", \"o\"] }}\n\
         [policies.{holder}]\nprivacy = \"{privacy}\"\n{min_tier}\n[policies.o]\nprivacy = \"restricted\"\n"
    ));
    let floors = dice.random_bool(0.3).then(|| Floors {
        zone: if dice.random_bool(0.5) { Zone::Open } else { Zone::Restricted },
        tier: dice.random_bool(0.5).then(|| tier(dice.random_range(1..=5))),
    });
    let intent = Intent {
        most: None,
        money: None,
        endpoint: None,
        prompt: None,
        needs: Needs { tools: dice.random_bool(0.3), prompt_bytes: dice.random_range(0..800), ..Needs::default() },
        mode: if dice.random_bool(0.5) { TierMode::Strict } else { TierMode::Flexible },
        floors,
        may_hop: dice.random_bool(0.8),
        may_fall_back: dice.random_bool(0.9),
    };
    let demand = if restricted { Zone::Restricted } else { Zone::Open };
    let entry = floors.unwrap_or_default();
    Case {
        chain: rules.chain("asked"),
        rules,
        zone: demand.max(entry.zone),
        tier: wanted.map(tier).max(entry.tier),
        intent,
    }
}

fn check_places(case: &Case, plan: &Plan, world: &World, seed: u64) {
    for step in &plan.steps {
        let offer = world.offer(&step.model).expect("it is of this world");
        let candidate =
            offer.candidates.iter().find(|candidate| candidate.place == step.place).expect("it is of this offer");
        let demand = if &*step.model == "o" { Zone::Restricted } else { case.zone };
        if demand == Zone::Restricted {
            assert_eq!(step.zone, Zone::Restricted, "seed {seed}: a restricted request reaches an open place");
            assert!(!candidate.model.leaves_the_machine(), "seed {seed}");
            assert!(step.place.is_here() || candidate.trusted, "seed {seed}: a restricted request reaches a stranger");
        }
        assert!(step.place.is_here() || case.intent.may_hop, "seed {seed}: one hop too many");
        let lowest = if case.intent.mode == TierMode::Strict {
            case.tier
        } else {
            case.intent.floors.and_then(|floors| floors.tier)
        };
        if let Some((_, got)) = step.downgraded {
            assert_eq!(case.intent.mode, TierMode::Flexible, "seed {seed}");
            assert!(Some(got) >= lowest, "seed {seed}: below what the entry demands");
            assert!(
                plan.steps.iter().all(|step| step.downgraded.is_some()),
                "seed {seed}: lower though others qualify"
            );
        } else {
            assert!(Some(candidate.tier) >= case.tier, "seed {seed}: below the tier");
        }
    }
}

/// Some 10^5 fleets, policies, failures, fallbacks and peers.
#[test]
fn no_plan_breaks_a_policy_repeats_a_place_or_depends_on_the_order_of_the_world() {
    for seed in 0..100_000 {
        let mut dice = Seed::fixed(seed).fork("fleet");
        let mut world = random_world(&mut dice);
        world.offers.iter_mut().for_each(|offer| unique(&mut offer.candidates));
        let case = random_case(&mut dice);
        let plan = planned(&case.intent, &case.chain, &case.rules, &world, seed);
        check_places(&case, &plan, &world, seed);
        let mut places: Vec<(&str, &Place)> = plan.steps.iter().map(|step| (&*step.model, &step.place)).collect();
        places.extend(plan.rejections.iter().map(|rejection| (&*rejection.model, &rejection.place)));
        let distinct: HashSet<_> = places.iter().collect();
        assert_eq!(distinct.len(), places.len(), "seed {seed}: a place both or twice");
        let members = case.chain.models().take(if case.intent.may_fall_back { 3 } else { 1 });
        let all: usize = members.filter_map(|model| world.offer(model)).map(|offer| offer.candidates.len()).sum();
        assert_eq!(places.len(), all, "seed {seed}: a place is neither tried nor rejected");
        world.offers.shuffle(&mut dice);
        world.offers.iter_mut().for_each(|offer| offer.candidates.shuffle(&mut dice));
        let again = planned(&case.intent, &case.chain, &case.rules, &world, seed);
        assert_eq!(again.steps, plan.steps, "seed {seed}: the order of the world decides");
    }
}

fn unique(candidates: &mut Vec<Candidate>) {
    let mut seen = HashSet::new();
    candidates.retain(|candidate| seen.insert(candidate.place.clone()));
}

//! The order of a plan under each strategy.

use std::collections::HashSet;

use crate::fleet::{HardLimitAction, Load, Zone};
use crate::route::testing::*;
use crate::route::{Candidate, Fee, Intent, Money, World};

#[test]
fn smart_breaks_ties_by_place_then_pending_then_name() {
    let mut busy = candidate("a", Zone::Restricted, 1);
    busy.load.in_flight = 1;
    let mut far = candidate("b", Zone::Restricted, 1);
    far.place = there("b", "p1");
    let mut farther = far.clone();
    farther.place = there("b", "p2");
    let world =
        world(vec![farther, busy, far, candidate("d", Zone::Restricted, 1), candidate("c", Zone::Restricted, 1)]);
    let rules = rules("strategy = \"smart\"\nweights = { load = 0 }");
    let plan = plan_of(&rules, &world, "m");
    assert_eq!(backends(&plan), ["c", "d", "a", "b", "b"]);
    assert_eq!(plan.steps[3].place, there("b", "p1"));
    assert_eq!(plan.steps[0].score.map(|score| score.total), Some((50 * 50 + 20 * 100) / 70));
}

#[test]
fn priority_is_obeyed_by_smart_and_priority_only() {
    let with = |name: &str, priority: u32, in_flight: u32| {
        let mut candidate = candidate(name, Zone::Restricted, 1);
        candidate.priority = priority;
        candidate.load.in_flight = in_flight;
        candidate
    };
    let world = world(vec![with("a", 99, 0), with("b", 1, 9)]);
    for strategy in ["smart", "priority_only"] {
        let rules = rules(&format!("strategy = \"{strategy}\""));
        assert_eq!(backends(&plan_of(&rules, &world, "m")), ["b", "a"], "{strategy}");
    }
}

#[test]
fn round_robin_takes_turns_and_suspects_wait_behind() {
    let mut suspect = candidate("a", Zone::Restricted, 1);
    suspect.suspect = true;
    let world = world(vec![
        candidate("d", Zone::Open, 1),
        suspect,
        candidate("b", Zone::Open, 1),
        candidate("c", Zone::Open, 1),
    ]);
    let rules = rules("strategy = \"round_robin\"");
    let chain = rules.chain("m");
    for (turn, expected) in [(0, "bcda"), (1, "cdba"), (2, "dbca"), (3, "bcda"), (u64::MAX, "bcda")] {
        let plan = planned(&anything(), &chain, &rules, &world, turn);
        assert_eq!(backends(&plan).concat(), expected, "turn {turn}");
    }
}

#[test]
fn random_reaches_every_order() {
    let world =
        world(vec![candidate("a", Zone::Open, 1), candidate("b", Zone::Open, 1), candidate("c", Zone::Open, 1)]);
    let rules = rules("strategy = \"random\"");
    let chain = rules.chain("m");
    let orders: HashSet<String> =
        (0..200).map(|turn| backends(&planned(&anything(), &chain, &rules, &world, turn)).concat()).collect();
    assert_eq!(orders.len(), 6);
}

#[test]
fn adaptive_prefers_what_answers_sooner() {
    let with = |name: &str, load: Load| Candidate { load, ..candidate(name, Zone::Restricted, 1) };
    let speed = |tokens_per_second: f32| Load {
        ttft_ms: Some(100),
        tokens_per_second: Some(tokens_per_second),
        ..Load::default()
    };
    let full = Load { in_flight: 2, concurrency: Some(2), ..speed(500.0) };
    let busy = |in_flight| Load { in_flight, ..speed(100.0) };
    let rules = rules("");
    let order = |candidates: Vec<Candidate>| backends(&plan_of(&rules, &world(candidates), "m")).concat();
    assert_eq!(
        order(vec![with("a", speed(10.0)), with("b", speed(100.0)), with("c", full)]),
        "cba",
        "a short wait for the fastest"
    );
    assert_eq!(order(vec![with("a", speed(30.0)), with("b", busy(6))]), "ba");
    assert_eq!(order(vec![with("a", speed(30.0)), with("b", busy(40))]), "ab");
    let mut far = with("a", speed(101.0));
    far.place = there("a", "p");
    assert_eq!(order(vec![far.clone(), with("b", speed(100.0))]), "ba", "a near tie stays here");
    far.load = speed(200.0);
    assert_eq!(order(vec![far, with("b", speed(100.0))]), "ab");
    assert_eq!(order(vec![with("a", speed(20.0)), with("b", Load::default())]).len(), 2);
    assert_eq!(order(vec![with("a", speed(f32::NAN)), with("b", speed(-1.0)), with("c", speed(0.0))]).len(), 3);
}

#[test]
fn adaptive_spreads_near_ties() {
    let world =
        world(vec![candidate("a", Zone::Open, 1), candidate("b", Zone::Open, 1), candidate("c", Zone::Open, 1)]);
    let rules = rules("");
    let chain = rules.chain("m");
    let firsts: HashSet<String> =
        (0..100).map(|turn| backends(&planned(&anything(), &chain, &rules, &world, turn))[0].to_owned()).collect();
    assert_eq!(firsts.len(), 3);
}

#[test]
fn adaptive_obeys_priority_among_near_ties() {
    let first = Candidate { priority: 1, ..candidate("b", Zone::Restricted, 1) };
    let world = world(vec![candidate("a", Zone::Restricted, 1), first, candidate("c", Zone::Restricted, 1)]);
    let rules = rules("");
    let chain = rules.chain("m");
    for turn in 0..50 {
        assert_eq!(backends(&planned(&anything(), &chain, &rules, &world, turn))[0], "b");
    }
}

#[test]
fn suspects_come_after_all_others_of_the_model_under_every_strategy() {
    let suspect = Candidate { priority: 0, suspect: true, ..candidate("a", Zone::Restricted, 1) };
    let late = Candidate { priority: 99, ..candidate("b", Zone::Restricted, 1) };
    let world =
        World { offers: vec![offer("m", vec![suspect, late]), offer("n", vec![candidate("c", Zone::Restricted, 1)])] };
    for strategy in ["smart", "round_robin", "priority_only", "random", "adaptive"] {
        let rules = rules(&format!("strategy = \"{strategy}\"\nfallbacks = {{ m = [\"n\"] }}"));
        for turn in 0..10 {
            let plan = planned(&anything(), &rules.chain("m"), &rules, &world, turn);
            assert_eq!(backends(&plan), ["b", "a", "c"], "{strategy}");
        }
    }
}

#[test]
fn a_full_model_is_waited_for_only_where_no_other_may_answer() {
    let full = Load { in_flight: 1, concurrency: Some(1), ..Load::default() };
    let busy = |name: &str| Candidate { load: full, ..candidate(name, Zone::Restricted, 1) };
    let worths = |first: Vec<Candidate>, fallback: Vec<Candidate>| -> Vec<bool> {
        let rules = rules("fallbacks = { m = [\"n\"] }");
        let world = World { offers: vec![offer("m", first), offer("n", fallback)] };
        plan_of(&rules, &world, "m").steps.iter().map(|step| !step.worth.is_zero()).collect()
    };
    assert_eq!(worths(vec![busy("a")], vec![]), [true], "there is nobody else");
    assert_eq!(worths(vec![busy("a")], vec![candidate("c", Zone::Restricted, 1)]), [false, false]);
    assert_eq!(worths(vec![busy("a"), busy("b")], vec![busy("c")])[..2], [false, false]);
    assert_eq!(worths(vec![busy("a"), busy("b")], vec![]), [true, true]);
}

/// At the soft limit a place that costs counts for half, so that one that does not goes first.
#[test]
fn what_costs_is_avoided_while_money_is_short() {
    let mut paid = candidate("a-paid", Zone::Open, 1);
    paid.fee = Fee::AtMost(1);
    paid.priority = 0;
    let mut free = candidate("b-free", Zone::Open, 1);
    free.priority = 30;
    for (strategy, is_short, first) in [
        ("smart", false, "a-paid"),
        ("smart", true, "b-free"),
        ("adaptive", false, "a-paid"),
        ("adaptive", true, "b-free"),
    ] {
        let rules = rules(&format!("strategy = '{strategy}'"));
        let money =
            Money { left: 100, is_short, is_used_up: false, action: HardLimitAction::BlockCloud, is_strangers: false };
        let intent = Intent { money: Some(money), ..anything() };
        let world = world(vec![paid.clone(), free.clone()]);
        let plan = planned(&intent, &rules.chain("m"), &rules, &world, 0);
        assert_eq!(backends(&plan)[0], first, "{strategy}, short: {is_short}");
    }
}

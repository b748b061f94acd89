//! What policies, fallbacks and tiers let through.

use crate::fleet::{Status, Zone};
use crate::route::testing::*;
use crate::route::{Floors, Intent, TierMode, Verdict, World};

/// A policy, then a fallback that leads away from it: by the asked name, by an alias of it, by the resolved name.
#[test]
fn a_fallback_never_leads_around_a_policy() {
    let text = r#"
        strategy = "smart"
        aliases = { short = "secret-local", secret-short = "plain" }
        fallbacks = { secret-local = ["gpt-4"], plain = ["gpt-4"] }
        policies = [{ model_pattern = "secret-*", privacy = "restricted" }]
    "#;
    let rules = rules(text);
    let mut down = candidate("local", Zone::Restricted, 1);
    down.status = Status::Unhealthy;
    let cloud = candidate("cloud", Zone::Open, 5);
    let world = World {
        offers: vec![
            offer("secret-local", vec![down.clone()]),
            offer("plain", vec![down]),
            offer("gpt-4", vec![cloud]),
        ],
    };
    for asked in ["secret-local", "short", "secret-short"] {
        let plan = plan_of(&rules, &world, asked);
        assert_eq!(plan.steps, [], "{asked}");
        assert_eq!(plan.verdict(), Verdict::RejectedByPolicy, "{asked}");
        assert!(plan.policy_removed());
    }
    assert_eq!(backends(&plan_of(&rules, &world, "plain")), ["cloud"]);
}

#[test]
fn the_policy_of_a_fallback_holds_for_it_too() {
    let rules = rules(
        r#"
        fallbacks = { m = ["secret"] }
        policies = [{ model_pattern = "secret", privacy = "restricted", min_tier = 2 }]
    "#,
    );
    let world = World {
        offers: vec![offer(
            "secret",
            vec![
                candidate("open", Zone::Open, 5),
                candidate("low", Zone::Restricted, 1),
                candidate("good", Zone::Restricted, 2),
            ],
        )],
    };
    let plan = plan_of(&rules, &world, "m");
    assert_eq!(backends(&plan), ["good"]);
    assert!(plan.steps[0].fallback);
    assert_eq!(plan.steps[0].floors, Floors { zone: Zone::Restricted, tier: Some(tier(2)) });
}

#[test]
fn fallbacks_come_in_order_after_the_model_itself_and_only_if_allowed() {
    let text = "[fallbacks]\nm = [\"n\", \"none\", \"o\"]";
    let world = World {
        offers: vec![
            offer("o", vec![candidate("c", Zone::Open, 1)]),
            offer("n", vec![candidate("b", Zone::Open, 1)]),
            offer("m", vec![candidate("a", Zone::Open, 1)]),
        ],
    };
    let open = rules(text);
    let plan = plan_of(&open, &world, "m");
    assert_eq!(backends(&plan), ["a", "b", "c"]);
    assert_eq!(
        plan.steps.iter().map(|step| (&*step.model, step.fallback)).collect::<Vec<_>>(),
        [("m", false), ("n", true), ("o", true)]
    );
    let forbidden = rules(&format!("{text}\n[policies.m]\nfallback_allowed = false"));
    assert_eq!(backends(&plan_of(&forbidden, &world, "m")), ["a"]);
    let unwanted = Intent { may_fall_back: false, ..anything() };
    assert_eq!(backends(&planned(&unwanted, &open.chain("m"), &open, &world, 0)), ["a"]);
}

#[test]
fn flexible_goes_lower_only_where_nothing_qualifies_and_says_so() {
    let rules = rules("fallbacks = { m = [\"n\"] }\npolicies = [{ model_pattern = \"m\", min_tier = 4 }]");
    let flexible = Intent { mode: TierMode::Flexible, ..anything() };
    let low = World { offers: vec![offer("m", vec![candidate("a", Zone::Open, 1), candidate("b", Zone::Open, 3)])] };
    let strict = plan_of(&rules, &low, "m");
    assert_eq!((strict.steps.len(), strict.verdict()), (0, Verdict::RejectedByPolicy));
    let lowered = planned(&flexible, &rules.chain("m"), &rules, &low, 0);
    assert_eq!(backends(&lowered), ["b", "a"], "the best of the lower tiers first");
    assert_eq!(lowered.steps[0].downgraded, Some((tier(4), tier(3))));
    assert_eq!(lowered.steps[0].floors.tier, Some(tier(3)), "the owner must not refuse what was allowed here");
    let mut mixed = low.clone();
    mixed.offers.push(offer("n", vec![candidate("c", Zone::Open, 4)]));
    assert_eq!(backends(&planned(&flexible, &rules.chain("m"), &rules, &mixed, 0)), ["c"]);
    let floored = Intent { floors: Some(Floors { zone: Zone::Open, tier: Some(tier(2)) }), ..flexible };
    assert_eq!(
        backends(&planned(&floored, &rules.chain("m"), &rules, &low, 0)),
        ["b"],
        "what the entry demands is not softened"
    );
}

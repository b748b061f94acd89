//! What the client is told of a plan without a step.

use std::sync::Arc;

use crate::fleet::{Model, Needs, Status, Support, Zone};
use crate::route::testing::*;
use crate::route::{Candidate, Chain, Floors, Intent, MAX_DETAILS, Verdict, Why, rejection_details, rejection_summary};

#[test]
fn verdicts_tell_cases_apart() {
    let rules = rules("policies = [{ model_pattern = \"m\", privacy = \"restricted\" }]");
    let verdict = |candidates| plan_of(&rules, &world(candidates), "m").verdict();
    let with = |status, vision, zone| Candidate {
        status,
        model: Arc::new(Model { vision, ..Model::named("m") }),
        ..candidate("b", zone, 1)
    };
    assert_eq!(verdict(vec![]), Verdict::NotFound);
    assert_eq!(verdict(vec![with(Status::Unknown, Support::Unknown, Zone::Restricted)]), Verdict::Serve);
    for status in [Status::Unhealthy, Status::Draining, Status::Unrecognised] {
        assert_eq!(verdict(vec![with(status, Support::Unknown, Zone::Open)]), Verdict::NoHealthyBackend);
    }
    assert_eq!(verdict(vec![with(Status::Healthy, Support::Unknown, Zone::Open)]), Verdict::RejectedByPolicy);
    let seeing = Intent { needs: Needs { vision: true, ..Needs::default() }, ..anything() };
    let verdict = |candidates| planned(&seeing, &rules.chain("m"), &rules, &world(candidates), 0).verdict();
    let blind = with(Status::Unhealthy, Support::No, Zone::Open);
    assert_eq!(verdict(vec![blind.clone()]), Verdict::Incapable(vec!["vision"]));
    let seer = with(Status::Unhealthy, Support::Yes, Zone::Open);
    assert_eq!(verdict(vec![blind, seer]), Verdict::NoHealthyBackend, "it could once it is well");
}

#[test]
fn a_rejection_is_told_with_everything_a_user_needs() {
    let rules = rules("policies = [{ model_pattern = \"m\", privacy = \"restricted\", min_tier = 3 }]");
    let mut down = candidate("down", Zone::Restricted, 5);
    down.status = Status::Unhealthy;
    let mut far = candidate("f\u{e9}r", Zone::Restricted, 5);
    far.place = there("f\u{e9}r", "b\u{f6}x");
    far.trusted = false;
    let world = world(vec![candidate("low", Zone::Restricted, 1), candidate("cloud", Zone::Open, 5), down, far]);
    let plan = plan_of(&rules, &world, "m");
    let context = plan.context("home");
    assert_eq!(context["required_tier"], 3);
    assert_eq!(context["privacy_zone_required"], "restricted");
    assert_eq!(context["available_backends"], serde_json::json!(["cloud", "f\u{e9}r", "low"]));
    assert_eq!(context["rejection_reasons"].as_array().map(Vec::len), Some(4));
    assert_eq!(
        context["rejection_reasons"][0],
        serde_json::json!({
            "agent_id": "cloud", "peer": "home", "reconciler": "privacy",
            "reason": "The backend is in zone 'open' and 'restricted' is required",
            "suggested_action": "Add a backend of zone 'restricted' that has this model, or relax the policy",
        })
    );
    assert_eq!(context["rejection_reasons"][2]["peer"], "b\u{f6}x");
    assert_eq!(
        context["would_satisfy"],
        serde_json::json!([{
            "agent_id": "down", "peer": "home", "model": "m", "tier": 5, "zone": "restricted",
            "reason": "The backend is unhealthy",
        }])
    );
    assert_eq!(plan.rejected_by(), "privacy, tier, scheduler");
    let reasons = context["rejection_reasons"].as_array().expect("a list");
    let summary = rejection_summary(reasons);
    assert!(summary.starts_with("4 agents rejected by ") && summary.contains("privacy"), "{summary}");
    let details = rejection_details(reasons);
    assert!(details.is_ascii());
    let read: serde_json::Value = serde_json::from_str(&details).expect("JSON");
    assert_eq!(read, context["rejection_reasons"]);
}

/// "Flexible" is advised only where it would help.
#[test]
fn a_lower_tier_is_told_with_what_would_be_served() {
    let rules = rules("policies = [{ model_pattern = \"m\", privacy = \"restricted\", min_tier = 3 }]");
    let world = world(vec![candidate("low", Zone::Restricted, 2), candidate("open", Zone::Open, 2)]);
    let action = |intent: &Intent| {
        let plan = planned(intent, &rules.chain("m"), &rules, &world, 0);
        let low = plan.rejections.iter().find(|rejection| &**rejection.place.backend() == "low").expect("rejected");
        low.suggested_action()
    };
    let served = "Add a backend of tier 3 or higher, or send 'X-Nexus-Flexible: true' to be served by tier 2";
    assert_eq!(action(&anything()), served);
    let floored = Intent { floors: Some(Floors { zone: Zone::Open, tier: Some(tier(4)) }), ..anything() };
    assert_eq!(action(&floored), "Add a backend of tier 4 or higher");
}

#[test]
fn the_header_of_reasons_stays_small_and_stays_json() {
    let many = (0..200).map(|number| candidate(&format!("\u{1f600}-{number}"), Zone::Open, 1)).collect();
    let rules = rules("policies = [{ model_pattern = \"*\", privacy = \"restricted\" }]");
    let context = plan_of(&rules, &world(many), "m").context("home");
    let details = rejection_details(context["rejection_reasons"].as_array().expect("a list"));
    assert!(details.len() <= MAX_DETAILS && details.len() > MAX_DETAILS / 2);
    let read: serde_json::Value = serde_json::from_str(&details).expect("JSON");
    assert_eq!(read[0]["agent_id"], "\u{1f600}-0");
}

#[test]
fn a_forwarded_request_is_served_here_or_not_at_all() {
    let mut far = candidate("far", Zone::Restricted, 1);
    far.place = there("far", "p");
    let rules = rules("aliases = { m = \"n\" }\nfallbacks = { n = [\"o\"] }");
    let world = world(vec![far, candidate("near", Zone::Restricted, 1)]);
    let forwarded = Intent { may_hop: false, ..Intent::default() };
    let plan = planned(&forwarded, &Chain::settled("asked", &[], "m"), &rules, &world, 0);
    assert_eq!(backends(&plan), ["near"]);
    assert_eq!(plan.rejections.iter().map(|rejection| rejection.why.clone()).collect::<Vec<_>>(), [Why::NeedsHop]);
}

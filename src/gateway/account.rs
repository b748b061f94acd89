//! The account of a request that policies leave nobody for: the reasons of this peer's plan, and those that owners gave when
//! they refused by policies of their own, in one shape. What else went wrong is told in `error`.

use serde_json::{Value, json};

use super::outcome::{Miss, Missed};
use crate::dialect::Fault;
use crate::exchange::{Refusal, RefusalReason, Told};
use crate::route::{self, Plan};

/// Why a call is not made whose price nobody knows.
pub(super) const NO_PRICE: &str = "What the model costs is not known, and a limit holds";

/// The most of each list that goes to another peer, or is taken from one: it must fit into a frame.
const MOST_TOLD: usize = 32;

/// The lists of a context.
const LISTS: [&str; 3] = ["rejection_reasons", "available_backends", "would_satisfy"];

/// A 503 by policy: the fault, and the headers `x-nexus-rejection-reasons` and `-details`.
pub(super) fn rejected(asked: &str, plan: &Plan, missed: &[Missed], here: &str) -> (Fault, (String, String)) {
    let context = context(plan, missed, here);
    let reasons = context["rejection_reasons"].as_array().map_or(&[][..], Vec::as_slice);
    let headers = (route::rejection_summary(reasons), route::rejection_details(reasons));
    let by = headers.0.split_once(" by ").map_or("policy", |(_, rules)| rules).to_owned();
    (Fault::rejected_by_policy(asked, &by, context), headers)
}

/// What a peer is told of a request that this peer's policies refuse.
pub(super) fn for_peer(plan: &Plan, missed: &[Missed], here: &str) -> Told {
    let mut context = context(plan, missed, here);
    for list in LISTS {
        if let Some(list) = context[list].as_array_mut() {
            list.truncate(MOST_TOLD);
        }
    }
    Told { status: 503, code: "service_unavailable".to_owned(), context: Some(context) }
}

/// The reasons of the plan, and those that were found out by trying.
fn context(plan: &Plan, missed: &[Missed], here: &str) -> Value {
    let mut context = plan.context(here);
    for missed in missed {
        let unpaid = match &missed.miss {
            Miss::Refused(refusal) if refusal.reason == RefusalReason::Policy => {
                take_in(&mut context, refusal, missed);
                continue;
            }
            Miss::Unpaid(refused) => (refused.to_string(), refused.why.suggested_action()),
            Miss::NoPrice => {
                (NO_PRICE.to_owned(), "Add its price to [prices] in the configuration, or use another model")
            }
            _ => continue,
        };
        let (reason, action) = unpaid;
        let place = &missed.step.planned.place;
        let told = json!({
            "agent_id": &**place.backend(),
            "peer": place.peer_name().map_or(here, |peer| &**peer),
            "reconciler": "budget",
            "reason": reason,
            "suggested_action": action,
        });
        match context["rejection_reasons"].as_array_mut() {
            Some(list) => list.push(told),
            None => context["rejection_reasons"] = json!([told]),
        }
    }
    context
}

/// The reasons of an owner beside our own. One of an older version gives none but its message.
fn take_in(context: &mut Value, refusal: &Refusal, missed: &Missed) {
    let told = refusal.fault.as_ref().and_then(|told| told.context.as_ref());
    for name in LISTS {
        let theirs = told.and_then(|told| told[name].as_array()).into_iter().flatten().take(MOST_TOLD).cloned();
        let theirs: Vec<Value> = theirs.collect();
        let theirs = match name == "rejection_reasons" && theirs.is_empty() {
            true => vec![by_message(refusal, missed)],
            false => theirs,
        };
        for one in theirs {
            match context[name].as_array_mut() {
                Some(list) if list.contains(&one) => {}
                Some(list) => list.push(one),
                None => context[name] = json!([one]),
            }
        }
    }
    let tier = |context: &Value| context["required_tier"].as_u64();
    let wanted = told.and_then(tier).filter(|tier| (1..=5).contains(tier)).max(tier(context));
    if let Some(wanted) = wanted {
        context["required_tier"] = wanted.into();
    }
    if told.is_some_and(|told| told["privacy_zone_required"] == "restricted") {
        context["privacy_zone_required"] = "restricted".into();
    }
}

fn by_message(refusal: &Refusal, missed: &Missed) -> Value {
    let place = &missed.step.planned.place;
    let peer = place.peer_name().map_or("", |peer| peer);
    json!({
        "agent_id": &**place.backend(),
        "peer": peer,
        "reconciler": "policy",
        "reason": refusal.message,
        "suggested_action": format!("Relax the policies of peer '{peer}', or add a backend that meets them"),
    })
}

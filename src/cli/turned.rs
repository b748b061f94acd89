//! What a change of the configuration file turns into something else, in lines for people.

use serde_json::Value as Json;

use super::render::clean;

/// The sentences of a list.
pub(super) fn sentences(told: &Json) -> Vec<String> {
    told.as_array().into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect()
}

/// What of policies and of the budget was and is another, a line for each, and what protects less then.
pub(super) fn turned(told: &Json) -> String {
    let mut text = String::new();
    for turned in told["policies"].as_array().into_iter().flatten() {
        let pattern = clean(turned["pattern"].as_str().unwrap_or_default());
        let (before, after) = (&turned["before"], &turned["after"]);
        let changes = demands(before).into_iter().zip(demands(after)).filter(|(before, after)| before != after);
        let changes = changes.map(|((what, before), (_, after))| format!("{what} {before} -> {after}"));
        let changes: Vec<String> = changes.collect();
        let fate = match (before.is_null(), after.is_null()) {
            (true, _) => " (new)",
            (_, true) => " (gone)",
            _ => "",
        };
        let changes = if changes.is_empty() { "it demands nothing".to_owned() } else { changes.join(", ") };
        text.push_str(&format!("Policy {pattern}{fate}: {changes}\n"));
    }
    let budget = &told["budget"];
    if !budget.is_null() {
        let changes = terms(&budget["before"]).into_iter().zip(terms(&budget["after"]));
        let changes = changes.filter(|(before, after)| before != after);
        let changes: Vec<_> =
            changes.map(|((what, before), (_, after))| format!("{what} {before} -> {after}")).collect();
        text.push_str(&format!("Budget: {}\n", changes.join(", ")));
    }
    for sentence in sentences(&told["weakens"]) {
        text.push_str(&format!("Protects less: {}\n", clean(&sentence)));
    }
    text
}

/// What a budget says.
fn terms(budget: &Json) -> [(&'static str, String); 3] {
    let or_none = |value: &Json, none: &str| if value.is_null() { none.to_owned() } else { clean(&value.to_string()) };
    let action = budget["hard_limit_action"].as_str().unwrap_or("warn");
    [
        ("monthly limit", or_none(&budget["monthly_limit_usd"], "none")),
        ("soft limit", or_none(&budget["soft_limit_percent"], "as usual")),
        ("at the limit", clean(action)),
    ]
}

/// What a policy demands. Where there is none, nothing is.
fn demands(policy: &Json) -> [(&'static str, String); 4] {
    let or_none = |value: &Json| if value.is_null() { "none".to_owned() } else { clean(&value.to_string()) };
    [
        ("privacy", if policy["privacy"] == "restricted" { "restricted" } else { "unrestricted" }.to_owned()),
        ("tier", or_none(&policy["min_tier"])),
        ("max cost", or_none(&policy["max_cost_per_request"])),
        ("fallback", if policy["fallback_allowed"] == false { "no" } else { "yes" }.to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_policy_is_told_as_it_was_and_as_it_is() {
        let strict = json!({ "privacy": "restricted", "min_tier": 3, "fallback_allowed": false });
        let told = json!({
            "policies": [
                { "pattern": "a*", "before": strict, "after": { "privacy": "restricted", "fallback_allowed": true } },
                { "pattern": "b", "before": null, "after": { "privacy": "unrestricted", "max_cost_per_request": 0.5 } },
                { "pattern": "c", "before": strict, "after": null },
            ],
            "budget": { "before": null, "after": { "monthly_limit_usd": 50.0, "hard_limit_action": "block_cloud" } },
            "weakens": ["a*: tier 3 -> none"],
        });
        assert_eq!(
            turned(&told),
            "Policy a*: tier 3 -> none, fallback no -> yes\n\
             Policy b (new): max cost none -> 0.5\n\
             Policy c (gone): privacy restricted -> unrestricted, tier 3 -> none, fallback no -> yes\n\
             Budget: monthly limit none -> 50.0, at the limit warn -> block_cloud\n\
             Protects less: a*: tier 3 -> none\n"
        );
    }
}

//! What another list of policies would change, and what it would protect less. It judges texts, not requests: which models
//! two patterns have in common is not asked, and where that is open they are taken to have some.

use serde::Serialize;

use super::Policy;
use super::config::Privacy;

/// A policy that is another one now, has come or has gone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Turned {
    /// Which.
    pub pattern: String,
    /// What it was.
    pub before: Option<Policy>,
    /// What it is.
    pub after: Option<Policy>,
}

/// Policies that are named of one change; of more nobody reads them all.
const MOST: usize = 64;

/// The policies that differ between two lists, each told by its pattern.
pub fn turned(before: &[Policy], after: &[Policy]) -> Vec<Turned> {
    let mut turned = Vec::new();
    for policy in before {
        let now = find(after, &policy.model_pattern);
        if now != Some(policy) {
            turned.push(Turned {
                pattern: policy.model_pattern.clone(),
                before: Some(policy.clone()),
                after: now.cloned(),
            });
        }
    }
    let is_new = |policy: &&Policy| find(before, &policy.model_pattern).is_none();
    let come = after.iter().filter(is_new);
    turned.extend(come.map(|policy| Turned {
        pattern: policy.model_pattern.clone(),
        before: None,
        after: Some(policy.clone()),
    }));
    turned.truncate(MOST);
    turned
}

/// What holds less by `after` than by `before`, a sentence each. A new policy counts where it stands before an older one that
/// demands more: the first that matches holds.
pub fn weakened(before: &[Policy], after: &[Policy]) -> Vec<String> {
    let mut found = Vec::new();
    for policy in before {
        match find(after, &policy.model_pattern) {
            Some(now) => found.extend(lost(policy, now).map(|lost| format!("{}: {lost}", policy.model_pattern))),
            None => {
                let nothing = Policy { fallback_allowed: true, ..Policy::default() };
                found.extend(lost(policy, &nothing).map(|lost| format!("{}: {lost}", policy.model_pattern)));
            }
        }
    }
    for (at, policy) in after.iter().enumerate() {
        if find(before, &policy.model_pattern).is_some() {
            continue;
        }
        for behind in after[at + 1..].iter().filter(|behind| find(before, &behind.model_pattern).is_some()) {
            let (first, then) = (&policy.model_pattern, &behind.model_pattern);
            found.extend(lost(behind, policy).map(|lost| format!("{first}, which comes before {then}: {lost}")));
        }
    }
    found.truncate(MOST);
    found
}

fn find<'a>(policies: &'a [Policy], pattern: &str) -> Option<&'a Policy> {
    policies.iter().find(|policy| policy.model_pattern == pattern)
}

/// What `then` demands less than `now`.
fn lost(now: &Policy, then: &Policy) -> impl Iterator<Item = String> + use<> {
    let privacy = (now.privacy == Privacy::Restricted && then.privacy == Privacy::Unrestricted)
        .then(|| "privacy restricted -> unrestricted: prompts may leave the fleet's own hardware".to_owned());
    let tier = now.min_tier.filter(|tier| then.min_tier.is_none_or(|then| then < *tier)).map(|tier| {
        let then = then.min_tier.map_or_else(|| "none".to_owned(), |tier| tier.get().to_string());
        format!("tier {} -> {then}: less capable models may answer", tier.get())
    });
    let cost = now.max_cost_per_request.filter(|most| then.max_cost_per_request.is_none_or(|then| then > *most));
    let cost = cost.map(|most| {
        let then = then.max_cost_per_request.map_or_else(|| "none".to_owned(), |most| most.to_string());
        format!("max cost {most} -> {then}: a request may cost more")
    });
    let fallback = (!now.fallback_allowed && then.fallback_allowed)
        .then(|| "fallback no -> yes: other models may answer instead".to_owned());
    [privacy, tier, cost, fallback].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Config;

    fn read(text: &str) -> Vec<Policy> {
        toml::from_str::<Config>(text).expect("valid").policies
    }

    #[test]
    fn what_protects_less_is_told_and_nothing_else() {
        let strict = read(
            "[policies.'secret-*']\nprivacy = 'restricted'\nmin_tier = 3\nmax_cost_per_request = 0.05\n\
             fallback_allowed = false",
        );
        assert_eq!(weakened(&strict, &strict), [] as [&str; 0]);
        let stricter = read(
            "[policies.'secret-*']\nprivacy = 'restricted'\nmin_tier = 4\nmax_cost_per_request = 0.01\n\
             fallback_allowed = false",
        );
        assert_eq!(weakened(&strict, &stricter), [] as [&str; 0]);
        let told = weakened(&strict, &read("[policies.'secret-*']\nmin_tier = 2"));
        assert_eq!(
            told,
            [
                "secret-*: privacy restricted -> unrestricted: prompts may leave the fleet's own hardware",
                "secret-*: tier 3 -> 2: less capable models may answer",
                "secret-*: max cost 0.05 -> none: a request may cost more",
                "secret-*: fallback no -> yes: other models may answer instead",
            ]
        );
        assert_eq!(weakened(&strict, &[]).len(), 4, "what is gone demands nothing");
        assert_eq!(weakened(&[], &strict), [] as [&str; 0]);
        assert_eq!(weakened(&read("policies = [{ model_pattern = 'x' }]"), &[]), [] as [&str; 0]);
    }

    /// In a table of policies `default` comes last: a new one that demands less takes models from it.
    #[test]
    fn a_new_policy_before_a_stricter_one_weakens_it() {
        let before = read("[policies.default]\nprivacy = 'restricted'");
        let after = read("[policies.default]\nprivacy = 'restricted'\n[policies.'code-*']\nmin_tier = 3");
        let told = weakened(&before, &after);
        assert!(told.len() == 1 && told[0].starts_with("code-*, which comes before *: privacy"), "{told:?}");
        let last = [before.clone(), read("policies = [{ model_pattern = 'x' }]")].concat();
        assert_eq!(weakened(&before, &last), [] as [&str; 0], "behind it, it takes nothing");
    }

    #[test]
    fn policies_are_told_as_they_were_and_as_they_are() {
        let (before, after) =
            (read("[policies.a]\nmin_tier = 1\n[policies.b]\n"), read("[policies.b]\n[policies.a]\n[policies.c]\n"));
        let told = turned(&before, &after);
        let patterns: Vec<&str> = told.iter().map(|turned| turned.pattern.as_str()).collect();
        assert_eq!(patterns, ["a", "c"]);
        assert!(told[0].before.is_some() && told[0].after.is_some() && told[1].before.is_none());
    }
}

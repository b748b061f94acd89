//! Policies: reading them in either form, and what they demand of a model by its name. A pattern that cannot be read is
//! a problem of the configuration, never a policy that silently does not hold.

use std::fmt;

use globset::{Glob, GlobMatcher};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::Policy;
use super::config::Privacy;
use super::intent::Floors;
use super::rules::{Problem, problem};
use crate::fleet::{Tier, Zone};

/// Reads policies written as an array of tables, or as a map keyed by pattern, in the order of the file. In the map the
/// key `default` stands for `*` and comes last wherever it is written.
pub(super) fn array_or_map<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Policy>, D::Error> {
    from.deserialize_any(ArrayOrMap)
}

struct ArrayOrMap;

impl<'de> Visitor<'de> for ArrayOrMap {
    type Value = Vec<Policy>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of policies, or a table of them by pattern")
    }

    fn visit_unit<E>(self) -> Result<Vec<Policy>, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<Policy>, A::Error> {
        let mut policies = Vec::new();
        while let Some(policy) = items.next_element()? {
            policies.push(policy);
        }
        Ok(policies)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Vec<Policy>, A::Error> {
        let (mut policies, mut last) = (Vec::new(), None);
        while let Some(key) = fields.next_key::<String>()? {
            let unnamed: Unnamed = fields.next_value()?;
            if key == "default" {
                last = Some(unnamed.named("*".to_owned()));
            } else {
                policies.push(unnamed.named(key));
            }
        }
        policies.extend(last);
        Ok(policies)
    }
}

/// A policy whose pattern is the key it stands under.
#[derive(Deserialize)]
struct Unnamed {
    #[serde(default)]
    privacy: Privacy,
    #[serde(default)]
    min_tier: Option<Tier>,
    #[serde(default)]
    max_cost_per_request: Option<f64>,
    #[serde(default = "yes")]
    fallback_allowed: bool,
}

fn yes() -> bool {
    true
}

impl Unnamed {
    fn named(self, model_pattern: String) -> Policy {
        let Unnamed { privacy, min_tier, max_cost_per_request, fallback_allowed } = self;
        Policy { model_pattern, privacy, min_tier, max_cost_per_request, fallback_allowed }
    }
}

/// What policies demand of whatever serves a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Demand {
    pub(super) floors: Floors,
    pub(super) fallback_allowed: bool,
    /// What one request may cost at most, in billionths of a USD.
    pub(super) most: Option<u64>,
}

impl Demand {
    /// Nothing is demanded.
    pub(super) const NONE: Demand =
        Demand { floors: Floors { zone: Zone::Open, tier: None }, fallback_allowed: true, most: None };

    /// Both at once: of each the stricter.
    pub(super) fn and(self, other: Demand) -> Demand {
        Demand {
            floors: self.floors.stricter(other.floors),
            fallback_allowed: self.fallback_allowed && other.fallback_allowed,
            most: least(self.most, other.most),
        }
    }
}

/// Policies, compiled. The first whose pattern matches holds.
pub(super) struct Policies(Vec<(GlobMatcher, Demand)>);

impl Policies {
    /// Compiles `policies`, or tells what is wrong with each.
    pub(super) fn new(policies: &[Policy], problems: &mut Vec<Problem>) -> Self {
        let mut compiled = Vec::with_capacity(policies.len());
        for (index, policy) in policies.iter().enumerate() {
            match glob(&policy.model_pattern) {
                Ok(matcher) => compiled.push((matcher, demand(policy))),
                Err(message) => {
                    problems.push(problem(format!("routing.policies[{index}].model_pattern"), message));
                }
            }
            if policy.max_cost_per_request.is_some_and(|cost| !cost.is_finite() || cost < 0.0) {
                let path = format!("routing.policies[{index}].max_cost_per_request");
                problems.push(problem(path, "must be an amount in USD, not below 0"));
            }
        }
        Policies(compiled)
    }

    /// What holds for a model of this name.
    pub(super) fn demand(&self, model: &str) -> Demand {
        if self.0.is_empty() {
            return Demand::NONE;
        }
        let candidate = globset::Candidate::new(model);
        let first = self.0.iter().find(|(matcher, _)| matcher.is_match_candidate(&candidate));
        first.map_or(Demand::NONE, |(_, demand)| *demand)
    }
}

/// Whether every model that `pattern` matches is matched by `wide` as well. Where that is not plain to see, it says no.
pub fn covers(wide: &str, pattern: &str) -> bool {
    const WILD: [char; 2] = ['*', '?'];
    const OTHER: [char; 3] = ['[', '{', '\\'];
    if wide == pattern || wide.trim_start_matches('*').is_empty() && !wide.is_empty() {
        return true;
    }
    let Ok(matcher) = glob(wide) else { return false };
    if !pattern.contains(WILD) && !pattern.contains(OTHER) {
        return matcher.is_match(pattern);
    }
    if wide.contains(OTHER) || pattern.contains(OTHER) {
        return false;
    }
    // A letter that no name has is matched by a wildcard alone; as many as none, one, and more than `wide` has room for.
    let strange = |times: usize| "\u{e000}".repeat(times);
    let named = |times| pattern.replace('?', &strange(1)).replace('*', &strange(times));
    [0, 1, wide.len() + 1].into_iter().all(|times| matcher.is_match(named(times)))
}

fn glob(pattern: &str) -> Result<GlobMatcher, String> {
    if pattern.is_empty() {
        return Err("is empty: use `*` for every model".to_owned());
    }
    let glob = Glob::new(pattern).map_err(|error| format!("`{pattern}` is not a pattern: {}", error.kind()))?;
    Ok(glob.compile_matcher())
}

fn demand(policy: &Policy) -> Demand {
    Demand {
        floors: Floors { zone: policy.privacy.zone(), tier: policy.min_tier },
        fallback_allowed: policy.fallback_allowed,
        most: policy.max_cost_per_request.map(nanos),
    }
}

/// The smaller of two limits, where there are any.
pub(super) fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

/// Billionths of a USD, rounded down.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, and NaN is 0")]
fn nanos(usd: f64) -> u64 {
    (usd * 1e9) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Config;

    fn read(text: &str) -> Vec<Policy> {
        toml::from_str::<Config>(text).expect("valid").policies
    }

    fn compiled(text: &str) -> Policies {
        let mut problems = Vec::new();
        let policies = Policies::new(&read(text), &mut problems);
        assert_eq!(problems, []);
        policies
    }

    #[test]
    fn both_forms_read_alike_and_the_order_of_the_file_is_kept() {
        let array = r#"
            [[policies]]
            model_pattern = "z-*"
            privacy = "restricted"
            [[policies]]
            model_pattern = "a-*"
            min_tier = 3
            fallback_allowed = false
            [[policies]]
            model_pattern = "*"
            min_tier = 1
        "#;
        let map = r#"
            [policies.default]
            min_tier = 1
            [policies."z-*"]
            privacy = "restricted"
            [policies."a-*"]
            min_tier = 3
            fallback_allowed = false
        "#;
        assert_eq!(read(array), read(map));
        let patterns: Vec<String> = read(map).into_iter().map(|policy| policy.model_pattern).collect();
        assert_eq!(patterns, ["z-*", "a-*", "*"]);
    }

    #[test]
    fn the_first_match_holds_alone() {
        let policies = compiled(
            r#"
            policies = [
                { model_pattern = "code-?b", min_tier = 4 },
                { model_pattern = "code-*", privacy = "restricted" },
                { model_pattern = "[xy]/*", fallback_allowed = false },
            ]"#,
        );
        assert_eq!(policies.demand("code-7b").floors.tier.map(Tier::get), Some(4));
        assert_eq!(policies.demand("code-7b").floors.zone, Zone::Open);
        assert_eq!(policies.demand("code-70b").floors.zone, Zone::Restricted);
        assert!(!policies.demand("x/deep/name").fallback_allowed);
        assert_eq!(policies.demand("other"), Demand::NONE);
        assert_eq!(policies.demand(""), Demand::NONE);
    }

    #[test]
    fn a_wider_pattern_covers_a_narrower_one() {
        for (wide, pattern) in [
            ("*", "secret-*"),
            ("*", "a[bc]"),
            ("**", "*"),
            ("s*", "secret-*"),
            ("s*", "secret"),
            ("a[bc]", "ab"),
            ("?*", "*?"),
            ("*-?b", "code-7b"),
            ("x", "x"),
        ] {
            assert!(covers(wide, pattern), "{wide} {pattern}");
        }
        for (wide, pattern) in [
            ("secret-*", "*"),
            ("secret-*", "s*"),
            ("", "a"),
            ("?", "*"),
            ("*?", "*"),
            ("a?", "a*"),
            ("[!x]*", "?b"),
            ("a[bc]", "a?"),
            ("[", "a"),
        ] {
            assert!(!covers(wide, pattern), "{wide} {pattern}");
        }
    }

    #[test]
    fn a_pattern_that_cannot_be_read_is_a_problem_with_its_place() {
        let policies = read(
            "policies = [{ model_pattern = \"ok\" }, { model_pattern = \"a[\" }, { model_pattern = \"\" }, { model_pattern = \"n\", max_cost_per_request = nan }]",
        );
        let mut problems = Vec::new();
        Policies::new(&policies, &mut problems);
        let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "routing.policies[1].model_pattern",
                "routing.policies[2].model_pattern",
                "routing.policies[3].max_cost_per_request"
            ]
        );
        assert!(problems[0].message.contains("a["), "{}", problems[0].message);
    }

    #[test]
    fn a_tier_outside_one_to_five_is_an_error() {
        for bad in ["min_tier = 0", "min_tier = 6", "privacy = \"secret\""] {
            assert!(toml::from_str::<Config>(&format!("[policies.default]\n{bad}")).is_err(), "{bad}");
        }
    }
}

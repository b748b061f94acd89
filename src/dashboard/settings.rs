//! What the configuration files of peers say of routing as rows, read from what the interface tells of them.

use serde_json::Value;

use super::words::{Name, escaped};

/// Aliases, chains and policies that are shown of each peer.
const SHOWN: usize = 100;

/// What the configuration files say, and what a form begins with.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// This peer first.
    pub peers: Vec<OfPeer>,
    /// Peers that did not say, and why.
    pub untold: Vec<(Name, Name)>,
    /// The policy that is edited.
    pub draft: Draft,
}

/// What the file of one peer says.
#[derive(Clone, Debug, Default)]
pub struct OfPeer {
    /// What it is called.
    pub peer: Name,
    /// Whether it is this one.
    pub own: bool,
    /// Which state of the file that is; empty where there is none.
    pub seen: String,
    has_seen: bool,
    /// An alias and what it stands for.
    pub aliases: Vec<(Name, Name)>,
    /// A model and those that may answer instead.
    pub fallbacks: Vec<(Name, Name)>,
    /// What has to hold for models.
    pub policies: Vec<PolicyRow>,
}

/// A policy.
#[derive(Clone, Debug, Default)]
pub struct PolicyRow {
    /// The pattern of models.
    pub pattern: Name,
    /// What has to hold for them.
    pub says: Name,
    /// Where it is edited.
    pub edit: String,
    told: Value,
}

/// What the form of a policy begins with.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Whether it is one that there is: then the form says all of it, and what is left empty is taken away.
    pub whole: bool,
    /// Its pattern.
    pub pattern: String,
    /// Whose it is; empty for this peer.
    pub peer: String,
    /// `restricted`, `unrestricted`, or empty.
    pub privacy: String,
    /// The lowest tier, or empty.
    pub min_tier: String,
    /// The most in USD, or empty.
    pub max_cost: String,
    /// `yes`, `no`, or empty.
    pub fallback: &'static str,
}

impl Settings {
    /// Whether there are others to choose from.
    pub fn has_others(&self) -> bool {
        self.peers.len() > 1
    }

    /// Whether any file has an alias.
    pub fn has_aliases(&self) -> bool {
        self.peers.iter().any(|of| !of.aliases.is_empty())
    }

    /// Whether any file has a fallback chain.
    pub fn has_fallbacks(&self) -> bool {
        self.peers.iter().any(|of| !of.fallbacks.is_empty())
    }

    /// Whether any file has a policy.
    pub fn has_policies(&self) -> bool {
        self.peers.iter().any(|of| !of.policies.is_empty())
    }

    /// Begins with the policy for `pattern` of the peer called `peer`, where there is one.
    pub fn edit(&mut self, pattern: &str, peer: &str) {
        let mut of_peer = self.peers.iter().filter(|of| if peer.is_empty() { of.own } else { of.peer.whole == peer });
        let rows = of_peer.next().map(|of| of.policies.as_slice()).unwrap_or_default();
        let Some(PolicyRow { told, .. }) = rows.iter().find(|row| row.pattern.whole == pattern) else { return };
        let number = |value: &Value| if value.is_null() { String::new() } else { value.to_string() };
        self.draft = Draft {
            whole: true,
            pattern: pattern.to_owned(),
            peer: peer.to_owned(),
            privacy: told["privacy"].as_str().unwrap_or("unrestricted").to_owned(),
            min_tier: number(&told["min_tier"]),
            max_cost: number(&told["max_cost_per_request"]),
            fallback: if told["fallback_allowed"] == false { "no" } else { "yes" },
        };
    }
}

impl OfPeer {
    /// Nothing yet, of the peer called `name`.
    pub fn new(name: &str, own: bool) -> Self {
        OfPeer { peer: Name::of(name), own, ..OfPeer::default() }
    }

    /// Takes in which state of the file an answer is of. The first stays: where the file has changed before the next
    /// answer, what is shown is partly older than that, and nobody may write over what they were not shown.
    pub fn saw(&mut self, tag: String) {
        if !self.has_seen {
            (self.seen, self.has_seen) = (tag, true);
        }
    }

    /// The field of a form that tells which state of this file its reader has seen.
    pub fn field(&self) -> String {
        if self.own { "seen".to_owned() } else { format!("seen:{}", self.peer.whole) }
    }

    /// Takes in what is told under `key`: `aliases`, `fallbacks` or `policies`.
    pub fn read(&mut self, key: &str, told: &Value) {
        let pairs = || told.as_object().into_iter().flatten().take(SHOWN);
        match key {
            "aliases" => {
                let pair =
                    |(name, target): (&String, &Value)| (Name::of(name), Name::of(target.as_str().unwrap_or("")));
                self.aliases = pairs().map(pair).collect();
            }
            "fallbacks" => {
                self.fallbacks =
                    pairs().map(|(name, models)| (Name::of(name), Name::within(&list(models), 120))).collect();
            }
            _ => {
                let policies = told.as_array().map(Vec::as_slice).unwrap_or_default();
                let peer = if self.own { String::new() } else { format!("&peer={}", escaped(&self.peer.whole)) };
                self.policies = policies.iter().take(SHOWN).map(|told| policy(told, &peer)).collect();
            }
        }
    }
}

fn list(models: &Value) -> String {
    models.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

fn policy(told: &Value, peer: &str) -> PolicyRow {
    let mut says = vec![told["privacy"].as_str().unwrap_or("unrestricted").to_owned()];
    says.extend(told["min_tier"].as_u64().map(|tier| format!("tier {tier} or higher")));
    says.extend(told["max_cost_per_request"].as_f64().map(|most| format!("at most {most} USD a request")));
    says.extend((told["fallback_allowed"] == false).then(|| "no fallback".to_owned()));
    let pattern = told["model_pattern"].as_str().unwrap_or_default();
    PolicyRow {
        pattern: Name::of(pattern),
        says: Name::within(&says.join(", "), 120),
        edit: format!("/manage?policy={}{peer}#policies", escaped(pattern)),
        told: told.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A list that was older than the tag beside it let its reader write over what they were not shown.
    #[test]
    fn the_tag_is_that_of_the_oldest_answer() {
        for first in ["1", ""] {
            let mut of = OfPeer::new("attic", false);
            of.saw(first.to_owned());
            of.saw("2".to_owned());
            assert_eq!(of.seen, first);
        }
    }

    #[test]
    fn what_is_told_becomes_rows() {
        let mut of = OfPeer::new("attic", false);
        of.read("aliases", &json!({"gpt-4": "llama3"}));
        of.read("fallbacks", &json!({"big": ["mid", "small"]}));
        of.read("policies", &json!([{"model_pattern": "code*&", "privacy": "restricted", "min_tier": 3}]));
        assert_eq!((of.aliases[0].1.short.as_str(), of.fallbacks[0].1.short.as_str()), ("llama3", "mid, small"));
        assert_eq!(of.policies[0].says.short, "restricted, tier 3 or higher");
        assert_eq!((of.field().as_str(), OfPeer::new("x", true).field().as_str()), ("seen:attic", "seen"));
        assert!(of.policies[0].edit.ends_with("&peer=attic#policies") && !of.policies[0].edit.contains("*&&"));

        let mut settings = Settings { peers: vec![OfPeer::new("near", true), of], ..Settings::default() };
        settings.edit("code*&", "");
        assert!(!settings.draft.whole, "this peer has none");
        settings.edit("code*&", "attic");
        let Draft { whole, privacy, min_tier, fallback, .. } = &settings.draft;
        assert_eq!((*whole, privacy.as_str(), min_tier.as_str(), *fallback), (true, "restricted", "3", "yes"));
        settings.peers[1].read("policies", &json!("nonsense"));
        assert!(settings.peers[1].policies.is_empty());
    }
}

//! `[routing]`: how backends are ranked, what other names models have, what may serve instead, and which policies hold.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fleet::{Amend, Tier, Zone};

/// `[routing]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// How candidates are ranked: `smart`, `round_robin`, `priority_only`, `random` or `adaptive`.
    /// Without it `adaptive` runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// Further attempts after the first, on other backends first.
    pub max_retries: u32,
    /// Whether requests of one `user` (the field of the body) are one conversation, to be sent to the same backend. What
    /// names a conversation more closely goes before it.
    pub affinity_by_user: bool,
    /// Whether a model's name that leaves size or quantisation open may be served by any of them. Without it such a name is
    /// served only where all that it may mean are one and the same.
    pub merge_variants: bool,
    /// What `smart` weighs. Only the proportions count.
    pub weights: Weights,
    /// Other names for models: `"gpt-4" = "llama3.2:latest"`. At most 3 steps are followed.
    pub aliases: BTreeMap<String, String>,
    /// Models that may answer instead: `"llama3:70b" = ["mistral:7b"]`.
    pub fallbacks: BTreeMap<String, Vec<String>>,
    /// What must hold for models by name; the first match in file order wins.
    #[serde(deserialize_with = "super::policy::array_or_map")]
    pub policies: Vec<Policy>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            strategy: None,
            max_retries: 2,
            affinity_by_user: false,
            merge_variants: false,
            weights: Weights::default(),
            aliases: BTreeMap::new(),
            fallbacks: BTreeMap::new(),
            policies: Vec::new(),
        }
    }
}

/// How candidates are ranked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Expected completion time.
    #[default]
    Adaptive,
    /// Priority, load and latency by weights.
    Smart,
    /// One after the other.
    RoundRobin,
    /// The lowest priority number.
    PriorityOnly,
    /// Any.
    Random,
}

impl Strategy {
    /// Why the first of its ranking is first, for logs.
    pub fn reason(self) -> &'static str {
        match self {
            Strategy::Adaptive => "shortest_expected_wait",
            Strategy::Smart => "highest_score",
            Strategy::RoundRobin => "round_robin",
            Strategy::PriorityOnly => "lowest_priority",
            Strategy::Random => "random",
        }
    }
}

/// `[routing.weights]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Weights {
    /// Weight of the priority.
    pub priority: u32,
    /// Weight of the load.
    pub load: u32,
    /// Weight of the latency.
    pub latency: u32,
}

impl Default for Weights {
    fn default() -> Self {
        Weights { priority: 50, load: 30, latency: 20 }
    }
}

/// One entry of `[[routing.policies]]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Policy {
    /// Glob over the model that a client names: `*`, `?`, `[..]`.
    pub model_pattern: String,
    /// `restricted`: only backends of the zone `restricted` may see the prompt.
    #[serde(default)]
    pub privacy: Privacy,
    /// The lowest tier, 1 to 5, that may answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_tier: Option<Tier>,
    /// The most that one request may cost, in USD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_per_request: Option<f64>,
    /// Whether the fallback chain may be used.
    #[serde(default = "yes")]
    pub fallback_allowed: bool,
}

fn yes() -> bool {
    true
}

/// Whether prompts may leave the fleet's own hardware.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Privacy {
    /// They may.
    #[default]
    Unrestricted,
    /// They may not.
    Restricted,
}

impl Privacy {
    /// The zone that it demands.
    pub fn zone(self) -> Zone {
        match self {
            Privacy::Unrestricted => Zone::Open,
            Privacy::Restricted => Zone::Restricted,
        }
    }
}

/// How the policy of a pattern is to change, as a manager says it. What is not named stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyChange {
    /// The zone that is demanded; the same as `privacy`, in the word of backends.
    pub zone: Amend<Zone>,
    /// `restricted` or `unrestricted`.
    pub privacy: Amend<Privacy>,
    /// The lowest tier that may answer.
    #[serde(alias = "tier")]
    pub min_tier: Amend<Tier>,
    /// The most that one request may cost, in USD.
    pub max_cost_per_request: Amend<f64>,
    /// Whether the fallback chain may be used.
    pub fallback_allowed: Amend<bool>,
}

impl PolicyChange {
    /// The same for whoever says all that is to hold: what is not named is taken away.
    #[must_use]
    pub fn whole(self) -> Self {
        PolicyChange {
            zone: Amend::Keep,
            privacy: self.privacy().or_clear(),
            min_tier: self.min_tier.or_clear(),
            max_cost_per_request: self.max_cost_per_request.or_clear(),
            fallback_allowed: self.fallback_allowed.or_clear(),
        }
    }

    /// What zone and privacy say together. Where they differ, the stricter counts.
    pub fn privacy(&self) -> Amend<Privacy> {
        let of_zone = match self.zone {
            Amend::Keep => Amend::Keep,
            Amend::Clear => Amend::Clear,
            Amend::Set(Zone::Restricted) => Amend::Set(Privacy::Restricted),
            Amend::Set(Zone::Open) => Amend::Set(Privacy::Unrestricted),
        };
        match (of_zone, self.privacy) {
            (Amend::Set(Privacy::Restricted), _) | (_, Amend::Keep) => of_zone,
            (_, named) => named,
        }
    }
}

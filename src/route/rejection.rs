//! Why a place may not serve a request, as data, and what could be done about it. Sentences are made when somebody reads
//! them, not while requests are routed.

use std::fmt;
use std::sync::Arc;

use super::world::Place;
use crate::fleet::{Status, Tier, Zone};

/// A place that was left out of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Where it is.
    pub place: Place,
    /// The model of the chain that it would have served.
    pub model: Arc<str>,
    /// Why not.
    pub why: Why,
    /// Where prompts sent to it may be read.
    pub zone: Zone,
    /// How capable it is.
    pub tier: Tier,
    /// It is of the zone and the tier that are demanded.
    pub qualifies: bool,
    /// It would serve if the client allowed a lower tier.
    pub serves_flexible: bool,
}

/// Which part of routing left a place out, by the word that clients read as `reconciler`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Where prompts may be read.
    Privacy,
    /// How capable the backend must be.
    Tier,
    /// What it may cost.
    Budget,
    /// What the backend is doing: draining, loading.
    Lifecycle,
    /// Whether it works and can do what is asked.
    Scheduler,
}

impl Rule {
    /// Every one of them.
    pub const ALL: [Rule; 5] = [Rule::Privacy, Rule::Tier, Rule::Budget, Rule::Lifecycle, Rule::Scheduler];

    /// The word of JSON, headers and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Rule::Privacy => "privacy",
            Rule::Tier => "tier",
            Rule::Budget => "budget",
            Rule::Lifecycle => "lifecycle",
            Rule::Scheduler => "scheduler",
        }
    }

    /// Whether the operator's policies say no, where the place itself could have served.
    pub fn is_policy(self) -> bool {
        matches!(self, Rule::Privacy | Rule::Tier | Rule::Budget)
    }
}

/// Why a place was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The model is known not to be able to do these things there. Never empty.
    Lacks(Vec<Capability>),
    /// Backends of its kind have no such endpoint.
    NoEndpoint,
    /// It is not in a state to take requests.
    Unusable(Status),
    /// It is at another peer, and the request may not go on to one.
    NeedsHop,
    /// Prompts sent to it may be read elsewhere.
    Open,
    /// Its peer has proved nothing: the mesh is open.
    Untrusted,
    /// It is of a lower tier than demanded.
    BelowTier {
        /// The tier it is of.
        has: Tier,
        /// The tier that is demanded.
        wanted: Tier,
    },
    /// The budget of the month is used up.
    UsedUp,
    /// It costs, and nobody here knows yet which client keys there are.
    Stranger,
    /// It may cost more than is left of the budget. In billionths of a USD.
    Short {
        /// What it may cost.
        needed: u64,
        /// What is left.
        left: u64,
    },
    /// It may cost more than a policy lets one request cost. In billionths of a USD.
    TooDear {
        /// What it may cost.
        needed: u64,
        /// What the policy lets it cost.
        most: u64,
    },
    /// Nobody knows what it costs, and what it costs matters.
    NoPrice,
}

/// Something a request needs a model to be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Read images.
    Vision,
    /// Call tools.
    Tools,
    /// Answer in JSON.
    JsonMode,
    /// Make embeddings.
    Embeddings,
    /// Hold so much text.
    Context {
        /// Tokens it holds.
        limit: u64,
        /// Tokens the request needs, estimated.
        needed: u64,
    },
}

impl Capability {
    /// The word of messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Capability::Vision => "vision",
            Capability::Tools => "tools",
            Capability::JsonMode => "json_mode",
            Capability::Embeddings => "embeddings",
            Capability::Context { .. } => "context_length",
        }
    }
}

impl Rejection {
    /// Which part of routing left it out.
    pub fn rule(&self) -> Rule {
        match self.why {
            Why::Open | Why::Untrusted => Rule::Privacy,
            Why::BelowTier { .. } => Rule::Tier,
            Why::UsedUp | Why::Stranger | Why::Short { .. } | Why::TooDear { .. } | Why::NoPrice => Rule::Budget,
            Why::Unusable(Status::Draining) => Rule::Lifecycle,
            Why::NoEndpoint | Why::Lacks(_) | Why::Unusable(_) | Why::NeedsHop => Rule::Scheduler,
        }
    }

    /// Why, as a sentence without a full stop.
    pub fn reason(&self) -> String {
        self.why.to_string()
    }

    /// Whether nobody knows yet what whoever asks may spend.
    pub fn is_of_a_stranger(&self) -> bool {
        matches!(self.why, Why::Stranger)
    }

    /// What could be done about it.
    pub fn suggested_action(&self) -> String {
        let backend = self.place.backend();
        match &self.why {
            Why::Lacks(missing) => match missing.iter().find(|lacks| matches!(lacks, Capability::Context { .. })) {
                Some(_) => "Shorten the prompt or use a model with a larger context".to_owned(),
                None => format!("Use a model that supports {}", list(missing)),
            },
            Why::NoEndpoint => "Use a model whose backend has this endpoint".to_owned(),
            Why::Unusable(Status::Draining) => format!("Wait, or end the draining of backend '{backend}'"),
            Why::Unusable(_) => format!("Check that backend '{backend}' is running and can be reached"),
            Why::NeedsHop => "Send the request to a peer that reaches the backend itself".to_owned(),
            Why::Open => "Add a backend of zone 'restricted' that has this model, or relax the policy".to_owned(),
            Why::Untrusted => "Close the mesh with a key (nexus mesh invite) and let this peer join".to_owned(),
            Why::UsedUp => "Wait for the next month, raise 'monthly_limit_usd', or use a local model".to_owned(),
            Why::Stranger => {
                "Wait until this node has met a peer of its mesh, run 'nexus budget found' where it is the first of \
                              them, or use a local model"
                    .to_owned()
            }
            Why::Short { .. } => {
                "Send a smaller 'max_tokens', raise 'monthly_limit_usd', or use a local model".to_owned()
            }
            Why::TooDear { .. } => {
                "Send a smaller 'max_tokens', raise 'max_cost_per_request', or use a local model".to_owned()
            }
            Why::NoPrice => "Add its price to [prices] in the configuration, or use another model".to_owned(),
            Why::BelowTier { wanted, .. } => {
                let add = format!("Add a backend of tier {} or higher", wanted.get());
                match self.serves_flexible {
                    true => format!("{add}, or send 'X-Nexus-Flexible: true' to be served by tier {}", self.tier.get()),
                    false => add,
                }
            }
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Lacks(missing) => match missing.as_slice() {
                [Capability::Context { limit, needed }] => {
                    write!(f, "The request needs about {needed} tokens of context and the model has {limit}")
                }
                missing => write!(f, "The model lacks {}", list(missing)),
            },
            Why::NoEndpoint => f.write_str("Backends of its type have no such endpoint"),
            Why::Unusable(status) => write!(f, "The backend is {}", status.as_str()),
            Why::NeedsHop => f.write_str("The backend is at another peer and the request has no hop left"),
            Why::Open => write!(f, "The backend is in zone '{}' and '{}' is required", Zone::Open, Zone::Restricted),
            Why::UsedUp => f.write_str("The budget of this month is used up"),
            Why::Stranger => f.write_str(
                "The model costs, and this node does not know the client keys of its mesh yet, nor what they may spend",
            ),
            Why::Short { needed, left } => {
                write!(f, "The request may cost {} USD and {} USD of the budget are left", usd(*needed), usd(*left))
            }
            Why::TooDear { needed, most } => {
                write!(f, "The request may cost {} USD and the policy allows {} USD", usd(*needed), usd(*most))
            }
            Why::NoPrice => f.write_str("What the model costs is not known, and a limit holds"),
            Why::Untrusted => f.write_str("The backend is at a peer of an open mesh, which proves nothing of itself"),
            Why::BelowTier { has, wanted } => {
                write!(f, "The backend is of tier {} and {} is required", has.get(), wanted.get())
            }
        }
    }
}

/// An amount for people: four decimals are not enough for what is cheap.
#[expect(clippy::cast_precision_loss, reason = "for people")]
fn usd(nanos: u64) -> String {
    format!("{:.6}", nanos as f64 / 1e9)
}

fn list(missing: &[Capability]) -> String {
    let words: Vec<&str> = missing.iter().map(|lacks| lacks.as_str()).collect();
    words.join(", ")
}

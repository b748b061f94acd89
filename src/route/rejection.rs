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
}

/// Which part of routing left a place out, by the word that clients read as `reconciler`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Where prompts may be read.
    Privacy,
    /// How capable the backend must be.
    Tier,
    /// What the backend is doing: draining, loading.
    Lifecycle,
    /// Whether it works and can do what is asked.
    Scheduler,
}

impl Rule {
    /// The word of JSON, headers and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Rule::Privacy => "privacy",
            Rule::Tier => "tier",
            Rule::Lifecycle => "lifecycle",
            Rule::Scheduler => "scheduler",
        }
    }

    /// Whether the operator's policies say no, where the place itself could have served.
    pub fn is_policy(self) -> bool {
        matches!(self, Rule::Privacy | Rule::Tier)
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
            Why::Unusable(Status::Draining) => Rule::Lifecycle,
            Why::NoEndpoint | Why::Lacks(_) | Why::Unusable(_) | Why::NeedsHop => Rule::Scheduler,
        }
    }

    /// Why, as a sentence without a full stop.
    pub fn reason(&self) -> String {
        self.why.to_string()
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
            Why::BelowTier { wanted, .. } => {
                let wanted = wanted.get();
                format!("Add a backend of tier {wanted} or higher, or send 'X-Nexus-Flexible: true'")
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
            Why::Untrusted => f.write_str("The backend is at a peer of an open mesh, which proves nothing of itself"),
            Why::BelowTier { has, wanted } => {
                write!(f, "The backend is of tier {} and {} is required", has.get(), wanted.get())
            }
        }
    }
}

fn list(missing: &[Capability]) -> String {
    let words: Vec<&str> = missing.iter().map(|lacks| lacks.as_str()).collect();
    words.join(", ")
}

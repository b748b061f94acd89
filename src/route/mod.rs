//! Which backend answers: a pure function of what was asked, of the rules, and of the world at one instant. No clock,
//! no socket, no lock; nothing is sent, and nothing is logged.
//!
//! [`Rules`] are compiled once. A request is a [`Chain`] of models and an [`Intent`]; the gateway lays out a [`World`]
//! for that chain; [`plan()`] takes every candidate through the stages and ranks what is left. Zone and tier are
//! filters, never scores.

mod adaptive;
mod affinity;
mod alias;
mod config;
mod estimate;
mod intent;
mod money;
mod plan;
mod policy;
mod rejection;
mod rules;
mod score;
mod silence;
mod single;
mod stage;
mod strategy;
mod verdict;
mod weaker;
mod world;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use affinity::seat;
pub use alias::MAX_STEPS;
pub use config::{Config, Policy, PolicyChange, Privacy, Strategy, Weights};
pub use estimate::Estimate;
pub use intent::{Chance, Floors, Intent, Prompt, TierMode};
pub use money::{Fee, Money};
pub use plan::{Plan, Step, plan};
pub use policy::covers;
pub use rejection::{Capability, Rejection, Rule, Why};
pub use rules::{Chain, Problem, Rules};
pub use score::Score;
pub use single::objections;
pub use verdict::{MAX_DETAILS, Verdict, rejection_details, rejection_summary};
pub use weaker::{Turned, turned, weakened};
pub use world::{Candidate, Offer, Place, World};

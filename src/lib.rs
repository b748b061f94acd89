//! Nexus: one endpoint for every language model on every machine you own.
//!
//! Every machine runs the same node. Nodes find each other, gossip what they have, and answer any client from the best
//! backend of the whole mesh. The modules stand on floors and import downward only (`tests/floors.rs` checks it):
//!
//! | floor | modules | what |
//! |---|---|---|
//! | 6 | [`node`], [`cli`], [`config`] | composition |
//! | 5 | [`api`], [`dashboard`], [`telemetry`], [`advice`], [`synthetic`] | faces |
//! | 4 | [`gateway`], [`lifecycle`] | the life of a request, and of a model in memory |
//! | 3 | [`mesh`], [`discovery`], [`health`] | loops that learn about the world |
//! | 2 | [`registry`], [`backend`], [`queue`], [`budget`], [`access`] | state and wires, one owner each |
//! | 1 | [`route`], [`dialect`] | pure: no clock, no socket, no lock, no async |
//! | 0 | [`fleet`], [`exchange`], [`mod@env`] | words and seams |
//!
//! Start reading at [`gateway::Gateway::handle`], then [`route::plan`], then [`node::start`].

#![forbid(unsafe_code)]

pub mod env;
pub mod exchange;
pub mod fleet;

pub mod dialect;
pub mod route;

pub mod access;
pub mod backend;
pub mod budget;
pub mod queue;
pub mod registry;

pub mod discovery;
pub mod health;
pub mod mesh;

pub mod gateway;
pub mod lifecycle;

pub mod advice;
pub mod api;
pub mod dashboard;
pub mod synthetic;
pub mod telemetry;

pub mod cli;
pub mod config;
pub mod node;

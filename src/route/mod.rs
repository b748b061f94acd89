//! To come.

mod config;
mod policy;

pub use config::{Config, Policy, Privacy, Strategy, Weights};

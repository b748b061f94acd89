//! To come.

mod config;

pub use config::{Auth, ClientKey, Config};

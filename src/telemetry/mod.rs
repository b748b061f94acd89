//! What a node writes about itself. It reads events and never takes part in what it reports.

mod config;
mod logging;

pub use config::{Config, Format, Level};
pub use logging::{AlreadyRunning, init};

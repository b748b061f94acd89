//! What a node tells of itself: its log, what it counts, and the spans of its requests. It reads events and never takes part in what it reports.

pub mod audit;
mod config;
mod counters;
pub mod events;
pub mod export;
mod json;
mod levels;
mod lines;
mod logging;
mod plain;
mod shelf;
pub mod spans;
mod stamp;
#[cfg(test)]
mod testing;
mod window;

pub use config::{Config, Format, Level};
pub use counters::{BackendCounts, Counters, IsListed, KeyCounts, Took};
pub use levels::{Levels, LevelsError};
pub use lines::flush;
pub use logging::{AlreadyRunning, init};

//! Advice from history: which models are asked for at which hours, and what would be worth holding in memory where. Nothing is
//! ever done by itself; whoever takes a piece of advice orders it like any other load.
//!
//! Start reading at [`Advisor::advice`], then [`advise`].

mod advisor;
mod config;
mod history;
mod pattern;
mod recommend;

pub use advisor::{Advice, Advisor};
pub use config::Config;
pub use history::{Damaged, HOURS_OF_DAY, History, Hour};
pub use recommend::{Gain, Held, Place, Recommendation, Sight, Step, advise};

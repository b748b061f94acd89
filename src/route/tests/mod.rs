//! What a plan promises, by example and over random fleets.

mod fleets;
mod policies;
mod strategies;
mod verdicts;

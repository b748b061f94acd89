//! `tier`: whether a backend is as capable as is demanded. Whether a lower one may stand in is for the plan to say,
//! which sees all of them.

use crate::fleet::Tier;
use crate::route::rejection::Why;
use crate::route::world::Candidate;

pub(in crate::route) fn objection(candidate: &Candidate, demand: Option<Tier>) -> Option<Why> {
    let wanted = demand.filter(|wanted| candidate.tier < *wanted)?;
    Some(Why::BelowTier { has: candidate.tier, wanted })
}

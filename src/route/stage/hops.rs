//! `scheduler`: whether the request may go on to another peer. One that was forwarded may not, so no loop can form.

use crate::route::rejection::Why;
use crate::route::world::Candidate;

pub(in crate::route) fn objection(candidate: &Candidate, may_hop: bool) -> Option<Why> {
    (!may_hop && !candidate.place.is_here()).then_some(Why::NeedsHop)
}

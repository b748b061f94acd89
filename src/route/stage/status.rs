//! `scheduler`, or `lifecycle` for a backend that drains: whether a backend takes requests at all. One that was never
//! checked does: checks may be off.

use crate::fleet::Status;
use crate::route::rejection::Why;
use crate::route::world::Candidate;

pub(in crate::route) fn objection(candidate: &Candidate) -> Option<Why> {
    match candidate.status {
        Status::Healthy | Status::Unknown => None,
        status @ (Status::Unhealthy | Status::Draining | Status::Unrecognised) => Some(Why::Unusable(status)),
    }
}

//! `scheduler`: whether a backend of its kind has what is asked for, or something that can be made of it.

use crate::exchange::Endpoint;
use crate::fleet::Speech;
use crate::route::rejection::Why;
use crate::route::world::Candidate;

pub(in crate::route) fn objection(candidate: &Candidate, endpoint: Option<Endpoint>) -> Option<Why> {
    (candidate.kind.speech(endpoint?) == Speech::Never).then_some(Why::NoEndpoint)
}

//! The stages that keep or reject candidates, one file each. They are filters, never scores: no other quality of a place
//! makes up for one that is missing. A policy is asked last, so that what it rejects would have served but for it.

pub(super) mod budget;
pub(super) mod capability;
pub(super) mod endpoint;
pub(super) mod hops;
pub(super) mod status;
pub(super) mod tier;
pub(super) mod zone;

use super::intent::{Floors, Intent};
use super::rejection::Why;
use super::world::Candidate;

/// The first objection to `candidate`, if any. `floors` is all that is demanded for the member of the chain it would
/// serve.
pub(super) fn objection(candidate: &Candidate, intent: &Intent, floors: Floors) -> Option<Why> {
    endpoint::objection(candidate, intent.endpoint)
        .or_else(|| capability::objection(candidate, &intent.needs))
        .or_else(|| status::objection(candidate))
        .or_else(|| hops::objection(candidate, intent.may_hop))
        .or_else(|| zone::objection(candidate, floors.zone))
        .or_else(|| tier::objection(candidate, floors.tier))
}

/// Whether zone and tier of `candidate` are those that are demanded, whatever else may be wrong with it.
pub(super) fn allows(candidate: &Candidate, floors: Floors) -> bool {
    zone::objection(candidate, floors.zone).is_none() && tier::objection(candidate, floors.tier).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Needs, Status, Zone};
    use crate::route::testing::{candidate, there, tier};

    /// What a policy rejects would have served but for it: a candidate with other faults is rejected for those.
    #[test]
    fn policies_are_asked_last() {
        let floors = Floors { zone: Zone::Restricted, tier: Some(tier(5)) };
        let intent = Intent { needs: Needs { tools: true, ..Needs::default() }, ..Intent::default() };
        let mut worst = candidate("b", Zone::Open, 1);
        worst.place = there("b", "far");
        worst.status = Status::Unhealthy;
        worst.model = std::sync::Arc::new(crate::fleet::Model {
            tools: crate::fleet::Support::No,
            ..crate::fleet::Model::named("m")
        });
        let kinds = |candidate: &Candidate| objection(candidate, &intent, floors);
        assert!(matches!(kinds(&worst), Some(Why::Lacks(_))));
        worst.model = std::sync::Arc::new(crate::fleet::Model::named("m"));
        assert_eq!(kinds(&worst), Some(Why::Unusable(Status::Unhealthy)));
        worst.status = Status::Healthy;
        assert_eq!(kinds(&worst), Some(Why::NeedsHop));
        worst.place = candidate("b", Zone::Open, 1).place;
        assert_eq!(kinds(&worst), Some(Why::Open));
        worst.zone = Zone::Restricted;
        assert!(matches!(kinds(&worst), Some(Why::BelowTier { .. })));
        worst.tier = tier(5);
        assert_eq!(kinds(&worst), None);
    }
}

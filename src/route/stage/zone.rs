//! `privacy`: a restricted prompt goes to restricted places only, and over the wire only to peers that have proved
//! themselves.

use crate::fleet::Zone;
use crate::route::rejection::Why;
use crate::route::world::Candidate;

pub(in crate::route) fn objection(candidate: &Candidate, demand: Zone) -> Option<Why> {
    if !candidate.effective_zone().satisfies(demand) {
        return Some(Why::Open);
    }
    let exposed = demand == Zone::Restricted && !candidate.place.is_here() && !candidate.trusted;
    exposed.then_some(Why::Untrusted)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fleet::Model;
    use crate::route::testing::{candidate, there};

    #[test]
    fn a_cloud_model_behind_a_local_server_is_open() {
        let mut ollama = candidate("ollama", Zone::Restricted, 1);
        assert_eq!(objection(&ollama, Zone::Restricted), None);
        ollama.model = Arc::new(Model::named("gpt-oss:120b-cloud"));
        assert_eq!(objection(&ollama, Zone::Restricted), Some(Why::Open));
        assert_eq!(objection(&ollama, Zone::Open), None);
    }

    #[test]
    fn a_restricted_prompt_is_not_sent_to_a_peer_of_an_open_mesh() {
        let mut far = candidate("b", Zone::Restricted, 1);
        far.place = there("b", "far");
        assert_eq!(objection(&far, Zone::Restricted), None);
        far.trusted = false;
        assert_eq!(objection(&far, Zone::Restricted), Some(Why::Untrusted));
        assert_eq!(objection(&far, Zone::Open), None);
    }
}

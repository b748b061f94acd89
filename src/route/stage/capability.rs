//! `scheduler`: whether a model can do what is asked. Only a known "no" or a known limit speaks against it; what nobody
//! knows never does.

use crate::fleet::{Needs, Support};
use crate::route::rejection::{Capability, Why};
use crate::route::world::Candidate;

pub(in crate::route) fn objection(candidate: &Candidate, needs: &Needs) -> Option<Why> {
    let model = &candidate.model;
    let wanted = [
        (needs.vision, model.vision, Capability::Vision),
        (needs.tools, model.tools, Capability::Tools),
        (needs.json_mode, model.json_mode, Capability::JsonMode),
        (needs.embeddings, model.embeddings, Capability::Embeddings),
    ];
    let cannot = wanted.into_iter().filter(|(needed, can, _)| *needed && *can == Support::No);
    let mut missing: Vec<Capability> = cannot.map(|(_, _, capability)| capability).collect();
    let needed = needs.context_tokens();
    if let Some(limit) = model.context_length.filter(|limit| needed > *limit) {
        missing.push(Capability::Context { limit, needed });
    }
    (!missing.is_empty()).then_some(Why::Lacks(missing))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fleet::{Model, Zone};
    use crate::route::testing::candidate;

    const ALL: Needs =
        Needs { vision: true, tools: true, json_mode: true, embeddings: true, prompt_bytes: 400, max_tokens: Some(50) };

    fn of(model: Model, needs: &Needs) -> Option<Why> {
        let mut candidate = candidate("b", Zone::Restricted, 1);
        candidate.model = Arc::new(model);
        objection(&candidate, needs)
    }

    #[test]
    fn what_is_unknown_never_excludes() {
        assert_eq!(of(Model::named("m"), &ALL), None);
        let huge = Needs { prompt_bytes: u64::MAX, ..ALL };
        assert_eq!(of(Model::named("m"), &huge), None);
    }

    #[test]
    fn a_known_no_and_a_known_limit_exclude_and_all_are_told() {
        let model = Model {
            vision: Support::No,
            tools: Support::Yes,
            json_mode: Support::No,
            context_length: Some(149),
            ..Model::named("m")
        };
        let expected = vec![Capability::Vision, Capability::JsonMode, Capability::Context { limit: 149, needed: 150 }];
        assert_eq!(of(model.clone(), &ALL), Some(Why::Lacks(expected)));
        assert_eq!(of(model, &Needs::default()), None, "nothing is asked of it");
        assert_eq!(of(Model { context_length: Some(150), ..Model::named("m") }, &ALL), None, "exactly enough");
    }
}

//! Us to gossip: which facts this node should be telling, and the smallest change that makes it so. It tells whatever it
//! is given: what is for others to know is decided where that is known.

use std::collections::BTreeMap;

use chitchat::NodeState;

use super::facts::ledger::LedgerFact;
use super::facts::{self, MAX_BACKENDS, MAX_BREAKERS, MAX_MODELS, peer::PeerFact};
use crate::fleet::{BackendFacts, LedgerFacts, PeerId};

/// Rows of ledgers that are told.
const MAX_ROWS: usize = 4_000;

/// Every fact this node should be telling, by key.
pub(super) fn facts(
    us: &PeerFact,
    sees: impl Iterator<Item = PeerId>,
    keys: Option<&str>,
    backends: &[BackendFacts],
    ledger: Option<&LedgerFacts>,
) -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    told.extend(facts::peer::encode(us).map(|value| (facts::peer::KEY.to_owned(), value)));
    told.extend(facts::sees::encode(sees).map(|value| (facts::sees::KEY.to_owned(), value)));
    if let Some(LedgerFacts { holder, founding, terms, lost, rows }) = ledger {
        let (holder, founding, lost) = (holder.clone(), founding.clone(), lost.clone());
        let fact = LedgerFact { holder, founding, terms: *terms, lost };
        told.extend(facts::ledger::encode(&fact).map(|value| (facts::ledger::KEY.to_owned(), value)));
        told.extend(rows.iter().take(MAX_ROWS).filter_map(facts::ledger::encode_row));
    }
    told.extend(keys.and_then(facts::keys::encode).map(|value| (facts::keys::KEY.to_owned(), value)));
    let mut offered: Vec<&BackendFacts> = backends.iter().collect();
    offered.sort_by(|one, other| one.about.name.cmp(&other.about.name));
    for backend in offered.into_iter().take(MAX_BACKENDS) {
        let Some(about) = facts::backend::encode(&backend.about) else { continue };
        let name = &backend.about.name;
        told.extend([about]);
        told.extend(facts::load::encode(name, &backend.load));
        for served in backend.served.iter().take(MAX_MODELS) {
            told.extend(facts::pace::encode(name, &served.model, &served.pace));
            told.extend(facts::warm::encode(name, &served.model, &served.digest));
        }
        let breakers = backend.breakers.iter().take(MAX_BREAKERS);
        told.extend(breakers.filter_map(|breaker| facts::breaker::encode(name, breaker)));
        told.extend(backend.models.iter().take(MAX_MODELS).filter_map(|model| facts::model::encode(name, model)));
    }
    told
}

/// Makes `state`, our own row of the gossip, tell exactly `facts`.
pub(super) fn tell(state: &mut NodeState, facts: &BTreeMap<String, String>) {
    let stale: Vec<String> =
        state.key_values().map(|(key, _)| key).filter(|key| !facts.contains_key(*key)).map(str::to_owned).collect();
    for key in stale {
        state.delete(&key);
    }
    for (key, value) in facts {
        // Unchanged values are recognised, and not gossiped again.
        state.set(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Fact, decode};
    use super::*;
    use crate::fleet::{BackendAbout, Breaker, Kind, Load, Model, Standing, Status, Tier, Trouble, Zone};

    fn backend(name: &str, kind: Kind, models: &[&str]) -> BackendFacts {
        BackendFacts {
            about: BackendAbout {
                name: name.to_owned(),
                kind,
                zone: Zone::Restricted,
                tier: Tier::default(),
                priority: 50,
                status: Status::Healthy,
                suspect: false,
                endpoint: "10.0.0.1:1".to_owned(),
                near: true,
                machine: String::new(),
            },
            models: models.iter().map(|id| Model::named(*id)).collect(),
            load: Load::default(),
            served: Vec::new(),
            breakers: Vec::new(),
        }
    }

    fn us() -> PeerFact {
        PeerFact { name: "us".to_owned(), ..PeerFact::default() }
    }

    #[test]
    fn every_backend_is_told_with_its_load_and_its_models() {
        let told = facts(&us(), std::iter::empty(), None, &[backend("gpu", Kind::Ollama, &["a", "b"])], None);
        assert!(facts(&us(), std::iter::empty(), Some("ab12"), &[], None).contains_key("keys"));
        let keys: Vec<String> = told.into_keys().collect();
        assert_eq!(keys, ["backend/gpu", "load/gpu", "model/gpu/a", "model/gpu/b", "peer", "sees"]);
    }

    #[test]
    fn what_is_told_is_understood_and_bounded() {
        let names: Vec<String> = (0..3_000).map(|number| format!("m{number}")).collect();
        let ids: Vec<&str> = names.iter().map(String::as_str).collect();
        let told = facts(&us(), std::iter::empty(), None, &[backend("gpu", Kind::Vllm, &ids)], None);
        assert_eq!(told.len(), MAX_MODELS + 4);
        assert!(told.iter().all(|(key, value)| decode(key, value).is_ok()));
        assert!(matches!(decode("peer", &told["peer"]), Ok(Fact::Peer(fact)) if fact == us()));
    }

    #[test]
    fn breakers_that_are_not_closed_are_told_and_no_more_than_so_many() {
        let breaker = |number: u32| Breaker {
            model: Some(format!("m{number}")),
            trouble: Trouble::Errors,
            standing: Standing::Probing,
        };
        let breakers = (0..100).map(breaker).collect();
        let told = facts(
            &us(),
            std::iter::empty(),
            None,
            &[BackendFacts { breakers, ..backend("gpu", Kind::Vllm, &[]) }],
            None,
        );
        let breakers: Vec<_> = told.iter().filter(|(key, _)| key.starts_with("breaker/gpu/errors/m")).collect();
        assert_eq!(breakers.len(), MAX_BREAKERS);
        assert!(breakers.iter().all(|(key, value)| matches!(decode(key, value), Ok(Fact::Breaker(..)))));
    }

    #[test]
    fn only_what_changed_is_told_again_and_what_was_written_over_is_put_right() {
        let mut state = NodeState::for_test();
        let mut ours = [backend("gpu", Kind::Vllm, &["a", "b"])];
        let told = |ours: &[BackendFacts]| facts(&us(), std::iter::empty(), None, ours, None);
        tell(&mut state, &told(&ours));
        let before = state.max_version();
        tell(&mut state, &told(&ours));
        assert_eq!(state.max_version(), before, "nothing new, nothing gossiped");
        ours[0].load.in_flight = 3;
        tell(&mut state, &told(&ours));
        assert_eq!(state.max_version(), before + 1);
        ours[0].models.pop();
        state.set("peer", "forged");
        tell(&mut state, &told(&ours));
        assert!(!state.contains_key("model/gpu/b"));
        assert!(state.get("peer").is_some_and(|value| value != "forged"));
        tell(&mut state, &told(&[]));
        assert_eq!(state.key_values().map(|(key, _)| key.to_owned()).collect::<Vec<_>>(), ["peer", "sees"]);
    }
}

//! Us to gossip: which facts this node should be telling, and the smallest change that makes it so. What is not for
//! others to know is left out here, whatever it is given.

use std::collections::BTreeMap;

use chitchat::NodeState;

use super::facts::{self, MAX_BACKENDS, MAX_MODELS, peer::PeerFact};
use crate::fleet::{BackendFacts, Locality, PeerId};

/// Every fact this node should be telling, by key. In an open mesh nothing that costs money or leaves the machine is
/// offered: nobody knows who asks.
pub(super) fn facts(
    us: &PeerFact,
    sees: impl Iterator<Item = PeerId>,
    backends: &[BackendFacts],
    keyed: bool,
) -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    told.extend(facts::peer::encode(us).map(|value| (facts::peer::KEY.to_owned(), value)));
    told.extend(facts::sees::encode(sees).map(|value| (facts::sees::KEY.to_owned(), value)));
    let mut offered: Vec<&BackendFacts> =
        backends.iter().filter(|backend| keyed || backend.about.kind.locality() == Locality::Local).collect();
    offered.sort_by(|one, other| one.about.name.cmp(&other.about.name));
    for backend in offered.into_iter().take(MAX_BACKENDS) {
        let Some(about) = facts::backend::encode(&backend.about) else { continue };
        let name = &backend.about.name;
        told.extend([about]);
        told.extend(facts::load::encode(name, &backend.load));
        let models = backend.models.iter().filter(|model| keyed || !model.leaves_the_machine());
        told.extend(models.take(MAX_MODELS).filter_map(|model| facts::model::encode(name, model)));
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
    use crate::fleet::{BackendAbout, Kind, Load, Model, Status, Tier, Zone};

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
            },
            models: models.iter().map(|id| Model::named(*id)).collect(),
            load: Load::default(),
        }
    }

    fn us() -> PeerFact {
        PeerFact { name: "us".to_owned(), ..PeerFact::default() }
    }

    fn keys(backends: &[BackendFacts], keyed: bool) -> Vec<String> {
        facts(&us(), std::iter::empty(), backends, keyed).into_keys().collect()
    }

    #[test]
    fn an_open_mesh_is_not_offered_what_costs_money_or_leaves_the_machine() {
        let ours = [backend("cloud", Kind::OpenAi, &["gpt"]), backend("gpu", Kind::Ollama, &["big:cloud", "llama"])];
        assert_eq!(keys(&ours, false), ["backend/gpu", "load/gpu", "model/gpu/llama", "peer", "sees"]);
        let keyed = keys(&ours, true);
        assert!(keyed.contains(&"model/cloud/gpt".to_owned()) && keyed.contains(&"model/gpu/big:cloud".to_owned()));
    }

    #[test]
    fn what_is_told_is_understood_and_bounded() {
        let names: Vec<String> = (0..3_000).map(|number| format!("m{number}")).collect();
        let ids: Vec<&str> = names.iter().map(String::as_str).collect();
        let told = facts(&us(), std::iter::empty(), &[backend("gpu", Kind::Vllm, &ids)], true);
        assert_eq!(told.len(), MAX_MODELS + 4);
        assert!(told.iter().all(|(key, value)| decode(key, value).is_ok()));
        assert!(matches!(decode("peer", &told["peer"]), Ok(Fact::Peer(fact)) if fact == us()));
    }

    #[test]
    fn only_what_changed_is_told_again_and_what_was_written_over_is_put_right() {
        let mut state = NodeState::for_test();
        let mut ours = [backend("gpu", Kind::Vllm, &["a", "b"])];
        let told = |ours: &[BackendFacts]| facts(&us(), std::iter::empty(), ours, true);
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

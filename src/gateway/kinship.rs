//! Which names stand for the same model. One model goes by another name on every server; what tells them apart is the digest
//! of the file, or all that their names and servers say. Models of another size or quantisation are never the same.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::fleet::{Identity, Kind, Likeness, Locality, Model};
use crate::mesh::Peers;
use crate::registry::Snapshot;

/// Knows which names stand for the same, and finds it out anew when models come or go.
pub struct Kin {
    merges: bool,
    known: ArcSwap<Kinship>,
}

/// Which names stand for the same model, of all that anybody has at one time.
#[derive(Default)]
pub struct Kinship {
    merges: bool,
    /// What it was made of: while these are the same, so is it.
    here: Option<Arc<Snapshot>>,
    there: Option<Arc<Peers>>,
    /// Every model by the family of its name.
    families: BTreeMap<String, Vec<Named>>,
    /// Every name that somebody has, with the other names of the same.
    same: HashMap<Arc<str>, Vec<Arc<str>>>,
    /// Read names, kept from one time to the next.
    read: HashMap<(Arc<str>, String), Arc<Identity>>,
}

#[derive(Clone)]
struct Named {
    id: Arc<str>,
    digest: String,
    /// Its server says what it is made of.
    is_described: bool,
    identity: Arc<Identity>,
}

impl Named {
    fn is_same(&self, other: &Named) -> bool {
        let (one, two) = (&*self.identity, &*other.identity);
        // Ollama's short names leave out that a model was tuned to follow instructions, which most there were.
        let may_leave_out_tuning = self.is_described || other.is_described;
        let is_known = one.size.is_some() && one.quantisation.is_some();
        one.likeness(two) == Likeness::Same
            || may_leave_out_tuning
                && is_known
                && one.is_same_variant(two)
                && one.may_mean(two)
                && one.may_be_tuned_alike(two)
    }
}

impl Kin {
    /// With `merges` a name that leaves size or quantisation open means all of them.
    pub fn new(merges: bool) -> Self {
        Kin { merges, known: ArcSwap::default() }
    }

    /// As it is with these models.
    pub fn of(&self, here: &Arc<Snapshot>, peers: Option<&Arc<Peers>>) -> Arc<Kinship> {
        let known = self.known.load_full();
        let is_same_there = match (&known.there, peers) {
            (Some(seen), Some(peers)) => peers.offers_as(seen),
            (seen, peers) => seen.is_none() && peers.is_none(),
        };
        if is_same_there && known.here.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, here)) {
            return known;
        }
        let of = |kind: Kind, model: Arc<Model>| (kind.locality(), model);
        let ours = here.entries.iter().flat_map(|entry| {
            let models = entry.condition().models.clone();
            models.into_iter().map(move |model| of(entry.spec.kind, model))
        });
        let theirs = peers.into_iter().flat_map(|peers| &peers.list).flat_map(|peer| &peer.backends);
        let theirs =
            theirs.flat_map(|backend| backend.models.iter().map(move |model| of(backend.about.kind, model.clone())));
        let all = ours.chain(theirs);
        let mut made = Kinship::of(all, &known.read);
        (made.merges, made.here, made.there) = (self.merges, Some(here.clone()), peers.cloned());
        let made = Arc::new(made);
        self.known.store(made.clone());
        made
    }
}

impl Kinship {
    fn of(
        models: impl Iterator<Item = (Locality, Arc<Model>)>,
        read: &HashMap<(Arc<str>, String), Arc<Identity>>,
    ) -> Self {
        let mut kinship = Kinship::default();
        for (locality, model) in models {
            if locality == Locality::Cloud || model.leaves_the_machine() {
                // What runs in somebody's cloud is asked for by its own name: it is never taken for what runs here, nor the
                // other way round.
                kinship.same.entry(model.id.as_str().into()).or_default();
                continue;
            }
            let told = format!("{}/{}", model.weights.parameters, model.weights.quantisation);
            let key = (Arc::from(model.id.as_str()), told);
            if kinship.read.contains_key(&key) {
                continue;
            }
            let identity = read.get(&key).cloned().unwrap_or_else(|| Arc::new(identity_of(&model)));
            let named = Named {
                id: key.0.clone(),
                digest: model.weights.digest.clone(),
                is_described: !model.weights.parameters.is_empty(),
                identity: identity.clone(),
            };
            kinship.families.entry(identity.family.clone()).or_default().push(named);
            kinship.read.insert(key, identity);
        }
        kinship.same.extend(same_of(&kinship.families));
        kinship
    }

    /// The other names of `name`; where nobody has a model of this name, the names of what it means.
    pub(super) fn others(&self, name: &str) -> Vec<Arc<str>> {
        if let Some(others) = self.same.get(name) {
            return others.clone();
        }
        match self.same.get_key_value(format!("{name}:latest").as_str()) {
            Some((latest, others)) => std::iter::once(latest).chain(others).cloned().collect(),
            None => self.meant(name),
        }
    }

    /// What a name that nobody has may mean: all of it, if all of it is the same or sizes are merged.
    fn meant(&self, name: &str) -> Vec<Arc<str>> {
        let asked = Identity::parse(name);
        let Some(family) = self.families.get(&asked.family) else { return Vec::new() };
        let meant: Vec<&Named> = family.iter().filter(|named| asked.may_mean(&named.identity)).collect();
        let Some(first) = meant.first() else { return Vec::new() };
        let is_alike = |one: &Identity, two: &Identity| one.is_same_variant(two) && one.may_be_tuned_alike(two);
        let is_one = meant.iter().all(|other| is_alike(&other.identity, &first.identity));
        let mut ids: Vec<Arc<str>> = match is_one || self.merges {
            true => meant.iter().map(|named| named.id.clone()).collect(),
            false => Vec::new(),
        };
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}

/// The other names of each.
fn same_of(families: &BTreeMap<String, Vec<Named>>) -> HashMap<Arc<str>, Vec<Arc<str>>> {
    let mut same: HashMap<Arc<str>, Vec<Arc<str>>> = HashMap::new();
    let mut by_digest: BTreeMap<&str, Vec<&Named>> = BTreeMap::new();
    for family in families.values() {
        // Whoever is the same has all of this in common: there are too many names to compare each with each.
        let mut alike: BTreeMap<_, Vec<&Named>> = BTreeMap::new();
        for named in family {
            let Identity { quantisation, revision, .. } = &*named.identity;
            alike.entry((quantisation, revision)).or_default().push(named);
            if !named.digest.is_empty() {
                by_digest.entry(&named.digest).or_default().push(named);
            }
        }
        for named in alike.values().flat_map(|alike| alike.iter().map(move |one| (one, alike))) {
            let (one, alike) = named;
            let kin = alike.iter().filter(|other| one.is_same(other));
            same.entry(one.id.clone()).or_default().extend(kin.map(|other| other.id.clone()));
        }
    }
    for alike in by_digest.values() {
        for one in alike {
            same.entry(one.id.clone()).or_default().extend(alike.iter().map(|other| other.id.clone()));
        }
    }
    for (id, others) in &mut same {
        others.retain(|other| other != id);
        others.sort_unstable();
        others.dedup();
    }
    same
}

fn identity_of(model: &Model) -> Identity {
    let told = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let (size, quantisation) = (told(&model.weights.parameters), told(&model.weights.quantisation));
    Identity::parse(&model.id).with_details(size.as_deref(), quantisation.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Weights;

    fn model(id: &str, parameters: &str, quantisation: &str, digest: &str) -> Arc<Model> {
        let weights = Weights {
            digest: digest.to_owned(),
            parameters: parameters.to_owned(),
            quantisation: quantisation.to_owned(),
            ..Weights::default()
        };
        Arc::new(Model { weights, ..Model::named(id) })
    }

    fn kinship(models: &[Arc<Model>]) -> Kinship {
        Kinship::of(models.iter().map(|model| (Locality::Local, model.clone())), &HashMap::new())
    }

    fn others(kinship: &Kinship, name: &str) -> Vec<String> {
        kinship.others(name).iter().map(|id| id.to_string()).collect()
    }

    const FILE: &str = "Llama-3.2-3B-Instruct-Q4_K_M.gguf";

    #[test]
    fn one_model_under_three_names_is_one() {
        let kinship = kinship(&[
            model("llama3.2:3b-instruct-q4_K_M", "3.2B", "Q4_K_M", "d1"),
            model(FILE, "", "", ""),
            model("qwen3:8b", "8.2B", "Q4_K_M", "d2"),
        ]);
        assert_eq!(others(&kinship, FILE), ["llama3.2:3b-instruct-q4_K_M"]);
        assert_eq!(others(&kinship, "llama3.2:3b-instruct-q4_K_M"), [FILE]);
        assert_eq!(others(&kinship, "qwen3:8b"), [] as [&str; 0]);
    }

    #[test]
    fn a_digest_tells_more_than_a_name() {
        let kinship = kinship(&[model("mine:latest", "", "", "d"), model("llama3.2:latest", "3.2B", "Q4_K_M", "d")]);
        assert_eq!(others(&kinship, "mine:latest"), ["llama3.2:latest"]);
    }

    #[test]
    fn a_name_that_says_less_is_served_where_it_can_mean_one_thing_only() {
        let one = kinship(&[model("llama3.2:latest", "3.2B", "Q4_K_M", "d"), model(FILE, "", "", "")]);
        let mut found = others(&one, "llama3.2");
        found.sort();
        assert_eq!(found[0], FILE.to_owned());
        assert!(found.contains(&"llama3.2:latest".to_owned()), "{found:?}");
        assert_eq!(others(&one, "meta-llama/Llama-3.2-3B-Instruct"), [FILE, "llama3.2:latest"]);
        assert_eq!(others(&one, "llama3.1"), [] as [&str; 0]);
        assert_eq!(others(&one, "llama"), [] as [&str; 0]);

        let mut two = kinship(&[model("llama3.2:1b", "1.2B", "Q8_0", ""), model("llama3.2:3b", "3.2B", "Q4_K_M", "")]);
        assert_eq!(others(&two, "llama3.2"), [] as [&str; 0], "which of them?");
        assert_eq!(others(&two, "Llama-3.2-3B"), ["llama3.2:3b"]);
        let base = model("llama3.2:3b-text-q4_K_M", "3.2B", "Q4_K_M", "");
        let tuned = kinship(&[base, model(FILE, "", "", "")]);
        assert_eq!(others(&tuned, "Llama-3.2-3B"), [] as [&str; 0], "tuned or not?");
        assert_eq!(others(&tuned, FILE), [] as [&str; 0]);
        two.merges = true;
        assert_eq!(others(&two, "llama3.2"), ["llama3.2:1b", "llama3.2:3b"]);
    }

    #[test]
    fn what_leaves_the_machine_is_nobodys_kin() {
        let kinship = kinship(&[model("big:cloud", "3B", "Q4_0", "d"), model("big:latest", "3B", "Q4_0", "d")]);
        assert_eq!(others(&kinship, "big:cloud"), [] as [&str; 0]);
        assert_eq!(others(&kinship, "big:latest"), [] as [&str; 0]);
    }

    #[test]
    fn what_a_vendor_serves_is_asked_for_by_its_own_name() {
        let (cloud, local) = (model("meta-llama/llama-3.2-3b-instruct", "", "", ""), model(FILE, "", "", ""));
        let both = [(Locality::Cloud, cloud), (Locality::Local, local)];
        let kinship = Kinship::of(both.into_iter(), &HashMap::new());
        assert_eq!(others(&kinship, "meta-llama/llama-3.2-3b-instruct"), [] as [&str; 0]);
        assert_eq!(others(&kinship, FILE), [] as [&str; 0]);
        assert_eq!(others(&kinship, "llama3.2:3b"), [FILE]);
    }

    #[test]
    fn names_that_are_not_alike_are_never_taken_for_each_other() {
        let kinship = kinship(&[model("m1", "", "", ""), model("m2", "", "", ""), model("a-b", "", "", "")]);
        for name in ["m", "m3", "nope", "", "a", "m1x"] {
            assert_eq!(others(&kinship, name), [] as [&str; 0], "{name}");
        }
    }
}

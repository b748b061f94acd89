//! Models, and who has them.

use std::collections::BTreeMap;

use super::rows::Cut;
use super::seen::Place;
use super::words::{Name, millis, or_dash};
use crate::fleet::{Model, Residency};

/// Backends that are named beside a model.
const PLACES_SHOWN: usize = 5;

/// One model.
#[derive(Clone, Debug)]
pub struct ModelRow {
    /// What clients call it.
    pub name: Name,
    /// Who has it.
    pub places: Cut<ModelPlace>,
    /// How many of them would take a request now.
    pub ready: usize,
    /// Tokens of prompt and answer together.
    pub context: String,
    /// What it is known to do.
    pub abilities: String,
}

/// A model on one backend.
#[derive(Clone, Debug)]
pub struct ModelPlace {
    /// The backend.
    pub backend: Name,
    /// Its peer.
    pub peer: Name,
    /// Whether it is in memory, where that is known.
    pub memory: &'static str,
    /// The backend's time to the first byte.
    pub ttft: String,
    /// Whether it would take a request.
    pub ready: bool,
}

/// The first `limit` of all models by name, and how many there are.
pub(super) fn rows(places: &[Place], limit: usize) -> (Cut<ModelRow>, usize) {
    let mut by_name: BTreeMap<&str, Vec<(&Place, &Model)>> = BTreeMap::new();
    for place in places.iter().filter(|place| place.peer_state != crate::fleet::PeerState::Dead) {
        for model in &place.models {
            by_name.entry(&model.id).or_default().push((place, model));
        }
    }
    let all: Vec<_> = by_name.into_iter().collect();
    (Cut::of(&all, limit, |(name, at)| row(name, at)), all.len())
}

fn row(name: &str, at: &[(&Place, &Model)]) -> ModelRow {
    let context = at.iter().filter_map(|(_, model)| model.context_length).max();
    let can = |able: fn(&Model) -> bool, word: &'static str| at.iter().any(|(_, model)| able(model)).then_some(word);
    let abilities = [
        can(|model| model.tools.is_yes(), "tools"),
        can(|model| model.vision.is_yes(), "vision"),
        can(|model| model.embeddings.is_yes(), "embeddings"),
    ];
    ModelRow {
        name: Name::of(name),
        ready: at.iter().filter(|(place, _)| place.may_serve()).count(),
        places: Cut::of(at, PLACES_SHOWN, |(place, model)| ModelPlace {
            backend: Name::within(&place.about.name, 32),
            peer: Name::within(&place.peer, 24),
            memory: memory(model.residency),
            ttft: or_dash(place.load.ttft_ms.map(|ms| millis(ms.into()))),
            ready: place.may_serve(),
        }),
        context: or_dash(
            context.map(|tokens| if tokens >= 10_000 { format!("{}k", tokens / 1_000) } else { tokens.to_string() }),
        ),
        abilities: abilities.into_iter().flatten().collect::<Vec<_>>().join(", "),
    }
}

fn memory(residency: Residency) -> &'static str {
    match residency {
        Residency::Loaded => "in memory",
        Residency::Loading => "loading",
        Residency::Unloaded => "on disk",
        Residency::Unknown => "",
    }
}

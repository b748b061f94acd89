//! What a case is made of: three peers, each with a configuration of its own, their backends as they are, and as the others
//! have been told.

use std::sync::Arc;

use nexus::env::{Dice, Seed};
use nexus::fleet::{Kind, Load, Model, Pace, PeerId, Residency, Status, Support, Tier, Zone};
use nexus::route::{self, Candidate, Config, Place, Policy, Privacy, Rules, Strategy};
use rand::RngExt;
use rand::seq::IndexedRandom;

/// Peers of every case. The first is the entry.
pub(super) const PEERS: usize = 3;

/// Every name that is asked for, is an alias, or is a model. An alias leads to a later one only.
pub(super) const NAMES: [&str; 14] = [
    "gpt-4",
    "fast",
    "secret-alias",
    "alias-x",
    "alias-y",
    "alias-z",
    "secret-m",
    "m",
    "n",
    "m:7b",
    "secret-n",
    "plain",
    "big:cloud",
    "n-cloud",
];

/// What policies are written for: names, and patterns that overlap.
const PATTERNS: [&str; 18] = [
    "secret-*",
    "*",
    "m*",
    "?",
    "alias-?",
    "alias-[xz]",
    "gpt-4",
    "[mn]",
    "plain",
    "*cloud",
    "fast",
    "n*",
    "*.gguf",
    "*-m*",
    "secret-n",
    "alias-y",
    "m:7b",
    "kin-*",
];

/// Configurations, as they are written and as they are compiled.
pub(super) struct Setting {
    pub(super) configs: Vec<Config>,
    pub(super) rules: Vec<Rules>,
}

impl Setting {
    pub(super) fn new(number: u64) -> Self {
        let mut dice = Seed::fixed(number).fork("policies-setting");
        let configs: Vec<Config> = (0..PEERS).map(|_| config(&mut dice)).collect();
        let rules = configs.iter().map(|config| match Rules::new(config) {
            Ok(rules) => rules,
            Err(problems) => panic!("a configuration that cannot be used: {problems:?}"),
        });
        Setting { rules: rules.collect(), configs }
    }
}

fn config(dice: &mut Dice) -> Config {
    let mut config = Config {
        strategy: [Strategy::Adaptive, Strategy::Smart, Strategy::RoundRobin, Strategy::PriorityOnly, Strategy::Random]
            .choose(dice)
            .copied(),
        ..Config::default()
    };
    for (at, from) in NAMES.iter().enumerate().take(NAMES.len() - 1) {
        if dice.random_bool(if at < 6 { 0.7 } else { 0.1 }) {
            let to = NAMES[dice.random_range(at + 1..NAMES.len())];
            config.aliases.insert((*from).to_owned(), to.to_owned());
        }
        if dice.random_bool(0.4) {
            let others = (0..dice.random_range(1..4)).filter_map(|_| NAMES.choose(dice));
            let others = others.filter(|name| *name != from).map(|name| (*name).to_owned()).collect();
            config.fallbacks.insert((*from).to_owned(), others);
        }
    }
    config.policies = (0..dice.random_range(0..5)).map(|_| policy(dice)).collect();
    config
}

fn policy(dice: &mut Dice) -> Policy {
    Policy {
        model_pattern: (*PATTERNS.choose(dice).unwrap_or(&"*")).to_owned(),
        privacy: if dice.random_bool(0.5) { Privacy::Restricted } else { Privacy::Unrestricted },
        min_tier: dice.random_bool(0.5).then(|| tier(dice)),
        fallback_allowed: dice.random_bool(0.85),
        ..Policy::default()
    }
}

fn tier(dice: &mut Dice) -> Tier {
    Tier::try_from(dice.random_range(1..=5)).unwrap_or_default()
}

/// A model of a backend: what chains may call it, how it is, and how its peer has told it.
pub(super) struct Truth {
    pub(super) owner: usize,
    /// The name that chains know it by; its own may be another one.
    pub(super) known_as: &'static str,
    pub(super) real: Candidate,
    pub(super) told: Candidate,
}

/// What everybody has. `keyed`: peers have proved that they belong.
pub(super) fn fleet(dice: &mut Dice, keyed: bool) -> Vec<Truth> {
    let mut fleet = Vec::new();
    for owner in 0..PEERS {
        for at in 0..dice.random_range(1..4) {
            let backend = candidate(dice, owner, ["a", "b", "c"][at]);
            for known_as in NAMES {
                if dice.random_bool(0.4) {
                    let real = Candidate { model: model(dice, known_as), ..backend.clone() };
                    let told = told(dice, &real, owner, keyed);
                    fleet.push(Truth { owner, known_as, real, told });
                }
            }
        }
    }
    fleet
}

fn candidate(dice: &mut Dice, owner: usize, name: &str) -> Candidate {
    let kinds: Vec<Kind> = Kind::all().collect();
    Candidate {
        place: Place::Here { backend: name.into() },
        kind: *kinds.choose(dice).unwrap_or(&Kind::Generic),
        zone: zone(dice),
        tier: tier(dice),
        priority: dice.random_range(0..100),
        status: status(dice),
        suspect: dice.random_bool(0.2),
        model: Arc::new(Model::default()),
        load: load(dice),
        pace: Pace::default(),
        residency: Residency::Unknown,
        held: 0,
        knows: false,
        seat: route::seat(Some(&peer_id(owner)), name),
        fact_age: None,
        trusted: true,
        fee: Default::default(),
    }
}

/// As it is told: late, so that some of it is not so any more.
fn told(dice: &mut Dice, real: &Candidate, owner: usize, keyed: bool) -> Candidate {
    let name: Arc<str> = format!("p{owner}").into();
    let place = Place::There { peer: peer_id(owner), peer_name: name, backend: real.place.backend().clone() };
    let mut told = Candidate { place, trusted: keyed, ..real.clone() };
    if dice.random_bool(0.15) {
        (told.zone, told.tier, told.status) = (zone(dice), tier(dice), status(dice));
        told.model = Arc::new(Model { remote: false, ..(*told.model).clone() });
    }
    told
}

pub(super) fn peer_id(at: usize) -> PeerId {
    PeerId::from_text(["p0", "p1", "p2"][at])
}

fn zone(dice: &mut Dice) -> Zone {
    if dice.random_bool(0.5) { Zone::Open } else { Zone::Restricted }
}

fn status(dice: &mut Dice) -> Status {
    let all = [Status::Healthy, Status::Healthy, Status::Unknown, Status::Unhealthy, Status::Draining];
    *all.choose(dice).unwrap_or(&Status::Healthy)
}

fn load(dice: &mut Dice) -> Load {
    Load { in_flight: dice.random_range(0..4), concurrency: dice.random_bool(0.5).then_some(3), ..Load::default() }
}

fn model(dice: &mut Dice, known_as: &str) -> Arc<Model> {
    let id = match dice.random_range(0..20) {
        0 => format!("{known_as}.gguf"),
        1 => format!("kin-{known_as}"),
        2 => "secret-n".to_owned(),
        3 => format!("{known_as}:Cloud"),
        4 => format!("{known_as}-cloud"),
        _ => known_as.to_owned(),
    };
    let support = |dice: &mut Dice| [Support::Yes, Support::No, Support::Unknown][dice.random_range(0..3)];
    let context_length = dice.random_bool(0.2).then_some(100);
    let remote = dice.random_bool(0.05);
    Arc::new(Model { tools: support(dice), vision: support(dice), context_length, remote, ..Model::named(id) })
}

//! Ways to route. Each ranks the backends for one request by what its entry knows; whether the first is taken or owners
//! have a word is for `admission`.

use std::sync::Arc;

use nexus::env::{Dice, Seed};
use nexus::fleet::{Kind, Load, Model, Needs, Pace, Residency, Status, Tier, Zone};
use nexus::route::{
    self, Candidate, Chain, Chance, Config, Intent, Offer, Place, Prompt, Rules, Strategy, World, seat,
};
use rand::RngExt;

use super::admission::{Choice, Manner};
use super::setting::{MEAN_ANSWER, MEAN_PROMPT, MODEL, Micros, Request, Setting};
use super::sight::{Known, owner};

/// A way to route.
pub(super) enum Way {
    /// One after the other, each entry for itself.
    RoundRobin,
    /// The fewest requests there, as the news have it.
    LeastPending,
    /// Of two by chance the one with the shorter wait, as the news and what was sent since have it.
    TwoChoices,
    /// The product's plans, and what is made of them.
    Nexus(Strategy, Manner),
    /// Where it is expected to be done first, knowing what every owner can know at this very moment: its counts and its
    /// speed, but not how much is left to do in its slots.
    Owners,
    /// Where it is expected to be done first, knowing every slot and every line at this very moment; and how long its
    /// own answer will be, or only how long answers are.
    Oracle { knows_answer: bool },
}

/// All ways that are compared, by the name of their row.
pub(super) const ROUTERS: &[(&str, Way)] = &[
    ("round robin", Way::RoundRobin),
    ("least pending", Way::LeastPending),
    ("two choices", Way::TwoChoices),
    ("smart alone", Way::Nexus(Strategy::Smart, Manner::ALONE)),
    ("smart", Way::Nexus(Strategy::Smart, Manner::PRODUCT)),
    ("adaptive alone", Way::Nexus(Strategy::Adaptive, Manner::ALONE)),
    ("adaptive, untold", Way::Nexus(Strategy::Adaptive, Manner::UNTOLD)),
    (ADAPTIVE, Way::Nexus(Strategy::Adaptive, Manner::PRODUCT)),
    ("all owners", Way::Owners),
    (ORACLE, Way::Oracle { knows_answer: false }),
    ("clairvoyant", Way::Oracle { knows_answer: true }),
];

/// The row that the targets speak of.
pub(super) const ADAPTIVE: &str = "adaptive";

/// The row that the others are measured by.
pub(super) const ORACLE: &str = "oracle";

impl Way {
    /// Whether owners admit or refuse; else whatever comes is taken.
    pub(super) fn asks_owners(&self) -> bool {
        matches!(self, Way::Nexus(_, manner) if manner.asks_owners)
    }

    /// Whether an entry plans anew when it was refused.
    pub(super) fn plans_anew(&self) -> bool {
        matches!(self, Way::Nexus(Strategy::Adaptive, manner) if manner.puts_right)
    }

    /// Whether it makes a difference what an entry hears.
    pub(super) fn goes_by_news(&self) -> bool {
        matches!(self, Way::LeastPending | Way::TwoChoices | Way::Nexus(..))
    }

    /// Whether the news is never old.
    pub(super) fn sees_all(&self) -> bool {
        matches!(self, Way::Owners)
    }

    /// Whether what an entry knows itself goes over the news.
    pub(super) fn puts_right(&self) -> bool {
        matches!(self, Way::TwoChoices) || matches!(self, Way::Nexus(_, manner) if manner.puts_right)
    }
}

/// A way to route, with what it remembers.
pub(super) struct Router<'a> {
    setting: &'a Setting,
    way: &'a Way,
    dice: Dice,
    turns: Vec<u64>,
    plans: Option<Plans>,
    /// When each slot of each backend will be free; only the oracle knows.
    free_at: Vec<Vec<Micros>>,
}

impl<'a> Router<'a> {
    pub(super) fn new(setting: &'a Setting, way: &'a Way, seed: u64) -> Self {
        let plans = match way {
            Way::Nexus(strategy, _) => Some(Plans::new(setting, *strategy)),
            _ => None,
        };
        Router {
            setting,
            way,
            dice: Seed::fixed(seed).fork("routing"),
            turns: (0..setting.entries as u64).collect(),
            plans,
            free_at: vec![vec![0; setting.slots as usize]; setting.speeds.len()],
        }
    }

    /// The backends for this request, best first: as many as this way has to say something about.
    pub(super) fn rank(&mut self, number: usize, request: &Request, known: &[Known]) -> Vec<Choice> {
        let turn = self.turns[request.entry];
        self.turns[request.entry] += 1;
        let loads: Vec<Load> = known.iter().map(|known| known.load).collect();
        let pending = |at: &usize| loads[*at].in_flight + loads[*at].queued;
        let backend = match self.way {
            Way::RoundRobin => turn as usize % loads.len(),
            Way::LeastPending => (0..loads.len()).min_by_key(pending).expect("there are backends"),
            Way::TwoChoices => self.of_two(&loads),
            Way::Owners => self.counted(request, &loads),
            Way::Oracle { knows_answer } => self.foreseen(request, *knows_answer),
            Way::Nexus(..) => {
                let plans = self.plans.as_mut().expect("made for this way");
                let chance = &mut Chance { turn, dice: &mut self.dice };
                return plans.rank(request.entry, number, request, known, chance);
            }
        };
        vec![Choice { backend, ..Choice::default() }]
    }

    /// What the plan would be of the request if it had come to `peer`. Only of ways that go by the product's plans.
    pub(super) fn foresee(&mut self, peer: usize, request: &Request, known: &[Known]) -> Vec<Choice> {
        let chance = &mut Chance { turn: 0, dice: &mut self.dice };
        self.plans.as_mut().map(|plans| plans.rank(peer, 0, request, known, chance)).unwrap_or_default()
    }

    fn of_two(&mut self, loads: &[Load]) -> usize {
        let one = self.dice.random_range(0..loads.len());
        let other = (one + self.dice.random_range(1..loads.len())) % loads.len();
        if loads[other].expected_wait() < loads[one].expected_wait() { other } else { one }
    }

    /// As many rounds of average answers as there are requests before it for each slot, then its own.
    fn counted(&self, request: &Request, loads: &[Load]) -> usize {
        let ends = |backend: &usize| {
            let (load, setting) = (&loads[*backend], self.setting);
            let before = u64::from((load.in_flight + load.queued + 1).saturating_sub(setting.slots));
            let others = setting.service(*backend, MEAN_PROMPT, MEAN_ANSWER).whole;
            before * others / u64::from(setting.slots) + setting.service(*backend, request.prompt, MEAN_ANSWER).whole
        };
        (0..loads.len()).min_by_key(ends).expect("there are backends")
    }

    /// Where it will be done first; that slot is taken from then on for as long as it really takes.
    fn foreseen(&mut self, request: &Request, knows_answer: bool) -> usize {
        let setting = self.setting;
        let answer = if knows_answer { request.answer } else { MEAN_ANSWER };
        let begins = |free_at: &[Micros], backend: usize| {
            let (slot, free) = free_at.iter().enumerate().min_by_key(|(_, free)| **free).expect("there are slots");
            (slot, (*free).max(request.at + setting.way(request.entry, backend)))
        };
        let ends = |backend: &usize| {
            let work = setting.service(*backend, request.prompt, answer).whole;
            begins(&self.free_at[*backend], *backend).1 + work + setting.way(request.entry, *backend)
        };
        let best = (0..self.free_at.len()).min_by_key(ends).expect("there are backends");
        let (slot, begin) = begins(&self.free_at[best], best);
        self.free_at[best][slot] = begin + setting.service(best, request.prompt, request.answer).whole;
        best
    }
}

/// The product's own plans: one world for each peer, laid out once, with the loads of the moment.
struct Plans {
    rules: Rules,
    chain: Chain,
    worlds: Vec<World>,
}

impl Plans {
    fn new(setting: &Setting, strategy: Strategy) -> Self {
        let config = Config { strategy: Some(strategy), ..Config::default() };
        let rules = Rules::new(&config).unwrap_or_else(|problems| panic!("the defaults are fit: {problems:?}"));
        let world = |entry| World {
            offers: vec![Offer {
                model: MODEL.into(),
                candidates: (0..setting.speeds.len()).map(|backend| candidate(entry, backend)).collect(),
            }],
        };
        Plans { chain: rules.chain(MODEL), rules, worlds: (0..setting.speeds.len()).map(world).collect() }
    }

    fn rank(
        &mut self,
        peer: usize,
        number: usize,
        request: &Request,
        known: &[Known],
        chance: &mut Chance<'_>,
    ) -> Vec<Choice> {
        let world = &mut self.worlds[peer];
        let candidates = &mut world.offers[0].candidates;
        for (candidate, known) in candidates.iter_mut().zip(known) {
            (candidate.load, candidate.pace) = (known.load, known.pace);
        }
        let bytes = request.prompt as u64 * BYTES_PER_TOKEN;
        let needs = Needs { prompt_bytes: bytes, ..Needs::default() };
        // No two prompts begin alike.
        let prompt = Some(Prompt { key: number as u64, bytes, named: false });
        let intent = Intent { needs, prompt, may_hop: true, may_fall_back: true, ..Intent::default() };
        let plan = route::plan(&intent, &self.chain, &self.rules, world, chance);
        let choice = |step: &route::Step| Choice {
            backend: step.place.backend().parse().expect("backends are named by their number"),
            estimate: step.estimate,
            worth: step.worth,
        };
        plan.steps.iter().map(choice).collect()
    }
}

/// As the product estimates it.
const BYTES_PER_TOKEN: u64 = 4;

fn candidate(entry: usize, backend: usize) -> Candidate {
    let (name, peer): (Arc<str>, _) = (backend.to_string().into(), owner(backend));
    Candidate {
        seat: seat(Some(&peer), &name),
        place: match entry == backend {
            true => Place::Here { backend: name },
            false => Place::There { peer_name: peer.as_str().into(), peer, backend: name },
        },
        kind: Kind::Generic,
        zone: Zone::Restricted,
        tier: Tier::default(),
        priority: 50,
        status: Status::Healthy,
        suspect: false,
        model: Arc::new(Model::named(MODEL)),
        load: Load::default(),
        pace: Pace::default(),
        residency: Residency::Unknown,
        held: 0,
        knows: false,
        fact_age: None,
        trusted: true,
        fee: nexus::route::Fee::Free,
    }
}

//! One case: a request is planned at its entry, and for each place at another peer planned once more there, by what that
//! peer knows and demands itself. Every step is held against the oracle.

use nexus::env::{Dice, Seed};
use nexus::exchange::Endpoint;
use nexus::fleet::Needs;
use nexus::route::{
    self, Candidate, Chain, Chance, Floors, Intent, Offer, Place, Plan, Rule, Step, TierMode, Verdict, World,
};
use rand::RngExt;
use rand::seq::IndexedRandom;

use super::Tally;
use super::oracle::{self, Asked, Demand};
use super::setting::{self, NAMES, PEERS, Setting, Truth};

/// The entry.
const ENTRY: usize = 0;

pub(super) struct Course<'s> {
    setting: &'s Setting,
    dice: Dice,
    fleet: Vec<Truth>,
    name: &'static str,
    mode: TierMode,
    asked: Asked,
}

impl<'s> Course<'s> {
    pub(super) fn new(setting: &'s Setting, case: u64) -> Self {
        let mut dice = Seed::fixed(case).fork("policies-case");
        let keyed = dice.random_bool(0.75);
        let endpoints =
            [None, None, Some(Endpoint::ChatCompletions), Some(Endpoint::Embeddings), Some(Endpoint::Messages)];
        let needs = Needs {
            tools: dice.random_bool(0.2),
            vision: dice.random_bool(0.1),
            prompt_bytes: dice.random_range(0..600),
            ..Needs::default()
        };
        let endpoint = endpoints.choose(&mut dice).copied().flatten();
        Course {
            setting,
            fleet: setting::fleet(&mut dice, keyed),
            name: NAMES.choose(&mut dice).copied().unwrap_or(NAMES[0]),
            mode: if dice.random_bool(0.6) { TierMode::Strict } else { TierMode::Flexible },
            asked: Asked { needs, endpoint, may_hop: dice.random_bool(0.9) },
            dice,
        }
    }

    pub(super) fn run(mut self) -> Result<Tally, String> {
        let rules = &self.setting.rules[ENTRY];
        let chain = rules.chain(self.name);
        let world = self.world_of_entry(&chain);
        let asked = self.asked;
        let plan = self.plan(ENTRY, &self.intent(None, true), &chain, &world);
        self.check_entry(&plan, &world, &asked)?;
        let mut tally = Tally { cases: 1, plans: 1, ..Tally::default() };
        self.count(&plan, &mut tally);
        for step in &plan.steps {
            let Place::There { peer, .. } = &step.place else { continue };
            let owner = (0..PEERS).find(|at| setting::peer_id(*at) == *peer).ok_or("a peer that is not there")?;
            self.go_on(step, owner, &chain, &world, &mut tally)?;
        }
        Ok(tally)
    }

    /// The request comes to the owner as the head of a forwarded request carries it.
    fn go_on(
        &mut self,
        step: &Step,
        owner: usize,
        chain: &Chain,
        seen: &World,
        tally: &mut Tally,
    ) -> Result<(), String> {
        let by = chain.names_between(&step.model, &step.served.id);
        let there = Chain::settled(self.name, &by, &*step.served.id);
        let world = self.world_of_owner(owner, &step.served.id);
        let intent = self.intent(Some(step.floors), false);
        let plan = self.plan(owner, &intent, &there, &world);
        tally.plans += 1;
        tally.forwarded += 1;
        tally.refused_there += u64::from(plan.verdict() == Verdict::RejectedByPolicy);
        self.check_owner(&plan, &world, step, owner, seen).map_err(|why| format!("at owner p{owner}: {why}"))
    }

    fn intent(&self, floors: Option<Floors>, is_entry: bool) -> Intent {
        Intent {
            endpoint: self.asked.endpoint,
            needs: self.asked.needs,
            prompt: None,
            mode: self.mode,
            floors,
            may_hop: is_entry && self.asked.may_hop,
            may_fall_back: is_entry,
            ..Intent::default()
        }
    }

    fn plan(&mut self, at: usize, intent: &Intent, chain: &Chain, world: &World) -> Plan {
        let turn = self.dice.random_range(0..8);
        let mut chance = Chance { turn, dice: &mut self.dice };
        route::plan(intent, chain, &self.setting.rules[at], world, &mut chance)
    }

    /// Its own backends as they are, those of others as they are told; each once for every name.
    fn world_of_entry(&self, chain: &Chain) -> World {
        let offers = chain.models().map(|name| {
            let mut candidates: Vec<Candidate> = Vec::new();
            for truth in self.fleet.iter().filter(|truth| truth.known_as == name || truth.real.model.id == name) {
                let candidate = if truth.owner == ENTRY { &truth.real } else { &truth.told };
                if candidates.iter().all(|known| known.place != candidate.place) {
                    candidates.push(candidate.clone());
                }
            }
            Offer { model: name.into(), candidates }
        });
        World { offers: offers.collect() }
    }

    /// A peer's request names the model as its owner has it.
    fn world_of_owner(&self, owner: usize, model: &str) -> World {
        let mut candidates: Vec<Candidate> = Vec::new();
        for truth in self.fleet.iter().filter(|truth| truth.owner == owner && truth.real.model.id == model) {
            if candidates.iter().all(|known| known.place != truth.real.place) {
                candidates.push(truth.real.clone());
            }
        }
        World { offers: vec![Offer { model: model.into(), candidates }] }
    }

    /// What the entry's configuration demands of one place for one member of the chain.
    fn demand_at_entry(&self, names: &[&str], candidate: &Candidate) -> Demand {
        let names = names.iter().copied().chain([candidate.model.id.as_str()]);
        Demand::of(&self.setting.configs[ENTRY], names)
    }

    fn check_entry(&self, plan: &Plan, world: &World, asked: &Asked) -> Result<(), String> {
        let members = oracle::members(&self.setting.configs[ENTRY], self.name);
        let mut qualified = Vec::new();
        for (model, names) in &members {
            let offer = world.offers.iter().find(|offer| &*offer.model == *model).ok_or("a model is not looked for")?;
            for candidate in offer.candidates.iter().filter(|candidate| oracle::is_usable(candidate, asked)) {
                if oracle::meets(candidate, self.demand_at_entry(names, candidate)) {
                    qualified.push((*model, &candidate.place));
                }
            }
        }
        for step in &plan.steps {
            let (_, names) =
                members.iter().find(|(model, _)| **model == *step.model).ok_or("a model that may not answer")?;
            let candidate = found(step, world)?;
            let demand = self.demand_at_entry(names, candidate);
            self.check_step(step, candidate, demand, 0, asked, qualified.is_empty())?;
        }
        let is_there = |(model, place): &(&str, &Place)| {
            plan.steps.iter().any(|step| &*step.model == *model && step.place == **place)
        };
        match qualified.iter().find(|place| !is_there(place)) {
            Some(left_out) => Err(format!("{left_out:?} meets every demand and is not tried")),
            None => Ok(()),
        }
    }

    fn check_owner(&self, plan: &Plan, world: &World, sent: &Step, owner: usize, seen: &World) -> Result<(), String> {
        let members = oracle::members(&self.setting.configs[ENTRY], self.name);
        let (_, names) =
            members.iter().find(|(model, _)| **model == *sent.model).ok_or("a model that may not answer")?;
        let from = self.demand_at_entry(names, found(sent, seen)?);
        let names = names.iter().copied().chain([self.name, &*sent.model, sent.served.id.as_str()]);
        let own = Demand::of(&self.setting.configs[owner], names);
        // What a flexible request got the entry to allow is no demand any more; what is left of it is.
        let floor = match self.mode {
            TierMode::Strict => from.tier,
            TierMode::Flexible => from.tier.min(found(sent, seen)?.tier.get()),
        };
        let demand = Demand { tier: floor, ..from }.and(own);
        let asked = Asked { may_hop: false, ..self.asked };
        let candidates = &world.offers[0].candidates;
        let is_left = |candidate: &&Candidate| oracle::is_usable(candidate, &asked) && oracle::meets(candidate, demand);
        let qualified: Vec<&Candidate> = candidates.iter().filter(is_left).collect();
        for step in &plan.steps {
            let candidate = found(step, world)?;
            if !step.place.is_here() {
                return Err(format!("{} is a second hop", step.place));
            }
            self.check_step(step, candidate, demand, floor, &asked, qualified.is_empty())?;
        }
        let left_out = qualified.iter().find(|candidate| plan.steps.iter().all(|step| step.place != candidate.place));
        left_out.map_or(Ok(()), |candidate| Err(format!("{} meets every demand and is not tried", candidate.place)))
    }

    /// `floor`: the tier that no mode softens.
    fn check_step(
        &self,
        step: &Step,
        candidate: &Candidate,
        demand: Demand,
        floor: u8,
        asked: &Asked,
        nobody_qualifies: bool,
    ) -> Result<(), String> {
        let place = &step.place;
        let wrong = |what: &str| Err(format!("{place} for '{}' as '{}': {what}", self.name, candidate.model.id));
        if demand.restricted && !oracle::keeps_to_itself(candidate) {
            return wrong("a restricted prompt leaves");
        }
        if !oracle::is_usable(candidate, asked) {
            return wrong("it cannot serve the request");
        }
        let has = candidate.tier.get();
        if has < floor {
            return wrong("it is of a lower tier than the entry demands");
        }
        if has >= demand.tier {
            return if step.downgraded.is_some() { wrong("it is no downgrade") } else { Ok(()) };
        }
        match step.downgraded {
            _ if self.mode == TierMode::Strict => wrong("it is of a lower tier than demanded"),
            _ if !nobody_qualifies => wrong("it is of a lower tier, where others qualify"),
            Some((wanted, got)) if (wanted.get(), got.get()) == (demand.tier, has) => Ok(()),
            other => wrong(&format!("the downgrade from {} to {has} is told as {other:?}", demand.tier)),
        }
    }

    fn count(&self, plan: &Plan, tally: &mut Tally) {
        let served = !plan.steps.is_empty();
        let demand = Demand::of(&self.setting.configs[ENTRY], oracle::way(&self.setting.configs[ENTRY], self.name));
        let refused = |rule: Rule| !served && plan.rejections.iter().any(|rejection| rejection.rule() == rule);
        tally.restricted.0 += u64::from(demand.restricted && served);
        tally.restricted.1 += u64::from(demand.restricted && refused(Rule::Privacy));
        tally.tiered.0 += u64::from(demand.tier > 1 && served);
        tally.tiered.1 += u64::from(demand.tier > 1 && refused(Rule::Tier));
        tally.downgraded += u64::from(plan.steps.iter().any(|step| step.downgraded.is_some()));
    }
}

fn found<'w>(step: &Step, world: &'w World) -> Result<&'w Candidate, String> {
    let offer = world.offers.iter().find(|offer| offer.model == step.model);
    let candidate = offer.and_then(|offer| offer.candidates.iter().find(|candidate| candidate.place == step.place));
    candidate.ok_or_else(|| format!("{} is not of this world", step.place))
}

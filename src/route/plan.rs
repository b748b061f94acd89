//! The plan of a request: which places are tried in which order, and why every other is not. Made from one immutable
//! view of the world; it waits for nothing and asks nobody.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use super::estimate::Estimate;
use super::intent::{Chance, Floors, Intent, TierMode};
use super::money::Fee;
use super::policy::{Demand, least};
use super::rejection::{Rejection, Rule, Why};
use super::score::Score;
use super::strategy::{self, Ranked};
use super::world::{Candidate, Place, World};
use super::{Chain, Rules, Strategy, stage};
use crate::fleet::{Kind, Model, Residency, Tier, Zone};

/// What to try, in order, and what was left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The model the client named.
    pub asked: String,
    /// What to try, best first. No place stands here twice for one model.
    pub steps: Vec<Step>,
    /// Every place that has a model of the chain and may not serve the request.
    pub rejections: Vec<Rejection>,
    /// The zone that is demanded of every step.
    pub zone: Zone,
    /// The tier that is demanded of every step; a step may be [`Step::downgraded`].
    pub tier: Option<Tier>,
    /// How the steps were ranked.
    pub strategy: Strategy,
    /// Somebody has some model of the chain, usable or not.
    pub known: bool,
}

/// One place to try.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Where.
    pub place: Place,
    /// The model, by its name in the chain.
    pub model: Arc<str>,
    /// The model as that place has it; its `id` is what the backend answers to.
    pub served: Arc<Model>,
    /// What kind of backend it is.
    pub kind: Kind,
    /// Every slot was taken when the plan was made.
    pub full: bool,
    /// Requests to it failed lately, or its peer was not heard of lately: nothing better was left.
    pub suspect: bool,
    /// The model is not the one that was asked for.
    pub fallback: bool,
    /// Its score, under the strategy `smart`.
    pub score: Option<Score>,
    /// How long the answer is expected to take there.
    pub estimate: Estimate,
    /// How long it is worth waiting for a slot there, rather than going on to the next.
    pub worth: Duration,
    /// Whether the model is in memory there.
    pub residency: Residency,
    /// It is of a lower tier than the policies want: the tier wanted, and its own.
    pub downgraded: Option<(Tier, Tier)>,
    /// The zone of the place for this model.
    pub zone: Zone,
    /// What the owner must hold to when the step leads to another peer.
    pub floors: Floors,
    /// What the call may cost there.
    pub fee: Fee,
    /// What the policies let it cost at most, in billionths of a USD.
    pub most: Option<u64>,
    /// How old the news were that it was ranked by; `None` = our own.
    pub fact_age: Option<Duration>,
}

impl Plan {
    /// Whether places that could have served were left out for privacy.
    pub fn policy_removed(&self) -> bool {
        self.rejections.iter().any(|rejection| rejection.rule() == Rule::Privacy)
    }
}

/// A member of the chain, and those of its candidates that are left.
struct Member<'w> {
    model: &'w Arc<str>,
    fallback: bool,
    floors: Floors,
    own: Demand,
    kept: Vec<&'w Candidate>,
    /// Nothing speaks against these but that their tier is lower than policies want.
    below: Vec<&'w Candidate>,
}

/// Plans a request: each member of the chain in order, its candidates through the stages, the rest ranked. Given the
/// same it is the same.
pub fn plan(intent: &Intent, chain: &Chain, rules: &Rules, world: &World, chance: &mut Chance<'_>) -> Plan {
    let demand = rules.demand(chain);
    let mut rejections = Vec::new();
    let mut members = members(intent, chain, rules, world, demand, &mut rejections);
    let known =
        members.iter().any(|member| !member.kept.is_empty() || !member.below.is_empty()) || !rejections.is_empty();
    let mut steps = Vec::new();
    for member in &mut members {
        let ranked = strategy::rank(std::mem::take(&mut member.kept), rules, intent, chance);
        steps.extend(ranked.into_iter().map(|ranked| step(member, ranked, rules)));
    }
    if steps.is_empty() && intent.mode == TierMode::Flexible {
        for member in &members {
            let mut ranked = strategy::rank(member.below.clone(), rules, intent, chance);
            ranked.sort_by_key(|ranked| (ranked.candidate.suspect, Reverse(ranked.candidate.tier)));
            steps.extend(ranked.into_iter().map(|ranked| step(member, ranked, rules)));
        }
    } else {
        rejections.extend(members.iter().flat_map(|member| too_low(member, rules)));
    }
    fall_back_before_waiting(&mut steps);
    if let [only] = &mut steps[..] {
        only.worth = Duration::MAX;
    }
    let floors = demand.floors.stricter(intent.floors.unwrap_or_default());
    Plan {
        asked: chain.asked.clone(),
        steps,
        rejections,
        zone: floors.zone,
        tier: floors.tier,
        strategy: rules.strategy,
        known,
    }
}

/// Where every place of a model is full, the next model of the chain is tried before anybody waits.
fn fall_back_before_waiting(steps: &mut [Step]) {
    let last = steps.last().map(|step| step.model.clone());
    let models = steps.chunk_by_mut(|one, other| one.model == other.model);
    for places in models.filter(|places| places.first().map(|step| &step.model) != last.as_ref()) {
        if places.iter().all(|step| step.full) {
            places.iter_mut().for_each(|step| step.worth = Duration::ZERO);
        }
    }
}

/// The members of the chain that anyone has, with the candidates that passed every stage.
fn members<'w>(
    intent: &Intent,
    chain: &Chain,
    rules: &Rules,
    world: &'w World,
    demand: Demand,
    rejections: &mut Vec<Rejection>,
) -> Vec<Member<'w>> {
    let entry = intent.floors.unwrap_or_default();
    let may_fall_back = intent.may_fall_back && demand.fallback_allowed;
    let models = chain.models().take(if may_fall_back { usize::MAX } else { 1 });
    let mut members = Vec::new();
    for (index, model) in models.enumerate() {
        let Some(offer) = world.offer(model) else { continue };
        let fallback = index > 0;
        let own = if fallback { demand.and(rules.demand_of_fallback(chain, model)) } else { demand };
        let floors = own.floors.stricter(entry);
        let (kept, below) = (Vec::new(), Vec::new());
        let mut member = Member { model: &offer.model, fallback, floors, own, kept, below };
        for candidate in &offer.candidates {
            let floors = floors_there(floors, model, candidate, rules);
            let most = least(intent.most, most_there(own, model, candidate, rules));
            let dear = || stage::budget::objection(candidate, intent.money, most);
            match stage::objection(candidate, intent, floors) {
                None | Some(Why::BelowTier { .. }) if dear().is_some() => {
                    let qualifies = stage::allows(candidate, floors);
                    let reject = |why| Rejection { qualifies, ..reject(&member, candidate, why) };
                    rejections.extend(dear().map(reject));
                }
                None => member.kept.push(candidate),
                Some(Why::BelowTier { .. }) if Some(candidate.tier) >= entry.tier => member.below.push(candidate),
                Some(why) => {
                    let qualifies = stage::allows(candidate, floors);
                    rejections.push(Rejection { qualifies, ..reject(&member, candidate, why) });
                }
            }
        }
        members.push(member);
    }
    members
}

fn reject(member: &Member<'_>, candidate: &Candidate, why: Why) -> Rejection {
    Rejection {
        place: candidate.place.clone(),
        model: member.model.clone(),
        why,
        zone: candidate.effective_zone(),
        tier: candidate.tier,
        qualifies: false,
        serves_flexible: false,
    }
}

/// Those of a lower tier, which nothing else speaks against.
fn too_low<'a>(member: &'a Member<'_>, rules: &'a Rules) -> impl Iterator<Item = Rejection> + 'a {
    member.below.iter().filter_map(|candidate| {
        let wanted = floors_there(member.floors, member.model, candidate, rules).tier?;
        let why = Why::BelowTier { has: candidate.tier, wanted };
        Some(Rejection { serves_flexible: true, ..reject(member, candidate, why) })
    })
}

/// A model that goes by another name at a place is under the policies of that name as well.
fn floors_there(floors: Floors, model: &str, candidate: &Candidate, rules: &Rules) -> Floors {
    match candidate.model.id == model {
        true => floors,
        false => floors.stricter(rules.demand_of(&candidate.model.id).floors),
    }
}

/// What its policies let one request cost there, by every name it has.
fn most_there(own: Demand, model: &str, candidate: &Candidate, rules: &Rules) -> Option<u64> {
    match candidate.model.id == model {
        true => own.most,
        false => least(own.most, rules.demand_of(&candidate.model.id).most),
    }
}

fn step(member: &Member<'_>, ranked: Ranked<'_>, rules: &Rules) -> Step {
    let Ranked { candidate, score, estimate, worth } = ranked;
    let has = candidate.tier;
    let floors = floors_there(member.floors, member.model, candidate, rules);
    let downgraded = floors.tier.filter(|wanted| has < *wanted).map(|wanted| (wanted, has));
    let tier = if downgraded.is_some() { Some(has) } else { floors.tier };
    Step {
        place: candidate.place.clone(),
        model: member.model.clone(),
        served: candidate.model.clone(),
        kind: candidate.kind,
        full: candidate.load.is_full(),
        suspect: candidate.suspect,
        fallback: member.fallback,
        score,
        estimate,
        worth,
        residency: candidate.residency,
        downgraded,
        zone: candidate.effective_zone(),
        floors: Floors { zone: floors.zone, tier },
        fee: candidate.fee,
        most: most_there(member.own, member.model, candidate, rules),
        fact_age: candidate.fact_age,
    }
}

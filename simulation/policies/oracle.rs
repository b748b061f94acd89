//! What may be done with a request, as the contract has it: whose policies hold, and which places meet them. It reads the
//! configuration as it is written, and shares nothing with what it judges but the words of the fleet.

use nexus::exchange::Endpoint;
use nexus::fleet::{Needs, Speech, Status, Support, Zone};
use nexus::route::{Candidate, Config, Place, Privacy};

use super::glob;

/// Aliases that are followed.
const MOST_STEPS: usize = 3;

/// What is demanded of whatever serves a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Demand {
    pub(super) restricted: bool,
    /// 0: none.
    pub(super) tier: u8,
    pub(super) no_fallback: bool,
}

impl Demand {
    /// What `config` demands for all of `names` together.
    pub(super) fn of<'n>(config: &Config, names: impl IntoIterator<Item = &'n str>) -> Self {
        names.into_iter().fold(Demand::default(), |all, name| all.and(Demand::by(config, name)))
    }

    /// By the first policy in the file that fits the name.
    fn by(config: &Config, name: &str) -> Self {
        let policy = config.policies.iter().find(|policy| glob::fits(&policy.model_pattern, name));
        policy.map_or_else(Demand::default, |policy| Demand {
            restricted: policy.privacy == Privacy::Restricted,
            tier: policy.min_tier.map_or(0, |tier| tier.get()),
            no_fallback: !policy.fallback_allowed,
        })
    }

    pub(super) fn and(self, other: Demand) -> Demand {
        Demand {
            restricted: self.restricted || other.restricted,
            tier: self.tier.max(other.tier),
            no_fallback: self.no_fallback || other.no_fallback,
        }
    }
}

/// A name and what it leads to, one alias after the other.
pub(super) fn way<'c>(config: &'c Config, name: &'c str) -> Vec<&'c str> {
    let mut way = vec![name];
    while let Some(next) = config.aliases.get(way[way.len() - 1]).filter(|_| way.len() <= MOST_STEPS) {
        way.push(next);
    }
    way
}

/// The models that may answer a request for `asked`, each with every name on the way to it.
pub(super) fn members<'c>(config: &'c Config, asked: &'c str) -> Vec<(&'c str, Vec<&'c str>)> {
    let own = way(config, asked);
    let resolved = own[own.len() - 1];
    let may_fall_back = !Demand::of(config, own.iter().copied()).no_fallback;
    let mut members = vec![(resolved, own.clone())];
    for name in config.fallbacks.get(resolved).into_iter().flatten().filter(|_| may_fall_back) {
        let way = way(config, name);
        let model = way[way.len() - 1];
        if model == resolved {
            continue;
        }
        match members.iter_mut().find(|(known, _)| *known == model) {
            Some((_, names)) => names.extend(way),
            None => members.push((model, own.iter().copied().chain(way).collect())),
        }
    }
    members
}

/// What is asked, as far as places differ in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) needs: Needs,
    pub(super) endpoint: Option<Endpoint>,
    pub(super) may_hop: bool,
}

/// Whether a place can serve the request at all.
pub(super) fn is_usable(candidate: &Candidate, asked: &Asked) -> bool {
    let (model, needs) = (&candidate.model, &asked.needs);
    let tokens = needs.prompt_bytes / 4 + needs.max_tokens.unwrap_or(0);
    matches!(candidate.status, Status::Healthy | Status::Unknown)
        && !(needs.tools && model.tools == Support::No)
        && !(needs.vision && model.vision == Support::No)
        && model.context_length.is_none_or(|held| tokens <= held)
        && asked.endpoint.is_none_or(|endpoint| candidate.kind.speech(endpoint) != Speech::Never)
        && (asked.may_hop || matches!(candidate.place, Place::Here { .. }))
}

/// Whether a prompt that is sent there stays with the fleet.
pub(super) fn keeps_to_itself(candidate: &Candidate) -> bool {
    let name = candidate.model.id.to_lowercase();
    let is_cloud = name.ends_with(":cloud") || name.ends_with("-cloud") || candidate.model.remote;
    let is_strange = matches!(candidate.place, Place::There { .. }) && !candidate.trusted;
    candidate.zone == Zone::Restricted && !is_cloud && !is_strange
}

/// Whether a place meets all that is demanded.
pub(super) fn meets(candidate: &Candidate, demand: Demand) -> bool {
    (!demand.restricted || keeps_to_itself(candidate)) && candidate.tier.get() >= demand.tier
}

//! The routing section, compiled once: what cannot be used is told with its place, and after that nothing is checked
//! again while requests are served.

use std::collections::BTreeMap;

use super::alias::Aliases;
use super::policy::{Demand, Policies};
use super::{Config, Strategy, Weights};

/// What is wrong with a value of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands, as in `routing.aliases.gpt-4`.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

/// How requests are routed.
pub struct Rules {
    pub(super) strategy: Strategy,
    pub(super) weights: Weights,
    pub(super) slow_from_ms: u32,
    policies: Policies,
    aliases: Aliases,
    fallbacks: BTreeMap<String, Vec<String>>,
}

/// The models that may answer a request, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The model the client named.
    pub asked: String,
    /// The model it stands for.
    pub resolved: String,
    /// The aliases that were followed, first to last.
    pub steps: Vec<(String, String)>,
    /// The models that may answer instead, resolved; neither `resolved` nor one of them twice.
    pub fallbacks: Vec<String>,
    /// For each fallback whose configuration goes by other names, these names: their policies hold for it as well.
    pub ways: Vec<(String, Vec<String>)>,
}

impl Chain {
    /// The chain of a request that another peer forwards: it has settled which model is to answer. `by` are the names on
    /// the way from the one to the other.
    pub fn settled(asked: impl Into<String>, by: &[String], model: impl Into<String>) -> Self {
        let asked = asked.into();
        let steps = by.iter().map(|name| (asked.clone(), name.clone())).collect();
        Chain { asked, resolved: model.into(), steps, fallbacks: Vec::new(), ways: Vec::new() }
    }

    /// The names on the way from the one that was asked for to `model` of the chain and to `served`, what its place calls
    /// it: those two ends are not among them.
    pub fn names_between(&self, model: &str, served: &str) -> Vec<String> {
        let aliases = self.steps.iter().map(|(_, to)| to.as_str());
        let names = aliases.chain([&*self.resolved]).chain(self.way_to(model)).chain([model]);
        let mut between: Vec<String> = Vec::new();
        for name in names.filter(|name| *name != self.asked && *name != served) {
            if !between.iter().any(|known| known == name) {
                between.push(name.to_owned());
            }
        }
        between
    }

    /// The names by which a fallback is configured.
    fn way_to(&self, fallback: &str) -> impl Iterator<Item = &str> {
        let names = self.ways.iter().filter(move |(model, _)| model == fallback).flat_map(|(_, names)| names);
        names.map(String::as_str)
    }

    /// Every model that may answer, best first.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.resolved).chain(&self.fallbacks).map(String::as_str)
    }
}

/// A first byte that takes longer lowers a score, unless configured otherwise.
const SLOW_FROM_MS: u32 = 3000;

/// Retries beyond this help nobody.
const MOST_RETRIES: u32 = 10;

impl Rules {
    /// Compiles the section.
    ///
    /// # Errors
    /// Everything that is wrong with it, together.
    pub fn new(config: &Config) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let Weights { priority, load, latency } = config.weights;
        if (priority, load, latency) == (0, 0, 0) {
            problems.push(problem("routing.weights", "at least one weight must be above 0"));
        }
        if config.max_retries > MOST_RETRIES {
            let message = format!("at most {MOST_RETRIES}: every retry is one more request to a backend in trouble");
            problems.push(problem("routing.max_retries", message));
        }
        check_fallbacks(&config.fallbacks, &mut problems);
        let rules = Rules {
            strategy: config.strategy.unwrap_or_default(),
            weights: config.weights,
            slow_from_ms: SLOW_FROM_MS,
            policies: Policies::new(&config.policies, &mut problems),
            aliases: Aliases::new(&config.aliases, &mut problems),
            fallbacks: config.fallbacks.clone(),
        };
        if problems.is_empty() { Ok(rules) } else { Err(problems) }
    }

    /// The same, with another time to the first byte from which `smart` lowers a score; 0 = never.
    #[must_use]
    pub fn penalising(self, slow_from_ms: u32) -> Self {
        Rules { slow_from_ms, ..self }
    }

    /// The models that may answer a request for `asked`. Fallbacks are looked up by the resolved name and are followed
    /// through aliases themselves.
    pub fn chain(&self, asked: &str) -> Chain {
        let (resolved, steps) = self.aliases.resolve(asked);
        let (mut fallbacks, mut ways): (Vec<String>, Vec<_>) = (Vec::new(), Vec::new());
        for name in self.fallbacks.get(&resolved).into_iter().flatten() {
            let (model, way) = self.aliases.resolve(name);
            if model == resolved {
                continue;
            }
            if !way.is_empty() {
                ways.push((model.clone(), way.into_iter().map(|(from, _)| from).collect()));
            }
            if !fallbacks.contains(&model) {
                fallbacks.push(model);
            }
        }
        Chain { asked: asked.to_owned(), resolved, steps, fallbacks, ways }
    }

    /// What is demanded of whatever serves a request for `chain.asked`: the policies of every name on the way to the
    /// resolved one together, so that neither an alias nor a fallback leads around one of them.
    pub(super) fn demand(&self, chain: &Chain) -> Demand {
        let names = chain.steps.iter().map(|(_, to)| to).chain([&chain.resolved]);
        names.fold(self.policies.demand(&chain.asked), |all, name| all.and(self.policies.demand(name)))
    }

    /// What the policy of one name demands besides.
    pub(super) fn demand_of(&self, model: &str) -> Demand {
        self.policies.demand(model)
    }

    /// What the policies of a fallback of the chain demand besides: of its own name and of those that lead to it.
    pub(super) fn demand_of_fallback(&self, chain: &Chain, model: &str) -> Demand {
        chain.way_to(model).fold(self.policies.demand(model), |all, name| all.and(self.policies.demand(name)))
    }
}

fn check_fallbacks(fallbacks: &BTreeMap<String, Vec<String>>, problems: &mut Vec<Problem>) {
    for (model, others) in fallbacks {
        let path = format!("routing.fallbacks.{}", quoted(model));
        if model.is_empty() || others.iter().any(String::is_empty) {
            problems.push(problem(path, "a fallback needs a name on both sides"));
        } else if others.contains(model) {
            problems.push(problem(path, format!("'{model}' cannot be its own fallback")));
        }
    }
}

pub(super) fn problem(path: impl Into<String>, message: impl Into<String>) -> Problem {
    Problem { path: path.into(), message: message.into() }
}

/// A key as TOML wants it: in quotes unless it is bare.
pub(super) fn quoted(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if bare { key.to_owned() } else { format!("{key:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(text).expect("valid TOML")
    }

    #[test]
    fn every_problem_is_told_at_once_with_its_place() {
        let config = config(
            r#"
            weights = { priority = 0, load = 0, latency = 0 }
            aliases = { "gpt 4" = "b", b = "gpt 4" }
            fallbacks = { a = ["b", "a"], c = [""] }
            policies = [{ model_pattern = "[" }]
            "#,
        );
        let problems = Rules::new(&config).err().expect("problems");
        let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "routing.weights",
                "routing.fallbacks.a",
                "routing.fallbacks.c",
                "routing.policies[0].model_pattern",
                "routing.aliases.b"
            ]
        );
    }

    #[test]
    fn fallbacks_go_by_the_resolved_name_and_through_aliases() {
        let rules = Rules::new(&config(
            r#"
            aliases = { small = "mistral:7b", gpt-4 = "llama3:70b", again = "llama3:70b" }
            [fallbacks]
            "llama3:70b" = ["small", "mistral:7b", "again", "qwen"]
            gpt-4 = ["never"]
            "#,
        ))
        .unwrap_or_else(|problems| panic!("{problems:?}"));
        let chain = rules.chain("gpt-4");
        assert_eq!(chain.resolved, "llama3:70b");
        assert_eq!(chain.steps, [("gpt-4".to_owned(), "llama3:70b".to_owned())]);
        assert_eq!(chain.models().collect::<Vec<_>>(), ["llama3:70b", "mistral:7b", "qwen"]);
    }

    #[test]
    fn unset_means_adaptive() {
        let rules = Rules::new(&Config::default()).unwrap_or_else(|problems| panic!("{problems:?}"));
        assert_eq!(rules.strategy, Strategy::Adaptive);
        assert_eq!(rules.chain("m").models().collect::<Vec<_>>(), ["m"]);
    }
}

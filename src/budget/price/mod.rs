//! What models of clouds cost, and what is publicly known of them: a dated price list that is built in, and the user's
//! own prices over it. A model that is not in it has no price; none is guessed from a family.

mod amount;
mod snapshot;

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use thiserror::Error;

pub use amount::{BadAmount, Price};
pub use snapshot::About;

use snapshot::Snapshot;

/// Prices of models. Long prompts, other tiers of service, images and sound may cost more than they tell.
#[derive(Debug)]
pub struct Prices {
    snapshot: &'static Snapshot,
    exact: HashMap<String, Price>,
    /// What stands in front of the `*`, longest first.
    globs: Vec<(String, Price)>,
}

/// A price of the user's that cannot be taken.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum BadPrice {
    /// A field is no price.
    #[error("the price of {model:?}: {bad}")]
    Amount {
        /// The name or pattern as given.
        model: String,
        /// What is wrong with it.
        bad: BadAmount,
    },
    /// The name is none.
    #[error("{model:?} is neither the name of a model nor the beginning of one with a `*` at its end")]
    Name {
        /// The name as given.
        model: String,
    },
}

impl Prices {
    /// The public prices alone.
    pub fn built_in() -> &'static Prices {
        static PRICES: OnceLock<Prices> = OnceLock::new();
        PRICES.get_or_init(|| Prices::with_overrides(&BTreeMap::new()))
    }

    /// The public prices and those of the user, which win. Their names are whole, or end in `*`; the longest pattern
    /// that fits counts. What [`Prices::check`] refuses is left out.
    pub fn with_overrides(overrides: &BTreeMap<String, Price>) -> Prices {
        let mut prices = Prices { snapshot: Snapshot::built_in(), exact: HashMap::new(), globs: Vec::new() };
        for (model, price) in overrides {
            if check_one(model, price).is_err() {
                continue;
            }
            match model.strip_suffix('*') {
                Some(start) => prices.globs.push((start.to_owned(), *price)),
                None => drop(prices.exact.insert(model.clone(), *price)),
            }
        }
        prices.globs.sort_by_key(|(start, _)| std::cmp::Reverse(start.len()));
        prices
    }

    /// Everything in `overrides` that cannot be taken.
    pub fn check(overrides: &BTreeMap<String, Price>) -> Vec<BadPrice> {
        overrides.iter().filter_map(|(model, price)| check_one(model, price).err()).collect()
    }

    /// What a model costs at a kind of backend (`openai`, `anthropic`, `google`), where known: by its exact name, else
    /// by its name without the date of a release.
    pub fn price_of(&self, kind: &str, model: &str) -> Option<Price> {
        let own = self.exact.get(model).or_else(|| {
            let fitting = self.globs.iter().find(|(start, _)| model.starts_with(start.as_str()));
            fitting.map(|(_, price)| price)
        });
        own.copied().or_else(|| self.snapshot.find(kind, model).map(snapshot::Row::price))
    }

    /// What else is publicly known of a model, found as its price is.
    pub fn about(&self, kind: &str, model: &str) -> Option<About> {
        self.snapshot.find(kind, model).map(snapshot::Row::about)
    }

    /// The day the public prices are of, such as `2026-11-20`.
    pub fn retrieved(&self) -> &str {
        &self.snapshot.retrieved
    }

    /// Where the public prices are from.
    pub fn source(&self) -> &str {
        &self.snapshot.source
    }
}

fn check_one(model: &str, price: &Price) -> Result<(), BadPrice> {
    let name = model.strip_suffix('*').unwrap_or(model);
    if model.is_empty() || name.contains('*') {
        return Err(BadPrice::Name { model: model.to_owned() });
    }
    price.check().map_err(|bad| BadPrice::Amount { model: model.to_owned(), bad })
}

#[cfg(test)]
mod tests;

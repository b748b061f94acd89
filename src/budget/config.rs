//! `[budget]`: what cloud backends may cost in a month.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fleet::{Amend, HardLimitAction, Terms};

/// `[budget]` or `[routing.budget]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// The most that cloud backends may cost in a month, in USD, over the whole mesh.
    #[serde(alias = "monthly_limit", skip_serializing_if = "Option::is_none")]
    pub monthly_limit_usd: Option<f64>,
    /// Percent of the limit from which cloud backends are avoided; 1.0 and less is read as a fraction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soft_limit_percent: Option<f64>,
    /// What happens at the limit: `warn`, `block_cloud` or `block_all`.
    pub hard_limit_action: HardLimitAction,
    /// Read for the sake of older files, without effect: who holds which rights is told with every round of gossip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconciliation_interval_secs: Option<u64>,
}

/// How the budget of a configuration is to change, as a manager says it. What is not named stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetChange {
    /// The most in a month, in USD.
    pub monthly_limit_usd: Amend<f64>,
    /// Percent of it from which cloud backends are avoided.
    pub soft_limit_percent: Amend<f64>,
    /// What happens at the limit.
    pub hard_limit_action: Amend<HardLimitAction>,
}

/// What a budget lets pass under `after` that it did not under `before`, a sentence each.
pub fn laxer(before: Option<&Config>, after: Option<&Config>) -> Vec<String> {
    let Some(before) = before.and_then(Config::terms) else { return Vec::new() };
    let Some(after) = after.and_then(Config::terms) else {
        return vec![format!("budget: monthly limit {} -> none: any amount may be spent", usd(before.limit))];
    };
    let limit = (after.limit > before.limit)
        .then(|| format!("budget: monthly limit {} -> {} USD: more may be spent", usd(before.limit), usd(after.limit)));
    let soft = (after.soft_percent > before.soft_percent).then(|| {
        format!(
            "budget: soft limit {} % -> {} %: cloud backends are avoided later",
            before.soft_percent, after.soft_percent
        )
    });
    let action = (after.action < before.action)
        .then(|| format!("budget: at the limit {} -> {}: less is refused", before.action.word(), after.action.word()));
    [limit, soft, action].into_iter().flatten().collect()
}

/// Percent of the limit from which cloud backends are avoided, unless configured otherwise.
const SOFT_PERCENT: f64 = 75.0;

/// A billionth of a USD: the unit of money in ledgers.
pub const NANOS_PER_USD: f64 = 1e9;

/// An amount in billionths of a USD, rounded up: what costs something never counts as nothing.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, and NaN is 0")]
pub fn nanos(usd: f64) -> u64 {
    (usd * NANOS_PER_USD).ceil() as u64
}

/// An amount in USD.
#[expect(clippy::cast_precision_loss, reason = "for people")]
pub fn usd(nanos: u64) -> f64 {
    nanos as f64 / NANOS_PER_USD
}

impl Config {
    /// What this peer holds to. A limit that is no amount was refused before.
    pub fn terms(&self) -> Option<Terms> {
        let limit = self.monthly_limit_usd.filter(|limit| limit.is_finite() && *limit > 0.0)?;
        let soft = self.soft_limit_percent.unwrap_or(SOFT_PERCENT);
        let soft = if soft <= 1.0 { soft * 100.0 } else { soft };
        let limit = nanos(limit);
        Some(Terms { limit, soft_percent: soft, action: self.hard_limit_action })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_is_a_percentage() {
        let terms = |percent| {
            let config = Config { monthly_limit_usd: Some(50.0), soft_limit_percent: percent, ..Config::default() };
            config.terms().expect("a limit")
        };
        assert_eq!(terms(None).soft_percent, 75.0);
        assert_eq!(terms(Some(0.8)).soft_percent, 80.0);
        assert_eq!(
            terms(Some(80.0)),
            Terms { limit: 50_000_000_000, soft_percent: 80.0, action: HardLimitAction::Warn }
        );
        assert_eq!(Config::default().terms(), None);
    }

    #[test]
    fn what_lets_more_pass_is_told() {
        let config =
            |limit, action| Config { monthly_limit_usd: Some(limit), hard_limit_action: action, ..Config::default() };
        let (strict, lax) = (config(50.0, HardLimitAction::BlockAll), config(80.0, HardLimitAction::Warn));
        assert_eq!(laxer(Some(&lax), Some(&strict)), [] as [&str; 0]);
        assert_eq!(laxer(None, Some(&lax)), [] as [&str; 0], "any limit is more than none");
        let told = laxer(Some(&strict), Some(&lax));
        assert_eq!(
            told,
            [
                "budget: monthly limit 50 -> 80 USD: more may be spent",
                "budget: at the limit block_all -> warn: less is refused",
            ]
        );
        assert_eq!(laxer(Some(&strict), None).len(), 1);
    }

    #[test]
    fn money_is_rounded_up() {
        assert_eq!(nanos(1e-12), 1);
        assert_eq!(nanos(0.0), 0);
    }
}

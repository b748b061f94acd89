//! The words of the ledger: who holds rights, in which account, for which month, and the row that each holder tells of
//! itself. Data only; what may be done with rights is known in `budget`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// All rights of an account, in parts. A share is so many of them; what it is worth follows from the limit.
pub const WHOLE: u64 = 1_000_000_000_000;

/// What a part is worth of `limit`, rounded down.
pub fn worth(parts: u64, limit: u64) -> u64 {
    let worth = u128::from(parts) * u128::from(limit) / u128::from(WHOLE);
    u64::try_from(worth).unwrap_or(u64::MAX)
}

/// How many parts of `limit` an amount takes, rounded up; more than all of them where the limit is too small.
pub fn parts_of(amount: u64, limit: u64) -> u64 {
    if limit == 0 {
        return if amount == 0 { 0 } else { u64::MAX };
    }
    let parts = (u128::from(amount) * u128::from(WHOLE)).div_ceil(u128::from(limit));
    u64::try_from(parts).unwrap_or(u64::MAX)
}

/// Whoever holds rights: one ledger file. A peer that loses its ledger is another holder from then on, so that nothing
/// that it once held can be counted twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Holder(Arc<str>);

impl Holder {
    /// The longest name that is believed.
    pub const MAX: usize = 64;

    /// A holder by its name.
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Holder(name.into())
    }

    /// A new one, from 128 random bits.
    pub fn from_bits(bits: u128) -> Self {
        let mut text = data_encoding::BASE32_NOPAD.encode(&bits.to_be_bytes());
        text.make_ascii_lowercase();
        Holder(text.into())
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a name that a holder can have.
    pub fn is_sound(&self) -> bool {
        (1..=Self::MAX).contains(&self.0.len()) && self.0.bytes().all(|byte| byte.is_ascii_alphanumeric())
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A month of the calendar in UTC. Budgets begin anew with each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Month(u32);

/// Not a month.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no month: they look like 2026-11")]
pub struct NoMonth(String);

impl Month {
    /// The month of a moment, in seconds since 1970.
    pub fn at(unix_seconds: u64) -> Self {
        // Days to civil date: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
        let days = i64::try_from(unix_seconds / 86_400).unwrap_or(i64::MAX / 2) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Month(u32::try_from(year * 12 + month - 1).unwrap_or(u32::MAX))
    }

    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        Month(self.0.saturating_add(1))
    }

    /// The first day of the month, as `2026-11-01`.
    pub fn first_day(self) -> String {
        format!("{self}-01")
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0 / 12, self.0 % 12 + 1)
    }
}

impl FromStr for Month {
    type Err = NoMonth;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('-').and_then(|(year, month)| {
            let (year, month): (u32, u32) = (year.parse().ok()?, month.parse().ok()?);
            ((1..=12).contains(&month) && year < 100_000).then(|| Month(year * 12 + month - 1))
        });
        parsed.ok_or_else(|| NoMonth(text.to_owned()))
    }
}

impl TryFrom<String> for Month {
    type Error = NoMonth;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Month> for String {
    fn from(month: Month) -> Self {
        month.to_string()
    }
}

/// The birth of the budget of a mesh. Of two that meet the older counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Founding {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Names it, and with it the accounts that were born with it.
    pub id: String,
    /// Who founded it, and held all rights at first.
    pub holder: Holder,
}

/// An account: what is counted, and who held all of it at first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Account {
    /// Names it in the whole mesh: two accounts of one name have one root.
    pub name: Arc<str>,
    /// Who held all rights at first.
    pub root: Holder,
}

impl Account {
    /// The longest name that is believed.
    pub const MAX: usize = 128;

    /// The money of a mesh.
    pub fn budget(founding: &Founding) -> Self {
        Account { name: format!("budget@{}", founding.id).into(), root: founding.holder.clone() }
    }

    /// Money that a holder spent before the budget of its mesh was founded, where none was limited.
    pub fn unfounded(holder: &Holder) -> Self {
        Account { name: format!("budget@-{holder}").into(), root: holder.clone() }
    }

    /// Whether this is the money of a mesh, by whatever founding: what was spent of one counts in every other.
    pub fn is_budget(&self) -> bool {
        is_budget(&self.name)
    }

    /// Whether this is a limit in a minute, and not money.
    pub fn is_rate(&self) -> bool {
        let name = self.name.split('@').next().unwrap_or_default();
        name.ends_with("/requests") || name.ends_with("/tokens")
    }
}

/// Whether an account of this name is the money of a mesh.
pub fn is_budget(name: &str) -> bool {
    name.starts_with("budget@")
}

/// What a peer is configured to hold to. Of two that differ the stricter counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// The most in a month, in billionths of a USD.
    pub limit: u64,
    /// Percent of it from which cloud backends are avoided.
    pub soft_percent: f64,
    /// What happens at the limit.
    #[serde(default)]
    pub action: HardLimitAction,
}

impl Terms {
    /// Of each the stricter.
    #[must_use]
    pub fn stricter(self, other: Terms) -> Terms {
        Terms {
            limit: self.limit.min(other.limit),
            soft_percent: self.soft_percent.min(other.soft_percent),
            action: self.action.max(other.action),
        }
    }

    /// Whether somebody could have configured this.
    pub fn is_sound(&self) -> bool {
        self.limit > 0 && (0.0..=100.0).contains(&self.soft_percent)
    }
}

/// What happens when the budget is used up, laxest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HardLimitAction {
    /// A line in the log.
    #[default]
    Warn,
    /// Cloud backends are not used.
    #[serde(alias = "local_only", alias = "local-only")]
    BlockCloud,
    /// Nothing is served.
    #[serde(alias = "reject")]
    BlockAll,
}

impl HardLimitAction {
    /// The word of the configuration.
    pub fn word(self) -> &'static str {
        match self {
            HardLimitAction::Warn => "warn",
            HardLimitAction::BlockCloud => "block_cloud",
            HardLimitAction::BlockAll => "block_all",
        }
    }

    /// The word of `/v1/stats`.
    pub fn as_str(self) -> &'static str {
        match self {
            HardLimitAction::Warn => "Warn",
            HardLimitAction::BlockCloud => "BlockCloud",
            HardLimitAction::BlockAll => "BlockAll",
        }
    }
}

/// What a peer gossips of its ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct LedgerFacts {
    /// Whose ledger it is.
    pub holder: Holder,
    /// The founding that it goes by.
    pub founding: Option<Founding>,
    /// What it is configured to hold to.
    pub terms: Option<Terms>,
    /// Those whose rights it lets nobody but their heirs have.
    pub lost: BTreeSet<Holder>,
    /// Its own rows, and the last rows of holders that are not there.
    pub rows: Vec<Row>,
}

/// What one holder says of itself in one account. Nobody else writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Whose it is.
    pub holder: Holder,
    /// The name of its peer, for people.
    #[serde(default)]
    pub by: String,
    /// Of which account.
    #[serde(flatten)]
    pub account: Account,
    /// Later rows of a holder have higher ones.
    pub version: u64,
    /// The month that the amounts are of.
    pub month: Month,
    /// What was spent in it.
    pub spent: u64,
    /// What is set aside for calls under way.
    pub reserved: u64,
    /// Rights given to others, ever, and the month of the last gift to each. All of it is on disk.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub given: BTreeMap<Holder, Gift>,
    /// Rights of others that were counted here, ever.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub taken: BTreeMap<Holder, u64>,
    /// Rights of holders that were lost for good.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inherited: BTreeMap<Holder, Gift>,
}

/// Rights that passed from one holder to another: how many in all, and from which month on the last of them count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gift {
    /// Parts, ever.
    pub parts: u64,
    /// The month of the last of them.
    pub month: Month,
}

impl Row {
    /// The version of the last row of a holder, which its heir tells: as its estate was reckoned. Nobody writes another.
    pub const LAST: u64 = u64::MAX;

    /// Whether the rights in it have passed to an heir.
    pub fn is_last(&self) -> bool {
        self.version == Self::LAST
    }

    /// The share of its holder in `month`, in parts.
    pub fn share(&self, month: Month) -> u64 {
        let rooted = if self.account.root == self.holder { WHOLE } else { 0 };
        let inherited = self.inherited.values().filter(|gift| gift.month <= month).map(|gift| gift.parts);
        let has = self.taken.values().copied().chain(inherited).fold(rooted, u64::saturating_add);
        has.saturating_sub(self.given.values().map(|gift| gift.parts).fold(0, u64::saturating_add))
    }

    /// What was used of it in `month`: nothing, where the row is of an earlier one.
    pub fn used(&self, month: Month) -> u64 {
        if self.month == month { self.spent.saturating_add(self.reserved) } else { 0 }
    }

    /// Why this cannot be true, whoever says it.
    pub fn absurdity(&self) -> Option<&'static str> {
        let sum = |parts: &mut dyn Iterator<Item = u64>| parts.fold(0_u64, u64::saturating_add);
        let rooted = if self.account.root == self.holder { WHOLE } else { 0 };
        let taken = sum(&mut self.taken.values().copied());
        let inherited = sum(&mut self.inherited.values().map(|gift| gift.parts));
        let given = sum(&mut self.given.values().map(|gift| gift.parts));
        let names = self.given.keys().chain(self.taken.keys()).chain(self.inherited.keys());
        if names.chain([&self.holder, &self.account.root]).any(|holder| !holder.is_sound()) {
            return Some("it names a holder that is none");
        }
        if self.taken.contains_key(&self.holder) || self.given.contains_key(&self.holder) {
            return Some("it gives to itself");
        }
        if given > rooted.saturating_add(taken).saturating_add(inherited) {
            return Some("it has given more than it ever had");
        }
        let has = rooted.saturating_add(taken).saturating_add(inherited).saturating_sub(given);
        if has > WHOLE {
            return Some("it holds more than there is");
        }
        if inherited > WHOLE {
            return Some("it has inherited more than there is");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn months_are_those_of_the_calendar() {
        for (seconds, month) in [
            (0, "1970-01"),
            (951_782_399, "2000-02"),
            (951_868_799, "2000-02"),
            (951_868_800, "2000-03"),
            (1_767_225_599, "2025-12"),
            (1_767_225_600, "2026-01"),
            (4_107_542_400, "2100-03"),
        ] {
            assert_eq!(Month::at(seconds).to_string(), month, "{seconds}");
        }
        assert_eq!("2025-12".parse::<Month>().map(Month::next).map(Month::first_day), Ok("2026-01-01".to_owned()));
        assert!("2026-13".parse::<Month>().is_err() && "soon".parse::<Month>().is_err());
    }

    #[test]
    fn nothing_can_be_bought_of_no_limit() {
        assert_eq!(parts_of(1, 0), u64::MAX);
        assert_eq!(worth(WHOLE, 50), 50);
        assert_eq!(parts_of(50, 50), WHOLE);
        assert!(parts_of(51, 50) > WHOLE);
    }

    proptest! {
        #[test]
        fn parts_for_an_amount_are_worth_it_and_a_part_less_is_not_more(amount in 0..=u64::MAX / 2, limit in 1..=u64::MAX / 2) {
            let parts = parts_of(amount, limit);
            prop_assume!(parts < u64::MAX);
            prop_assert!(worth(parts, limit) >= amount.min(worth(parts, limit)));
            if parts <= WHOLE {
                prop_assert!(worth(parts, limit) >= amount);
                prop_assert!(parts == 0 || worth(parts - 1, limit) <= amount);
            }
        }

        #[test]
        fn shares_of_all_are_never_worth_more_than_the_limit(cut in 0..=WHOLE, limit: u64) {
            prop_assert!(u128::from(worth(cut, limit)) + u128::from(worth(WHOLE - cut, limit)) <= u128::from(limit));
        }
    }
}

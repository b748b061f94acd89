//! Rights on their way from one holder to another. A gift is on disk at the giver before anybody is told of it, and is told
//! as how much was given in all: whoever hears of it late, twice or by others counts the same.

use serde::{Deserialize, Serialize};

use super::{Ledger, Record};
use crate::fleet::{Account, Gift, Holder, Month, Row, WHOLE, parts_of};

/// A holder asks another for rights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ask {
    /// Of which account.
    #[serde(flatten)]
    pub(crate) account: Account,
    /// Who asks.
    pub(crate) holder: Holder,
    /// The month it is in.
    pub(crate) month: Month,
    /// What the account is limited to, as far as whoever asks knows.
    pub(crate) limit: u64,
    /// Parts it needs.
    pub(crate) needs: u64,
    /// Parts it would like to have, so that it need not ask again soon.
    pub(crate) likes: u64,
}

/// Why nothing is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoGift {
    /// It has nothing that it does not use.
    Nothing,
    /// It is in a later month than whoever asks, who could not use its rights yet.
    LaterMonth,
    /// Whoever asks is being forgotten, or was, or is no holder.
    Unwelcome,
}

impl Ledger {
    /// Sets parts aside for whoever asks, where they are not used here. They are out of reach from now on; they are given
    /// when the record is on disk and applied.
    ///
    /// # Errors
    /// Why there is nothing to give.
    pub(crate) fn giving(&mut self, ask: &Ask, limit: u64) -> Result<Record, NoGift> {
        let name = &ask.account.name;
        if !ask.holder.is_sound() || ask.holder == self.carried.holder || self.is_lost(&ask.holder) {
            return Err(NoGift::Unwelcome);
        }
        if ask.month < self.carried.month {
            return Err(NoGift::LaterMonth);
        }
        let unused = self.unused(name, limit);
        let parts = ask.needs.max(ask.likes.min(unused / 2)).min(unused);
        let line = self.carried.accounts.get(name).filter(|line| line.root == ask.account.root);
        let (Some(line), true) = (line, parts > 0) else { return Err(NoGift::Nothing) };
        let key = (name.clone(), ask.holder.clone());
        let given = line.given.get(&ask.holder).map_or(0, |gift| gift.parts);
        let total = self.promised.get(&key).copied().unwrap_or(0).max(given).saturating_add(parts);
        let gift = Gift { parts: total, month: self.carried.month };
        self.promised.insert(key, total);
        Ok(Record::Gave { account: name.clone(), to: ask.holder.clone(), gift })
    }

    /// Parts of an account that nothing was spent of or set aside from.
    pub(crate) fn unused(&self, account: &str, limit: u64) -> u64 {
        let used = match self.used(account) {
            0 => 0,
            used => parts_of(used, limit),
        };
        self.share(account).saturating_sub(used)
    }

    /// The record that counts what `from` has given, if that is more than was counted and of a month that has begun here.
    pub(crate) fn taking(&self, account: &str, from: &Holder, gift: Gift) -> Option<Record> {
        let line = self.carried.accounts.get(account)?;
        let counted = line.taken.get(from).copied().unwrap_or(0);
        // Nobody can be given more than there is, whoever says so.
        let has = self.share(account).saturating_add(gift.parts.saturating_sub(counted));
        let is_sound = gift.parts > counted && gift.month <= self.carried.month && has <= WHOLE;
        let is_welcome = *from != self.carried.holder && !self.is_lost(from);
        (is_sound && is_welcome).then(|| Record::Took {
            account: account.into(),
            from: from.clone(),
            parts: gift.parts,
        })
    }

    /// Whether others have counted more from this ledger than it knows to have given, by what one of them tells: then it is
    /// an older copy of itself, and what it says is free was given away.
    pub(crate) fn is_older_than(&self, row: &Row) -> bool {
        let counted = row.taken.get(&self.carried.holder).copied().unwrap_or(0);
        let line = self.carried.accounts.get(&row.account.name);
        let given = line.and_then(|line| line.given.get(&row.holder)).map_or(0, |gift| gift.parts);
        let on_its_way = self.promised.get(&(row.account.name.clone(), row.holder.clone())).copied().unwrap_or(0);
        counted > given.max(on_its_way)
    }

    /// What is asked of others, where `missing` of an account is not here.
    pub(crate) fn asking(&self, account: &Account, missing: u64, limit: u64) -> Ask {
        let needs = parts_of(missing, limit);
        Ask {
            account: account.clone(),
            holder: self.carried.holder.clone(),
            month: self.carried.month,
            limit,
            needs,
            likes: needs.saturating_mul(4).max(WHOLE / 50),
        }
    }

    /// The last gift of an account to a holder that is on disk.
    pub(crate) fn gift_to(&self, account: &str, to: &Holder) -> Option<Gift> {
        self.carried.accounts.get(account)?.given.get(to).copied()
    }
}

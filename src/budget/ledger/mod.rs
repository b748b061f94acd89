//! The ledger of one holder: what it may spend, what it has set aside, what it gave and took. A state machine without a
//! clock, a disk or a network: every change is a [`Record`], and the same records make the same ledger again.
//!
//! `docs/BUDGET.md` has the argument why the sum over all holders never exceeds a limit. It stands on three rules, and they
//! are kept here: nothing is set aside beyond the share of the month; only what is not used is given away, and it is out of
//! reach from the moment it is promised; what others give is counted by how much they gave in all, so that hearing of a gift
//! twice changes nothing.

mod estate;
mod forget;
mod record;
mod rights;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(crate) use forget::{Ack, Claim, NoPromise};
pub(crate) use record::{HoldId, Record, read_all};
pub(crate) use rights::{Ask, NoGift};

use crate::fleet::{Account, Founding, Gift, Holder, Month, Row, Terms, WHOLE, is_budget, worth};

/// The version of the file that is written and read.
pub(crate) const VERSION: u32 = 1;

/// Months of which is known what was spent.
const MONTHS_KEPT: usize = 24;

/// After a restart rows must count as later than all that were told before, though not every one was written down.
const RESTART: u64 = 1 << 20;

/// The ledger of one holder.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ledger {
    carried: Carried,
    /// Gifts on their way to the disk, as totals: out of reach here, and not yet told to anybody.
    promised: BTreeMap<(Arc<str>, Holder), u64>,
}

/// What is kept of a ledger when its file is written anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Carried {
    holder: Holder,
    peer: String,
    version: u64,
    month: Month,
    foundings: BTreeMap<Arc<str>, Founding>,
    met: BTreeMap<Arc<str>, BTreeSet<Holder>>,
    #[serde(default)]
    terms: BTreeMap<Arc<str>, BTreeMap<Holder, Terms>>,
    accounts: BTreeMap<Arc<str>, Line>,
    holds: BTreeMap<HoldId, (Month, Charges)>,
    next: HoldId,
    promises: BTreeMap<Holder, Holder>,
    heirlooms: BTreeMap<Holder, Heirloom>,
    /// Holders that this peer was before, and that were forgotten.
    former: BTreeSet<Holder>,
}

/// What was set aside, by account.
type Charges = Vec<(Arc<str>, u64)>;

/// What was inherited from one holder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Heirloom {
    from: Month,
    parts: BTreeMap<Arc<str>, u64>,
    /// What was counted as given to the lost one and by it, and rows that this rests on.
    remains: Vec<Row>,
}

/// One account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    root: Holder,
    spent: u64,
    reserved: u64,
    past: BTreeMap<Month, u64>,
    given: BTreeMap<Holder, Gift>,
    taken: BTreeMap<Holder, u64>,
}

/// Why an amount is not set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Short {
    /// Of which account.
    pub(crate) account: Arc<str>,
    /// How much is missing here, in the unit of the account.
    pub(crate) missing: u64,
}

/// One amount that a call may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Charge {
    /// Of which account.
    pub(crate) account: Arc<str>,
    /// At most so much.
    pub(crate) amount: u64,
    /// What the account is limited to in a month; `None`: it is only counted.
    pub(crate) limit: Option<u64>,
}

impl Ledger {
    /// A ledger in which nothing has happened.
    pub(crate) fn new(holder: Holder, peer: String, month: Month) -> Self {
        let carried = Carried {
            holder,
            peer,
            version: 0,
            month,
            foundings: BTreeMap::new(),
            met: BTreeMap::new(),
            terms: BTreeMap::new(),
            accounts: BTreeMap::new(),
            holds: BTreeMap::new(),
            next: 0,
            promises: BTreeMap::new(),
            heirlooms: BTreeMap::new(),
            former: BTreeSet::new(),
        };
        Ledger { carried, promised: BTreeMap::new() }
    }

    /// The ledger that `records` make. What was set aside when the process died counts as spent.
    ///
    /// # Errors
    /// They are not those of a ledger: it must begin as one.
    pub(crate) fn replay(records: &[Record]) -> Result<Self, &'static str> {
        let Some(Record::Begun { version, holder, peer }) = records.first() else {
            return Err("it does not begin as a ledger does");
        };
        if *version != VERSION {
            return Err("it is of another version of Nexus");
        }
        let mut ledger = Ledger::new(holder.clone(), peer.clone(), Month::default());
        for record in &records[1..] {
            ledger.apply(record);
        }
        let open: Vec<HoldId> = ledger.carried.holds.keys().copied().collect();
        for id in open {
            let spent = ledger.carried.holds[&id].1.iter().map(|(_, amount)| *amount).collect();
            ledger.apply(&Record::Settled { id, spent });
        }
        ledger.carried.version += RESTART;
        Ok(ledger)
    }

    /// The records with which its file is written anew.
    pub(crate) fn records(&self) -> [Record; 2] {
        let Carried { holder, peer, .. } = &self.carried;
        let begun = Record::Begun { version: VERSION, holder: holder.clone(), peer: peer.clone() };
        [begun, Record::Carried(Box::new(self.carried.clone()))]
    }

    /// Makes what happened true. It was checked when it was decided.
    pub(crate) fn apply(&mut self, record: &Record) {
        let carried = &mut self.carried;
        carried.version += 1;
        match record {
            Record::Begun { .. } => {}
            Record::Carried(whole) => *carried = (**whole).clone(),
            Record::Founded { mesh, founding } => drop(carried.foundings.insert(mesh.clone(), founding.clone())),
            Record::Met { mesh, holder } => {
                carried.met.entry(mesh.clone()).or_default().insert(holder.clone());
            }
            Record::Agreed { mesh, holder, terms } => {
                let known = carried.terms.entry(mesh.clone()).or_default();
                match terms {
                    Some(terms) => drop(known.insert(holder.clone(), *terms)),
                    None => drop(known.remove(holder)),
                }
            }
            Record::Opened(account) => {
                let line = carried.accounts.entry(account.name.clone());
                line.or_insert_with(|| Line::rooted_at(account.root.clone()));
            }
            Record::Turned(month) => self.turn(*month),
            Record::Held { id, charges } => {
                for (account, amount) in charges {
                    if let Some(line) = carried.accounts.get_mut(account) {
                        line.reserved = line.reserved.saturating_add(*amount);
                    }
                }
                carried.holds.insert(*id, (carried.month, charges.clone()));
                carried.next = carried.next.max(id + 1);
            }
            Record::Settled { id, spent } => self.settled(*id, spent),
            Record::Gave { account, to, gift } => {
                // Of several gifts on their way the later total may come first, and the earlier must not take it back.
                let key = (account.clone(), to.clone());
                if let Some(line) = carried.accounts.get_mut(account) {
                    let given = line.given.entry(to.clone()).or_insert(*gift);
                    *given = Gift { parts: given.parts.max(gift.parts), month: given.month.max(gift.month) };
                }
                if self.promised.get(&key).is_some_and(|promised| *promised <= gift.parts) {
                    self.promised.remove(&key);
                }
            }
            Record::Took { account, from, parts } => {
                if let Some(line) = carried.accounts.get_mut(account) {
                    let taken = line.taken.entry(from.clone()).or_default();
                    *taken = (*taken).max(*parts);
                }
            }
            Record::Promised { lost, heir } => drop(carried.promises.insert(lost.clone(), heir.clone())),
            Record::Yielded { lost } => drop(carried.promises.remove(lost)),
            Record::Inherited { lost, parts, from, remains } => {
                let heirloom =
                    Heirloom { from: *from, parts: parts.iter().cloned().collect(), remains: remains.clone() };
                carried.heirlooms.insert(lost.clone(), heirloom);
            }
        }
    }

    fn turn(&mut self, month: Month) {
        let before = std::mem::replace(&mut self.carried.month, month);
        for line in self.carried.accounts.values_mut() {
            // What is still set aside is of the month in which it was; it is spent or given back there.
            let used = std::mem::take(&mut line.spent).saturating_add(std::mem::take(&mut line.reserved));
            if before != Month::default() {
                line.past.insert(before, used);
            }
            while line.past.len() > MONTHS_KEPT {
                line.past.pop_first();
            }
        }
    }

    fn settled(&mut self, id: HoldId, spent: &[u64]) {
        let Some((month, charges)) = self.carried.holds.remove(&id) else { return };
        for ((account, held), spent) in charges.iter().zip(spent) {
            let Some(line) = self.carried.accounts.get_mut(account) else { continue };
            if month == self.carried.month {
                line.reserved = line.reserved.saturating_sub(*held);
                line.spent = line.spent.saturating_add(*spent);
            } else if let Some(past) = line.past.get_mut(&month) {
                *past = past.saturating_sub(*held).saturating_add(*spent);
            }
        }
    }

    /// The ledger of another holder, which begins where this one ends: what is still set aside there is not mistaken for
    /// what is set aside here.
    pub(crate) fn succeeded_by(&self, holder: Holder) -> Self {
        let mut ledger = Ledger::new(holder, self.carried.peer.clone(), self.carried.month);
        ledger.carried.next = self.carried.next;
        ledger.carried.foundings = self.carried.foundings.clone();
        ledger.carried.met = self.carried.met.clone();
        ledger.carried.terms = self.carried.terms.clone();
        // What was promised to others holds whatever this peer is called; what it claimed itself came to nothing.
        ledger.carried.promises = self.carried.promises.clone();
        ledger
            .carried
            .promises
            .retain(|lost, heir| *heir != self.carried.holder || self.carried.heirlooms.contains_key(lost));
        ledger.carried.former = self.carried.former.clone();
        ledger.carried.former.insert(self.carried.holder.clone());
        ledger
    }

    /// Whose ledger it is.
    pub(crate) fn holder(&self) -> &Holder {
        &self.carried.holder
    }

    /// The peer whose ledger it is.
    pub(crate) fn peer(&self) -> &str {
        &self.carried.peer
    }

    /// The month it is in. It never goes back, whatever clocks do.
    pub(crate) fn month(&self) -> Month {
        self.carried.month
    }

    /// The founding that it goes by in a mesh.
    pub(crate) fn founding(&self, mesh: &str) -> Option<&Founding> {
        self.carried.foundings.get(mesh)
    }

    /// The holders of a mesh that it has ever heard of.
    pub(crate) fn met(&self, mesh: &str) -> impl Iterator<Item = &Holder> {
        self.carried.met.get(mesh).into_iter().flatten()
    }

    /// Whose rights passed to it.
    pub(crate) fn heir_of(&self) -> impl Iterator<Item = &Holder> {
        self.carried.heirlooms.keys()
    }

    /// The accounts it knows.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = Account> + '_ {
        self.carried.accounts.iter().map(|(name, line)| Account { name: name.clone(), root: line.root.clone() })
    }

    /// What was spent of an account in its present month, and what is set aside.
    #[cfg(test)]
    pub(crate) fn spent(&self, account: &str) -> (u64, u64) {
        self.carried.accounts.get(account).map_or((0, 0), |line| (line.spent, line.reserved))
    }

    /// The record that begins a month, if one has begun. A clock that is set back begins none.
    pub(crate) fn turning(&self, month: Month) -> Option<Record> {
        (month > self.carried.month).then_some(Record::Turned(month))
    }

    /// The record that takes in a founding: the first that is heard of, or an older one.
    pub(crate) fn adopting(&self, mesh: &Arc<str>, founding: &Founding) -> Option<Record> {
        let is_older = self.founding(mesh).is_none_or(|ours| founding < ours);
        is_older.then(|| Record::Founded { mesh: mesh.clone(), founding: founding.clone() })
    }

    /// The record that remembers a holder, unless it is remembered.
    pub(crate) fn meeting(&self, mesh: &Arc<str>, holder: &Holder) -> Option<Record> {
        let is_new = *holder != self.carried.holder && !self.met(mesh).any(|met| met == holder);
        is_new.then(|| Record::Met { mesh: mesh.clone(), holder: holder.clone() })
    }

    /// The record that opens an account, unless it is open.
    pub(crate) fn opening(&self, account: &Account) -> Option<Record> {
        (!self.carried.accounts.contains_key(&account.name)).then(|| Record::Opened(account.clone()))
    }

    /// Parts of an account that are this holder's, in its present month.
    pub(crate) fn share(&self, account: &str) -> u64 {
        self.carried.accounts.get(account).map_or(0, |line| self.share_of(account, line))
    }

    fn share_of(&self, account: &str, line: &Line) -> u64 {
        let Carried { holder, month, heirlooms, .. } = &self.carried;
        let rooted = if line.root == *holder { WHOLE } else { 0 };
        let has = line.taken.values().copied().fold(rooted, u64::saturating_add);
        let heirlooms = heirlooms.iter().filter(|(_, heirloom)| heirloom.from <= *month);
        let inherited = heirlooms.map(|(lost, heirloom)| heirloom.of(account, &line.root, lost));
        let has = inherited.fold(has, u64::saturating_add);
        let given = line.given.values().map(|gift| gift.parts).fold(0, u64::saturating_add);
        let promised = self.promised.iter().filter(|((name, _), _)| &**name == account);
        let promised =
            promised.map(|((_, to), total)| total.saturating_sub(line.given.get(to).map_or(0, |gift| gift.parts)));
        has.saturating_sub(given).saturating_sub(promised.fold(0, u64::saturating_add))
    }

    /// What is used of an account in its present month, in the unit of the account.
    ///
    /// What was spent of one budget counts in every other: a mesh that gets another key has no other month.
    pub(crate) fn used(&self, account: &str) -> u64 {
        if is_budget(account) {
            let (spent, reserved) = self.spent_of_budgets();
            return spent.saturating_add(reserved);
        }
        self.carried.accounts.get(account).map_or(0, |line| line.spent.saturating_add(line.reserved))
    }

    /// What was spent of all budgets in its present month, and what is set aside.
    pub(crate) fn spent_of_budgets(&self) -> (u64, u64) {
        let lines = self.carried.accounts.iter().filter(|(name, _)| is_budget(name));
        lines.fold((0, 0), |(spent, reserved), (_, line)| {
            (spent.saturating_add(line.spent), reserved.saturating_add(line.reserved))
        })
    }

    /// What the peers of a mesh are known to hold to.
    pub(crate) fn terms_of(&self, mesh: &str) -> impl Iterator<Item = (&Holder, Terms)> {
        let terms = self.carried.terms.get(mesh).into_iter().flatten();
        terms.map(|(holder, terms)| (holder, *terms))
    }

    /// The record that remembers what a holder holds to, unless that is remembered.
    pub(crate) fn agreeing(&self, mesh: &Arc<str>, holder: &Holder, terms: Option<Terms>) -> Option<Record> {
        let known = self.terms_of(mesh).find(|(known, _)| *known == holder).map(|(_, terms)| terms);
        (known != terms).then(|| Record::Agreed { mesh: mesh.clone(), holder: holder.clone(), terms })
    }

    /// What may still be set aside of an account, where it is limited to `limit`.
    pub(crate) fn free(&self, account: &str, limit: u64) -> u64 {
        worth(self.share(account), limit).saturating_sub(self.used(account))
    }

    /// The record that sets amounts aside, all or none.
    ///
    /// # Errors
    /// The first account of which there is not enough here.
    pub(crate) fn holding(&self, charges: &[Charge]) -> Result<Record, Short> {
        for Charge { account, amount, limit } in charges {
            let free = limit.map_or(u64::MAX, |limit| self.free(account, limit));
            if free < *amount {
                return Err(Short { account: account.clone(), missing: amount - free });
            }
        }
        let charges = charges.iter().map(|charge| (charge.account.clone(), charge.amount)).collect();
        Ok(Record::Held { id: self.carried.next, charges })
    }

    /// What this holder tells of itself in every account. It tells only what is sure to be on disk by then: gifts on their
    /// way there are in no row.
    pub(crate) fn rows(&self, by: &str) -> Vec<Row> {
        let Carried { holder, version, month, accounts, heirlooms, .. } = &self.carried;
        let row = |(name, line): (&Arc<str>, &Line)| Row {
            holder: holder.clone(),
            by: by.to_owned(),
            account: Account { name: name.clone(), root: line.root.clone() },
            version: *version,
            month: *month,
            spent: line.spent,
            reserved: line.reserved,
            given: line.given.clone(),
            taken: line.taken.clone(),
            inherited: heirlooms
                .iter()
                .filter_map(|(lost, heirloom)| {
                    let parts = heirloom.of(name, &line.root, lost);
                    (parts > 0).then(|| (lost.clone(), Gift { parts, month: heirloom.from }))
                })
                .collect(),
        };
        accounts.iter().map(row).collect()
    }
}

impl Heirloom {
    /// Parts of an account, which was all of `root` at first, that passed from `lost`. What nobody had heard of is all there.
    fn of(&self, account: &str, root: &Holder, lost: &Holder) -> u64 {
        self.parts.get(account).copied().unwrap_or(if root == lost { WHOLE } else { 0 })
    }
}

impl Line {
    fn rooted_at(root: Holder) -> Self {
        Line { root, spent: 0, reserved: 0, past: BTreeMap::new(), given: BTreeMap::new(), taken: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests;

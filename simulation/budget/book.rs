//! What was really spent, kept apart from all ledgers: by account and month, and by whose ledger pays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nexus::budget::Hold;
use nexus::fleet::{Holder, LedgerFacts, Month};

/// An account in a month.
type Page = (Arc<str>, Month);

/// The bookkeeping of one run.
#[derive(Default)]
pub(super) struct Book {
    spent: BTreeMap<Page, u64>,
    of_holder: BTreeMap<(Holder, Page), u64>,
    /// The largest limit that anybody held to, by the kind of account.
    limits: BTreeMap<String, u64>,
    /// Those that have heard that they were forgotten.
    void: BTreeSet<Holder>,
    /// Calls that went out.
    pub(super) calls: u64,
    /// Holds that were refused.
    pub(super) refused: u64,
    /// Claims that do not hold.
    pub(super) broken: Vec<String>,
}

/// Accounts of one kind have one limit: `budget@x` is `budget`.
fn kind(account: &str) -> &str {
    account.split('@').next().unwrap_or(account)
}

impl Book {
    /// Somebody holds to this limit.
    pub(super) fn limited(&mut self, kind: &str, limit: u64) {
        let most = self.limits.entry(kind.to_owned()).or_default();
        *most = limit.max(*most);
    }

    /// A call goes out: until it is over it counts as all that was set aside.
    pub(super) fn called(&mut self, hold: &Hold) {
        self.calls += 1;
        if self.void.contains(hold.holder()) {
            self.broken.push(format!("{} spends after it heard that it was forgotten", hold.holder()));
        }
        for (account, amount) in hold.charges() {
            let page = (account.clone(), hold.month());
            *self.spent.entry(page.clone()).or_default() += amount;
            *self.of_holder.entry((hold.holder().clone(), page)).or_default() += amount;
        }
    }

    /// A call is over, and cost so much.
    pub(super) fn cost(&mut self, hold: &Hold, cost: u64) {
        for (account, amount) in hold.charges() {
            let page = (account.clone(), hold.month());
            *self.spent.entry(page.clone()).or_default() -= amount - cost;
            *self.of_holder.entry((hold.holder().clone(), page)).or_default() -= amount - cost;
        }
    }

    /// This holder knows that it was forgotten.
    pub(super) fn void(&mut self, holder: Holder) {
        self.void.insert(holder);
    }

    /// Holders that know that they were forgotten.
    pub(super) fn voided(&self) -> &BTreeSet<Holder> {
        &self.void
    }

    /// What was spent of accounts of a kind, in the month where it was most.
    pub(super) fn most_of(&self, of_kind: &str) -> u64 {
        self.spent.iter().filter(|((account, _), _)| kind(account) == of_kind).map(|(_, sum)| *sum).max().unwrap_or(0)
    }

    /// *The limit*: nobody spends more than the largest limit that anybody held to.
    pub(super) fn check_limits(&mut self) {
        for ((account, month), sum) in &self.spent {
            let limit = self.limits.get(kind(account)).copied().unwrap_or(0);
            if *sum > limit {
                self.broken.push(format!("LIMIT: {sum} of {limit} was spent of {account} in {month}"));
            }
        }
    }

    /// *The figure*: what a ledger says of itself is never less than what it really paid.
    pub(super) fn check_figure(&mut self, facts: &LedgerFacts) {
        let own = facts.rows.iter().filter(|row| row.holder == facts.holder);
        for row in own {
            let page = (row.account.name.clone(), row.month);
            let paid = self.of_holder.get(&(row.holder.clone(), page)).copied().unwrap_or(0);
            let told = row.spent.saturating_add(row.reserved);
            if told < paid {
                self.broken.push(format!("FIGURE: {} tells {told} of {paid} in {}", row.holder, row.account.name));
            }
        }
    }
}

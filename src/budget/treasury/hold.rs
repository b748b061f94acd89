//! Setting money aside before a call, and settling it after. What is set aside is on disk before the call goes out; what
//! was not settled when the process died counts as spent.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{State, Treasury};
use crate::budget::ledger::{Charge, HoldId, Record, Short};
use crate::fleet::{Account, HardLimitAction, Holder, Month};

/// What a call may cost at most, and of which accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amount {
    /// Billionths of a USD.
    pub nanos: u64,
    /// An account of the caller's own, and its limit in a month.
    pub of_caller: Option<(Account, u64)>,
}

/// Why no money is set aside.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Refused {
    /// Why.
    pub why: Why,
    /// Billionths of a USD that were asked for.
    pub needed: u64,
    /// Whether it is the caller's own limit that is reached, and not that of the mesh.
    pub of_caller: bool,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.why {
            Why::UsedUp { needed, left } if self.of_caller => write!(
                f,
                "the monthly limit of this client key does not cover the request: it may cost {} USD, and {} USD are left. \
                 Send a smaller `max_tokens`, use a local model, or ask whoever runs this mesh",
                usd(*needed),
                usd(*left)
            ),
            Why::OutOfReach(away) if self.of_caller => write!(
                f,
                "what this client key may still spend is held by peers that cannot be reached now: {}",
                away.join(", ")
            ),
            why => why.fmt(f),
        }
    }
}

/// Why no money is set aside.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// It was spent, or is set aside: so much of the limit is left anywhere.
    #[error("a call may cost {} USD, and {} USD of this month are left", usd(*needed), usd(*left))]
    UsedUp {
        /// What the call may cost.
        needed: u64,
        /// What is left, in the whole mesh.
        left: u64,
    },
    /// There is some left, at peers that cannot be asked.
    #[error("what is left of the budget is held by peers that cannot be reached now: {}", .0.join(", "))]
    OutOfReach(Vec<String>),
    /// Nobody has founded the budget of the mesh yet.
    #[error(
        "no peer that can be reached has founded the budget of this mesh: wait for one, or run `nexus budget found` on one of them"
    )]
    Unfounded,
    /// The ledger cannot be used.
    #[error("the ledger of this peer cannot be used: {0}")]
    Trouble(String),
}

impl Why {
    /// What can be done about it.
    pub fn suggested_action(&self) -> &'static str {
        match self {
            Why::UsedUp { .. } => "Wait for the next month, raise 'monthly_limit_usd', or use a local model",
            Why::OutOfReach(_) => {
                "Bring these peers back, hand their rights on with 'nexus mesh forget' if they are lost for good, or use a \
                 local model"
            }
            Why::Unfounded => "Run 'nexus budget found' on one peer, or use a local model",
            Why::Trouble(_) => "Do with the ledger as the reason says, or use a local model",
        }
    }
}

fn usd(nanos: u64) -> String {
    format!("{:.4}", crate::budget::usd(nanos))
}

/// Money that is set aside. Dropped before the call was sent it is free again; dropped later without a word it is spent.
#[derive(Debug)]
pub struct Hold {
    treasury: Arc<Treasury>,
    holder: Holder,
    id: HoldId,
    month: Month,
    charges: Vec<(Arc<str>, u64)>,
    sent: bool,
    over: bool,
}

impl std::fmt::Debug for Treasury {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Treasury").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Treasury {
    /// Sets an amount aside, in the budget of the mesh and in the caller's own account. Where not enough of it is here,
    /// other peers are asked, for at most `patience`.
    ///
    /// # Errors
    /// Why it is not set aside. Nothing is left behind then.
    pub async fn hold(self: &Arc<Self>, amount: &Amount, patience: Duration) -> Result<Hold, Refused> {
        let until = Instant::now() + patience;
        let refused = |why, of_caller| Refused { why, needed: amount.nanos, of_caller };
        loop {
            let (short, account) = match self.try_hold(amount) {
                Ok((hold, written)) => {
                    match written.await {
                        // A ledger that was given up for lost meanwhile pays for nothing.
                        Ok(()) if self.holder() != hold.holder => continue,
                        Ok(()) => return Ok(hold),
                        Err(failure) => return Err(refused(Why::Trouble(failure), false)),
                    }
                }
                Err(TryHold::Not(why)) => return Err(refused(why, false)),
                Err(TryHold::Unfounded) => {
                    if !self.wait_for_founding(until).await {
                        return Err(refused(Why::Unfounded, false));
                    }
                    continue;
                }
                Err(TryHold::Short(short, account)) => (short, account),
            };
            if !self.fetch(&short, &account, until).await {
                let is_theirs = amount.of_caller.as_ref().is_some_and(|(own, _)| own.name == short.account);
                let why = self.why_short(amount, &account);
                let of_caller = is_theirs && matches!(why, Why::UsedUp { .. });
                return Err(refused(why, of_caller));
            }
        }
    }

    fn try_hold(
        self: &Arc<Self>,
        amount: &Amount,
    ) -> Result<(Hold, impl Future<Output = Result<(), String>> + Send + use<>), TryHold> {
        let mut state = self.lock();
        self.turn(&mut state);
        let terms = state.terms();
        let limit = terms.filter(|terms| terms.action != HardLimitAction::Warn).map(|terms| terms.limit);
        if let Some(trouble) = self.trouble(&state) {
            return Err(TryHold::Not(Why::Trouble(trouble)));
        }
        let budget = match state.ledger.founding(&state.mesh) {
            Some(founding) => Account::budget(founding),
            None if limit.is_some() => return Err(TryHold::Unfounded),
            // It is only counted: nobody has to wait for that.
            None => Account::unfounded(state.ledger.holder()),
        };
        let mut charges = vec![(budget, limit)];
        charges.extend(amount.of_caller.iter().map(|(account, limit)| (account.clone(), Some(*limit))));
        for (account, limit) in &charges {
            self.open_account(&mut state, account);
            let limit = limit.or(terms.map(|terms| terms.limit));
            limit.and_then(|limit| state.limits.insert(account.name.clone(), limit));
        }
        let asked: Vec<Charge> = charges
            .iter()
            .map(|(account, limit)| Charge { account: account.name.clone(), amount: amount.nanos, limit: *limit })
            .collect();
        let record = state.ledger.holding(&asked).map_err(|short| {
            let account = charges.into_iter().map(|(account, _)| account).find(|account| account.name == short.account);
            TryHold::Short(short, account.expect("it is one of those asked for"))
        })?;
        let Record::Held { id, charges } = &record else { unreachable!("that is what holding makes") };
        let (holder, charges) = (state.ledger.holder().clone(), charges.clone());
        let month = state.ledger.month();
        let hold = Hold { treasury: self.clone(), holder, id: *id, month, charges, sent: false, over: false };
        let written = self.commit(&mut state, &record);
        state.exhausted = false;
        self.assess(&state);
        Ok((hold, written))
    }

    pub(super) async fn wait_for_founding(&self, until: Instant) -> bool {
        loop {
            let news = self.news.notified();
            {
                let state = self.lock();
                if state.ledger.founding(&state.mesh).is_some() {
                    return true;
                }
            }
            if timeout_at(until, news).await.is_err() {
                return false;
            }
        }
    }

    fn why_short(&self, amount: &Amount, account: &Account) -> Why {
        let mut state = self.lock();
        let (left, away) = state.left_of(account);
        let is_budget = amount.of_caller.as_ref().is_none_or(|(own, _)| own.name != account.name);
        let why = match away.is_empty() || left < amount.nanos {
            // Whoever is there was asked and had no more: what was heard of them before is old.
            true => Why::UsedUp { needed: amount.nanos, left: left.min(amount.nanos.saturating_sub(1)) },
            false => Why::OutOfReach(away),
        };
        if is_budget && matches!(why, Why::UsedUp { .. }) {
            state.exhausted = true;
            self.assess(&state);
        }
        why
    }
}

enum TryHold {
    Not(Why),
    Unfounded,
    Short(Short, Account),
}

impl Hold {
    /// The call goes out now: from here on it costs something.
    pub fn sent(&mut self) {
        self.sent = true;
    }

    /// What was set aside, in billionths of a USD.
    pub fn nanos(&self) -> u64 {
        self.charges.first().map_or(0, |(_, nanos)| *nanos)
    }

    /// Whose ledger pays.
    pub fn holder(&self) -> &Holder {
        &self.holder
    }

    /// The accounts that pay, and what was set aside of each.
    pub fn charges(&self) -> &[(Arc<str>, u64)] {
        &self.charges
    }

    /// The month in which the call counts, whenever it is settled.
    pub fn month(&self) -> Month {
        self.month
    }

    /// The call is over, and cost so much, in billionths of a USD.
    pub fn settle(mut self, nanos: u64) {
        self.end(nanos);
    }

    fn end(&mut self, nanos: u64) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        let record = Record::Settled { id: self.id, spent: vec![nanos; self.charges.len()] };
        let mut state = self.treasury.lock();
        self.treasury.note(&mut state, &record);
        state.exhausted &= nanos >= self.nanos();
        self.treasury.assess(&state);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let nanos = if self.sent { self.nanos() } else { 0 };
        self.end(nanos);
    }
}

impl State {
    /// What is left of an account in the whole mesh, and who of those that hold some cannot be asked.
    pub(super) fn left_of(&self, account: &Account) -> (u64, Vec<String>) {
        let name = &account.name;
        let Some(limit) = self.limits.get(name).copied() else { return (0, Vec::new()) };
        let month = self.ledger.month();
        let (mut left, mut away) = (self.ledger.free(name, limit), Vec::new());
        for row in self.rows.values().filter(|row| row.account.name == *name && !self.is_forgotten(row)) {
            let free = crate::fleet::worth(row.share(month), limit).saturating_sub(row.used(month));
            left = left.saturating_add(free);
            if free > 0 && !self.living.contains_key(&row.holder) {
                away.push(row.by.clone());
            }
        }
        let root = &account.root;
        let is_unheard = root != self.ledger.holder() && !self.rows.contains_key(&(root.clone(), name.clone()));
        if is_unheard && !self.living.contains_key(root) && !self.ledger.is_lost(root) {
            // As long as nobody has told of it, whoever it was born with has it all.
            left = left.saturating_add(limit);
            away.push(self.name_of(root));
        }
        away.dedup();
        (left, away)
    }
}

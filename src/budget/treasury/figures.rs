//! How the money stands: a small view for routing, swapped whole whenever something changes, and a full one for people.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Events, State, Transfer, Treasury};
use crate::budget::usd;
use crate::fleet::{Account, HardLimitAction, Holder, Month, Row, Terms, worth};

/// How much of the budget is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Level {
    /// Less than the soft limit.
    #[default]
    Normal,
    /// More: cloud backends are avoided.
    SoftLimit,
    /// All of it.
    HardLimit,
}

impl Level {
    /// The word of headers and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Normal => "Normal",
            Level::SoftLimit => "SoftLimit",
            Level::HardLimit => "HardLimit",
        }
    }
}

/// What routing goes by. Amounts are in billionths of a USD, of this month, in the whole mesh as far as was heard.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Standing {
    /// What is held to, if there is a limit.
    pub terms: Option<Terms>,
    /// Spent.
    pub spent: u64,
    /// Set aside for calls under way.
    pub reserved: u64,
    /// Where that is.
    pub level: Level,
}

impl Standing {
    /// What is neither spent nor set aside.
    pub fn left(&self) -> u64 {
        self.terms.map_or(u64::MAX, |terms| terms.limit.saturating_sub(self.spent).saturating_sub(self.reserved))
    }

    /// Percent of the limit that was spent.
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    pub fn percent(&self) -> f64 {
        self.terms.map_or(0.0, |terms| self.spent as f64 / terms.limit as f64 * 100.0)
    }
}

/// The budget, for people and dashboards.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// The month, in UTC.
    pub month: Month,
    /// The first day of the next.
    pub next_reset: String,
    /// USD that may be spent in it; `None` = it is only counted.
    pub limit_usd: Option<f64>,
    /// USD spent.
    pub spent_usd: f64,
    /// USD set aside for calls under way.
    pub reserved_usd: f64,
    /// USD that are left.
    pub remaining_usd: Option<f64>,
    /// Percent of the limit that was spent.
    pub utilization_percent: f64,
    /// Where that is.
    pub status: Level,
    /// Percent of the limit from which cloud backends are avoided.
    pub soft_limit_percent: Option<f64>,
    /// What happens at the limit.
    pub hard_limit_action: Option<HardLimitAction>,
    /// Whether one budget is kept over a mesh.
    pub mesh_wide: bool,
    /// Who founded it, where somebody has.
    pub founded_by: Option<String>,
    /// Who holds which rights, by name.
    pub holders: Vec<HolderFigures>,
    /// The accounts of clients, by name.
    pub accounts: Vec<AccountFigures>,
    /// The last rights that passed to this peer or from it.
    pub transfers: Vec<Transfer>,
    /// What people should know.
    pub warnings: Vec<String>,
}

/// One holder of rights.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HolderFigures {
    /// The ledger.
    pub holder: Holder,
    /// The name of its peer.
    pub peer: String,
    /// `self`, `alive`, `away` or `forgotten`.
    pub state: &'static str,
    /// Its share, in USD.
    pub rights_usd: Option<f64>,
    /// Its share, in percent.
    pub rights_percent: f64,
    /// USD spent by it.
    pub spent_usd: f64,
    /// USD set aside by it.
    pub reserved_usd: f64,
}

/// One account of a client, over the whole mesh.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AccountFigures {
    /// Its name.
    pub account: String,
    /// Spent and set aside in this month, in its unit.
    pub used: u64,
}

impl Treasury {
    /// How the budget stands.
    pub fn standing(&self) -> Standing {
        **self.standing.load()
    }

    /// How often limits were reached here, and months began.
    pub fn events(&self) -> Events {
        self.events.get()
    }

    /// Sums up anew how the budget stands.
    pub(super) fn assess(&self, state: &State) {
        let mut standing = Standing { terms: state.terms(), ..Standing::default() };
        (standing.spent, standing.reserved) = state.ledger.spent_of_budgets();
        if state.ledger.founding(&state.mesh).is_some() {
            let others = if state.others.month == state.ledger.month() { state.others } else { Default::default() };
            standing.spent = standing.spent.saturating_add(others.spent);
            standing.reserved = standing.reserved.saturating_add(others.reserved);
        }
        standing.level = match standing.terms {
            None => Level::Normal,
            Some(terms) if standing.percent() >= 100.0 || state.exhausted && is_crumbs(standing.left(), terms) => {
                Level::HardLimit
            }
            Some(terms) if standing.percent() >= terms.soft_percent => Level::SoftLimit,
            Some(_) => Level::Normal,
        };
        let before = self.standing.load();
        if **before != standing {
            if standing.level > before.level && before.terms == standing.terms {
                self.events.rose(before.level, standing.level);
                tracing::warn!(target: "nexus::budget", event = "budget_level", level = standing.level.as_str(), spent_usd = usd(standing.spent), "the budget of this month reached {}", standing.level.as_str());
            }
            self.standing.store(standing.into());
        }
    }

    /// Everything there is to say of the budget.
    pub fn figures(&self) -> Figures {
        let mut state = self.lock();
        self.turn(&mut state);
        self.assess(&state);
        let standing = self.standing();
        let (month, limit) = (state.ledger.month(), standing.terms.map(|terms| terms.limit));
        let founding = state.ledger.founding(&state.mesh).cloned();
        Figures {
            month,
            next_reset: month.next().first_day(),
            limit_usd: limit.map(usd),
            spent_usd: usd(standing.spent),
            reserved_usd: usd(standing.reserved),
            remaining_usd: limit.map(|_| usd(standing.left())),
            utilization_percent: standing.percent(),
            status: standing.level,
            soft_limit_percent: standing.terms.map(|terms| terms.soft_percent),
            hard_limit_action: standing.terms.map(|terms| terms.action),
            mesh_wide: state.kind.is_keyed(),
            founded_by: founding.as_ref().map(|founding| self.name_in(&state, &founding.holder)),
            holders: founding.as_ref().map(|founding| self.holders(&state, founding, limit)).unwrap_or_default(),
            accounts: state.accounts_of_clients(&self.name),
            transfers: state.transfers.iter().cloned().collect(),
            warnings: self.warnings_of(&state),
        }
    }

    /// What people should know of the budget: one line each.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings_of(&self.lock())
    }

    fn name_in(&self, state: &State, holder: &Holder) -> String {
        if holder == state.ledger.holder() { self.name.clone() } else { state.name_of(holder) }
    }

    fn holders(&self, state: &State, founding: &crate::fleet::Founding, limit: Option<u64>) -> Vec<HolderFigures> {
        let (month, budget) = (state.ledger.month(), Account::budget(founding));
        let mut own = state.ledger.rows(&self.name);
        own.retain(|row| row.account.name == budget.name);
        let others = state.rows.values().filter(|row| row.account.name == budget.name);
        let mut holders: Vec<HolderFigures> = own
            .iter()
            .chain(others)
            .map(|row| {
                let share = if state.is_forgotten(row) { 0 } else { row.share(month) };
                let (spent, reserved) = if row.month == month { (row.spent, row.reserved) } else { (0, 0) };
                HolderFigures {
                    holder: row.holder.clone(),
                    peer: row.by.clone(),
                    state: state.state_of(row),
                    rights_usd: limit.map(|limit| usd(worth(share, limit))),
                    rights_percent: percent(share),
                    spent_usd: usd(spent),
                    reserved_usd: usd(reserved),
                }
            })
            .collect();
        holders.sort_by(|one, other| (&one.peer, &one.holder).cmp(&(&other.peer, &other.holder)));
        holders
    }

    fn warnings_of(&self, state: &State) -> Vec<String> {
        let mut warnings = Vec::new();
        warnings.extend(self.trouble(state).map(|trouble| format!("nothing is spent: {trouble}")));
        let cares = state.terms().is_some();
        if cares && state.ledger.founding(&state.mesh).is_none() && self.trouble(state).is_none() {
            warnings.push(
                "no peer has founded the budget of this mesh yet: where peers meet it happens by itself within 10 s; else run `nexus budget found`"
                    .to_owned(),
            );
        }
        if let (Some(rival), Some(ours)) = (&state.rival, state.ledger.founding(&state.mesh)) {
            warnings.push(format!(
                "the budget was founded twice while peers could not talk: {} counts, what was not spent of {} is void, and this month may cost what was spent of it besides",
                ours.id, rival.id
            ));
        }
        let clock = Month::at(self.clock.unix_seconds());
        if state.ledger.month() > clock {
            warnings.push(format!(
                "the ledger of this peer is in {}, its clock in {clock}: the clock was ahead, and until then nothing is spent anew. To begin anew without rights, stop this peer, move {} away, and hand the old rights on with `nexus mesh forget`",
                state.ledger.month(),
                self.file.display()
            ));
        }
        if let (Some(ours), Some(terms)) = (state.ledger.founding(&state.mesh), state.terms()) {
            let (month, budget) = (state.ledger.month(), Account::budget(ours));
            let own = state.ledger.rows(&self.name).into_iter().find(|row| row.account.name == budget.name);
            let waiting = own.map_or(0, |row| row.share(month.next()).saturating_sub(row.share(month)));
            if waiting > 0 {
                let (amount, next) = (usd(worth(waiting, terms.limit)), month.next());
                warnings.push(format!(
                    "{amount:.4} USD of the limit are of lost peers: this peer may spend them from {next} on"
                ));
            }
        }
        let differing = state.differing().len();
        if differing > 0 {
            let peers = if differing == 1 { "1 peer has" } else { &format!("{differing} peers have") };
            warnings.push(format!("{peers} another budget configured than this one: the stricter counts"));
        }
        warnings.extend(
            state
                .absurd
                .iter()
                .map(|(peer, absurdity)| format!("peer {peer} tells what cannot be: {absurdity}; it is ignored")),
        );
        for (lost, pending) in &state.claims {
            let missing = state.missing_witnesses(lost, pending);
            let names: Vec<String> = missing.iter().map(|holder| state.name_of(holder)).collect();
            warnings.push(format!(
                "the rights of {} pass on when these have agreed: {}",
                state.name_of(lost),
                names.join(", ")
            ));
        }
        warnings
    }
}

/// Whether so little is left that hardly any call can be made of it.
fn is_crumbs(left: u64, terms: Terms) -> bool {
    left < terms.limit / 100
}

impl State {
    fn state_of(&self, row: &Row) -> &'static str {
        match row.holder {
            _ if row.holder == *self.ledger.holder() => "self",
            _ if self.is_forgotten(row) => "forgotten",
            _ if self.living.contains_key(&row.holder) => "alive",
            _ => "away",
        }
    }

    fn accounts_of_clients(&self, name: &str) -> Vec<AccountFigures> {
        let month = self.ledger.month();
        let mut used: BTreeMap<String, u64> = BTreeMap::new();
        for row in self.ledger.rows(name).iter().chain(self.rows.values()) {
            if !row.account.is_budget() && !row.account.is_rate() {
                let sum = used.entry(row.account.name.to_string()).or_default();
                *sum = sum.saturating_add(row.used(month));
            }
        }
        used.into_iter().map(|(account, used)| AccountFigures { account, used }).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn percent(parts: u64) -> f64 {
    parts as f64 / crate::fleet::WHOLE as f64 * 100.0
}

//! What requests may cost, and what they did: prices, the ledger of this peer, and the rights that pass between peers. It
//! knows no request and no backend: whoever calls a vendor sets money aside here first. `docs/BUDGET.md` says why the
//! limit holds though peers cannot talk.

mod config;
mod journal;
mod ledger;
pub mod price;
mod rate;
mod treasury;

pub use config::{BudgetChange, Config, NANOS_PER_USD, laxer, nanos, usd};
pub use rate::{Alone, Limited, Rates};
pub use treasury::{
    AccountFigures, Amount, Events, Figures, ForgetError, Forgotten, Heard, Hold, HolderFigures, Lender, Level,
    MeshKind, Refused, Setup, Standing, Transfer, Treasury, Why,
};

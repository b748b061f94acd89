//! What routing knows of money: what a call may cost at a place, and what is left to spend. It reckons no prices and keeps
//! no ledger; whether money is really there is found out when it is set aside.

use crate::fleet::HardLimitAction;

/// What a call may cost at a place, in billionths of a USD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fee {
    /// Nothing: it runs on hardware of the fleet's own.
    #[default]
    Free,
    /// Nobody knows: its model has no known price.
    Unknown,
    /// At most so much.
    AtMost(u64),
}

/// What is left to spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    /// Billionths of a USD that nobody in the mesh has spent or set aside, as far as was heard.
    pub left: u64,
    /// So much was spent that places that cost are avoided.
    pub is_short: bool,
    /// All of it was spent.
    pub is_used_up: bool,
    /// What happens then.
    pub action: HardLimitAction,
    /// Nobody knows yet what whoever asks may spend.
    pub is_strangers: bool,
}

impl Money {
    /// Whether more than there is may not be spent.
    pub(super) fn is_limited(&self) -> bool {
        self.action != HardLimitAction::Warn
    }
}

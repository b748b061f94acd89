//! What was asked, as far as routing goes by it. It names no backend and knows none.

use super::money::{Fee, Money};
use super::world::Candidate;
use crate::env::Dice;
use crate::exchange::Endpoint;
use crate::fleet::{Needs, Tier, Zone};

/// What was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intent {
    /// What is asked for; `None` = what every backend has.
    pub endpoint: Option<Endpoint>,
    /// What the body asks of a model.
    pub needs: Needs,
    /// The beginning of its prompt, where there is one to hold on to.
    pub prompt: Option<Prompt>,
    /// Whether a lower tier may answer where none of the right one can.
    pub mode: TierMode,
    /// What the entry peer demanded, for a request that was forwarded. No mode softens it.
    pub floors: Option<Floors>,
    /// What the entry peer's policies let it cost at most, for a request that was forwarded: billionths of a USD.
    pub most: Option<u64>,
    /// What is left to spend; `None` = there is no limit.
    pub money: Option<Money>,
    /// Whether the request may go on to another peer.
    pub may_hop: bool,
    /// Whether other models may answer.
    pub may_fall_back: bool,
}

impl Intent {
    /// Whether a place costs, and money is short.
    pub(super) fn avoids(&self, candidate: &Candidate) -> bool {
        candidate.fee != Fee::Free && self.money.is_some_and(|money| money.is_short)
    }
}

/// The beginning of a prompt, as far as routing goes by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// What a place is chosen by, where nobody has read it yet.
    pub key: u64,
    /// How long it is, in bytes of canonical text.
    pub bytes: u64,
    /// The client has named the conversation.
    pub named: bool,
}

/// What happens where no backend of the demanded tier is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TierMode {
    /// The request is refused.
    #[default]
    Strict,
    /// Lower tiers may answer, and the answer says so.
    Flexible,
}

/// The least that a place must be to serve a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Floors {
    /// Where the prompt may be read.
    pub zone: Zone,
    /// How capable the backend must be.
    pub tier: Option<Tier>,
}

impl Floors {
    /// Of each the stricter.
    #[must_use]
    pub fn stricter(self, other: Floors) -> Floors {
        Floors { zone: self.zone.max(other.zone), tier: self.tier.max(other.tier) }
    }
}

/// What a plan takes from chance: given the same, it is the same.
pub struct Chance<'a> {
    /// How many plans came before; `round_robin` goes by it.
    pub turn: u64,
    /// For `random`, and for near ties of `adaptive`.
    pub dice: &'a mut Dice,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_floors_the_stricter_wins_in_each_respect() {
        let tier = |number| Tier::try_from(number).ok();
        let private = Floors { zone: Zone::Restricted, tier: None };
        let capable = Floors { zone: Zone::Open, tier: tier(3) };
        let both = Floors { zone: Zone::Restricted, tier: tier(3) };
        assert_eq!(private.stricter(capable), both);
        assert_eq!(capable.stricter(private), both);
        assert_eq!(both.stricter(Floors { zone: Zone::Open, tier: tier(5) }).tier, tier(5));
    }
}

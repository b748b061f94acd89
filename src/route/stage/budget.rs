//! `budget`: whether a call may cost what it costs there. Where nothing more may be spent at all, places that cost nothing
//! are rejected, too, if the operator wants it so.

use crate::fleet::HardLimitAction;
use crate::route::money::{Fee, Money};
use crate::route::rejection::Why;
use crate::route::world::Candidate;

/// `most` is what the policies let one request cost.
pub(in crate::route) fn objection(candidate: &Candidate, money: Option<Money>, most: Option<u64>) -> Option<Why> {
    if money.is_some_and(|money| money.is_used_up && money.action == HardLimitAction::BlockAll) {
        return Some(Why::UsedUp);
    }
    if money.is_some_and(|money| money.is_strangers) && candidate.fee != Fee::Free {
        return Some(Why::Stranger);
    }
    let limited = money.filter(Money::is_limited);
    match candidate.fee {
        Fee::Free => None,
        Fee::Unknown => (limited.is_some() || most.is_some()).then_some(Why::NoPrice),
        Fee::AtMost(needed) => {
            if let Some(most) = most.filter(|most| needed > *most) {
                return Some(Why::TooDear { needed, most });
            }
            let money = limited?;
            if money.is_used_up {
                return Some(Why::UsedUp);
            }
            (needed > money.left).then_some(Why::Short { needed, left: money.left })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Zone;
    use crate::route::testing::candidate;

    #[test]
    fn what_costs_is_rejected_where_money_is_short_and_what_is_free_only_where_all_is_blocked() {
        use HardLimitAction::{BlockAll, BlockCloud, Warn};
        let money =
            |left, is_used_up, action| Some(Money { left, is_short: true, is_used_up, action, is_strangers: false });
        let of = |fee, money, most| {
            let mut candidate = candidate("b", Zone::Open, 1);
            candidate.fee = fee;
            objection(&candidate, money, most)
        };
        let strangers = Some(Money { is_strangers: true, ..money(9, false, Warn).expect("money") });
        for (fee, money, most, expected) in [
            (Fee::Free, strangers, None, None),
            (Fee::AtMost(5), strangers, None, Some(Why::Stranger)),
            (Fee::Unknown, strangers, None, Some(Why::Stranger)),
            (Fee::Free, money(0, true, BlockCloud), Some(0), None),
            (Fee::Free, money(0, true, BlockAll), None, Some(Why::UsedUp)),
            (Fee::Free, money(0, false, BlockAll), None, None),
            (Fee::AtMost(5), None, None, None),
            (Fee::AtMost(5), money(5, false, BlockCloud), None, None),
            (Fee::AtMost(5), money(4, false, BlockCloud), None, Some(Why::Short { needed: 5, left: 4 })),
            (Fee::AtMost(5), money(4, true, BlockCloud), None, Some(Why::UsedUp)),
            (Fee::AtMost(5), money(0, true, Warn), None, None),
            (Fee::AtMost(5), None, Some(5), None),
            (Fee::AtMost(5), None, Some(4), Some(Why::TooDear { needed: 5, most: 4 })),
            (Fee::Unknown, None, None, None),
            (Fee::Unknown, None, Some(4), Some(Why::NoPrice)),
            (Fee::Unknown, money(9, false, Warn), None, None),
            (Fee::Unknown, money(9, false, BlockCloud), None, Some(Why::NoPrice)),
        ] {
            assert_eq!(of(fee, money, most), expected, "{fee:?} {money:?} {most:?}");
        }
    }
}

//! `ledger`: whose ledger a peer keeps, the founding it goes by, what it holds to, and whom it has given up for lost.
//! `row/HOLDER/ACCOUNT`: what a holder of rights says of itself in one account; a peer tells its own, and the last ones of
//! holders that are not there.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Dropped, read, write};
use crate::fleet::{Account, Founding, Holder, Row, Terms};

pub(in crate::mesh) const KEY: &str = "ledger";
pub(super) const ROW: &str = "row";

/// Lost holders of one peer that are told and heard of.
const MAX_LOST: usize = 200;

/// What a peer tells of its ledger as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::mesh) struct LedgerFact {
    /// Whose ledger it is.
    pub(in crate::mesh) holder: Holder,
    /// The founding that it goes by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::mesh) founding: Option<Founding>,
    /// What it is configured to hold to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::mesh) terms: Option<Terms>,
    /// Whose rights it lets nobody but their heirs have.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(in crate::mesh) lost: BTreeSet<Holder>,
}

pub(in crate::mesh) fn encode(fact: &LedgerFact) -> Option<String> {
    write(fact)
}

pub(super) fn decode(value: &str) -> Result<LedgerFact, Dropped> {
    let mut fact: LedgerFact = read(value)?;
    if !fact.holder.is_sound() {
        return Err(Dropped::Malformed);
    }
    while fact.lost.len() > MAX_LOST {
        fact.lost.pop_last();
    }
    Ok(fact)
}

pub(in crate::mesh) fn encode_row(row: &Row) -> Option<(String, String)> {
    Some((format!("{ROW}/{}/{}", row.holder, row.account.name), write(row)?))
}

pub(super) fn decode_row(rest: &str, value: &str) -> Result<Row, Dropped> {
    let (holder, account) = rest.split_once('/').ok_or(Dropped::Malformed)?;
    if account.len() > Account::MAX {
        return Err(Dropped::TooLong);
    }
    let row: Row = read(value)?;
    let is_fit = row.holder.is_sound() && row.by.len() <= super::MAX_NAME && !row.by.chars().any(char::is_control);
    if !is_fit || row.holder.as_str() != holder || &*row.account.name != account {
        return Err(Dropped::Malformed);
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{Fact, decode};
    use super::*;
    use crate::fleet::{Gift, HardLimitAction};

    fn row() -> Row {
        let month = "2026-11".parse().expect("a month");
        let (a, b) = (Holder::named("a1"), Holder::named("b2"));
        Row {
            holder: a.clone(),
            by: "atelier".to_owned(),
            account: Account { name: "key/k1/usd".into(), root: a.clone() },
            version: 7,
            month,
            spent: 5,
            reserved: 6,
            given: BTreeMap::from([(b.clone(), Gift { parts: 8, month })]),
            taken: BTreeMap::from([(b.clone(), 9)]),
            inherited: BTreeMap::new(),
        }
    }

    #[test]
    fn they_read_back_as_written() {
        let (key, value) = encode_row(&row()).expect("short");
        assert_eq!(key, "row/a1/key/k1/usd");
        assert_eq!(decode(&key, &value), Ok(Fact::Row(row().into())));
        let fact = LedgerFact {
            holder: Holder::named("a1"),
            founding: Some(Founding { at_ms: 3, id: "f".to_owned(), holder: Holder::named("a1") }),
            terms: Some(Terms { limit: 5, soft_percent: 75.0, action: HardLimitAction::BlockCloud }),
            lost: BTreeSet::from([Holder::named("c3")]),
        };
        let value = encode(&fact).expect("short");
        assert_eq!(decode(KEY, &value), Ok(Fact::Ledger(fact)));
    }

    #[test]
    fn a_row_of_another_than_its_key_says_is_dropped() {
        let (key, value) = encode_row(&row()).expect("short");
        for other in ["row/b2/key/k1/usd", "row/a1/key/k2/usd", "row/a1", "row/"] {
            assert_eq!(decode(other, &value), Err(Dropped::Malformed), "{other}");
        }
        assert_eq!(decode(&key, "{}"), Err(Dropped::Malformed));
        assert_eq!(decode(KEY, r#"{"holder":"no holder!"}"#), Err(Dropped::Malformed));
        assert!(decode(KEY, r#"{"holder":"a1","mood":"good"}"#).is_ok());
    }
}

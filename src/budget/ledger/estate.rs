//! What a lost holder leaves, in one account. Rows of the living are exact, for whoever has promised takes nothing more from
//! the lost one and gives it nothing more. Between two that are both lost nobody can be asked: whose estate is reckoned
//! first decides what had passed between them, and the other goes by that. So a gift is in one of two estates, never in both.

use std::collections::{BTreeMap, BTreeSet};

use crate::fleet::{Gift, Holder, Month, Row, WHOLE};

/// What is left of one account.
pub(super) struct Estate {
    row: Row,
    rooted: u64,
    /// Rows of those that the lost one had inherited from.
    before: Vec<Row>,
}

impl Estate {
    /// What `lost` leaves by all rows of one account that are known; none where they do not tell of it.
    pub(super) fn of<'r>(
        lost: &Holder,
        rows: impl Iterator<Item = &'r Row>,
        is_lost: impl Fn(&Holder) -> bool,
    ) -> Option<Self> {
        let rows: Vec<&Row> = rows.collect();
        let (own, others): (Vec<&Row>, Vec<&Row>) = rows.iter().copied().partition(|row| row.holder == *lost);
        let last = own.iter().max_by_key(|row| row.version);
        let account = last.or(others.first()).map(|row| row.account.clone())?;
        let final_of = |holder: &Holder| others.iter().find(|row| row.holder == *holder && row.is_last());
        let mut estate = Estate {
            rooted: if account.root == *lost { WHOLE } else { 0 },
            row: Row {
                holder: lost.clone(),
                by: last.map(|row| row.by.clone()).unwrap_or_default(),
                account,
                version: Row::LAST,
                month: last.map(|row| row.month).unwrap_or_default(),
                spent: last.map_or(0, |row| row.spent),
                reserved: last.map_or(0, |row| row.reserved),
                given: BTreeMap::new(),
                taken: BTreeMap::new(),
                inherited: BTreeMap::new(),
            },
            before: Vec::new(),
        };
        let partners: BTreeSet<&Holder> = own
            .iter()
            .flat_map(|row| row.given.keys().chain(row.taken.keys()))
            .chain(others.iter().map(|row| &row.holder))
            .filter(|holder| *holder != lost)
            .collect();
        for holder in partners {
            let theirs: Vec<&&Row> = others.iter().filter(|row| row.holder == *holder).collect();
            let gave = most(theirs.iter().filter_map(|row| row.given.get(lost).copied()));
            let told =
                most(own.iter().filter_map(|row| Some(Gift { parts: *row.taken.get(holder)?, month: row.month })));
            let came = match (is_lost(holder), final_of(holder)) {
                (_, Some(last)) => last.given.get(lost).copied().unwrap_or_default(),
                (true, None) => Gift::default(),
                (false, None) => most([gave, told]),
            };
            let given = most(own.iter().filter_map(|row| row.given.get(holder).copied()));
            let took =
                most(theirs.iter().filter_map(|row| Some(Gift { parts: *row.taken.get(lost)?, month: row.month })));
            let went = match final_of(holder) {
                Some(last) => {
                    Gift { parts: last.taken.get(lost).copied().unwrap_or(0), month: took.month.max(given.month) }
                }
                None => most([given, took]),
            };
            estate.passed(holder, came, went);
        }
        let inherited: BTreeMap<&Holder, Gift> =
            own.iter().flat_map(|row| row.inherited.iter().map(|(of, gift)| (of, *gift))).collect();
        for (of, gift) in inherited {
            // Without the last word of that estate nobody knows what of it others have.
            if let Some(last) = final_of(of) {
                estate.row.inherited.insert(of.clone(), gift);
                estate.before.push((**last).clone());
            }
        }
        let mut open = names_in(&rows);
        open.retain(|holder| *holder != lost && is_lost(holder) && final_of(holder).is_none());
        for holder in &open {
            estate.passed_on(holder, &rows, &is_lost);
        }
        let known = |holder: &Holder| {
            let gave = rows.iter().filter(|row| row.holder == *holder).filter_map(|row| row.given.get(lost).copied());
            let told = own.iter().filter_map(|row| Some(Gift { parts: *row.taken.get(holder)?, month: row.month }));
            most(gave.chain(told)).parts
        };
        if let Some(from) = open.into_iter().max_by_key(|holder| (known(holder), estate.row.account.root == **holder)) {
            estate.must_have_had_from(from);
        }
        Some(estate)
    }

    /// What another that is lost has passed on, and cannot have had from anybody who is known, it may have had from here.
    fn passed_on(&mut self, other: &Holder, rows: &[&Row], is_lost: impl Fn(&Holder) -> bool) {
        let rooted = if self.row.account.root == *other { WHOLE } else { 0 };
        let (mut came, mut went) = (rooted, 0_u64);
        let own = rows.iter().find(|row| row.holder == *other);
        for row in rows.iter().filter(|row| row.is_last() || !is_lost(&row.holder)) {
            came = came.saturating_add(row.given.get(other).map_or(0, |gift| gift.parts));
            let told = own.and_then(|own| own.given.get(&row.holder)).map_or(0, |gift| gift.parts);
            let took = row.taken.get(other).copied().unwrap_or(0);
            went = went.saturating_add(if row.is_last() { took } else { took.max(told) });
        }
        let here = self.row.given.get(other).copied().unwrap_or_default();
        let missing = went.saturating_sub(came).saturating_sub(here.parts).min(self.parts());
        if missing > 0 {
            self.row.given.insert(other.clone(), Gift { parts: here.parts + missing, ..here });
        }
    }

    fn passed(&mut self, other: &Holder, came: Gift, went: Gift) {
        if came.parts > 0 {
            self.row.taken.insert(other.clone(), came.parts);
            self.row.month = self.row.month.max(came.month);
        }
        if went.parts > 0 {
            self.row.given.insert(other.clone(), went);
        }
    }

    /// What was passed on and came from nobody who is known came from another that is lost: it will be missing there.
    fn must_have_had_from(&mut self, other: &Holder) {
        let missing = self.gave().saturating_sub(self.has());
        if missing > 0 {
            self.row.taken.insert(other.clone(), missing);
        }
    }

    fn gave(&self) -> u64 {
        self.row.given.values().map(|gift| gift.parts).fold(0, u64::saturating_add)
    }

    fn has(&self) -> u64 {
        let inherited = self.row.inherited.values().map(|gift| gift.parts);
        self.row.taken.values().copied().chain(inherited).fold(self.rooted, u64::saturating_add)
    }

    /// Parts that pass.
    pub(super) fn parts(&self) -> u64 {
        self.has().saturating_sub(self.gave()).min(WHOLE)
    }

    /// The month before which they cannot count: `now` on the operator's word, who knows what was spent.
    pub(super) fn not_before(&self, now: bool) -> Month {
        let inherited = self.row.inherited.values().map(|gift| gift.month).max().unwrap_or_default();
        inherited.max(if now { self.row.month } else { self.row.month.next() })
    }

    /// The last word on this account, and what it rests on. What is told to have been given is never more than there was.
    pub(super) fn remains(mut self) -> Vec<Row> {
        let mut left = self.has();
        for gift in self.row.given.values_mut() {
            gift.parts = gift.parts.min(left);
            left -= gift.parts;
        }
        self.row.given.retain(|_, gift| gift.parts > 0);
        self.before.push(self.row);
        self.before
    }
}

fn names_in<'r>(rows: &[&'r Row]) -> BTreeSet<&'r Holder> {
    let of = |row: &'r Row| row.given.keys().chain(row.taken.keys()).chain([&row.holder, &row.account.root]);
    rows.iter().flat_map(|row| of(row)).collect()
}

fn most(gifts: impl IntoIterator<Item = Gift>) -> Gift {
    gifts.into_iter().fold(Gift::default(), |most, gift| Gift {
        parts: most.parts.max(gift.parts),
        month: most.month.max(gift.month),
    })
}

#[cfg(test)]
mod tests;

//! What must be true: after every step, and when everything works again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nexus::fleet::{Holder, Month, WHOLE};

use super::machine::State;
use super::world::{World, lock};

/// What a peer says of one holder: spent, set aside, and its share in percent.
type Told = (f64, f64, f64);

impl World {
    /// What must be true always.
    pub(super) fn check(&mut self) {
        for at in 0..self.machines.len() {
            self.look_at(at);
        }
        lock(&self.book).check_limits();
        self.check_shares();
    }

    /// *The shares* of all that are there together are at most the whole, and *at most one heir* inherits from each that is lost.
    fn check_shares(&mut self) {
        let mut heirs: BTreeMap<(&Holder, &Arc<str>), BTreeSet<&Holder>> = BTreeMap::new();
        for ((holder, account), row) in &self.rows {
            for lost in row.inherited.keys() {
                heirs.entry((lost, account)).or_default().insert(holder);
            }
        }
        let mut broken: Vec<String> = heirs
            .iter()
            .filter(|(_, heirs)| heirs.len() > 1)
            .map(|((lost, account), heirs)| format!("HEIRS: {heirs:?} inherit {account} from {lost}"))
            .collect();
        let inherited: BTreeSet<&Holder> = heirs.keys().map(|(lost, _)| *lost).collect();
        let never: Month = "9999-12".parse().expect("a month");
        let mut shares: BTreeMap<&Arc<str>, u64> = BTreeMap::new();
        let voided = lock(&self.book).voided().clone();
        // Of those that are gone for good somebody may still inherit; until then nobody has their shares.
        let there = self.extant();
        for ((holder, account), row) in self.rows.iter().filter(|((holder, _), _)| there.contains(holder)) {
            if !inherited.contains(holder) && !voided.contains(holder) {
                *shares.entry(account).or_default() += row.share(never);
            }
        }
        let more = shares.iter().filter(|(_, share)| **share > WHOLE);
        broken.extend(more.map(|(account, share)| format!("SHARES: {share} parts of {account} are held")));
        lock(&self.book).broken.extend(broken);
    }

    /// How many estates passed on, and how many have given to how many.
    pub(super) fn count_transfers(&mut self) {
        let lost: BTreeSet<&Holder> = self.rows.values().flat_map(|row| row.inherited.keys()).collect();
        let ways: usize = self.rows.values().map(|row| row.given.len()).sum();
        let months: BTreeSet<Month> = self.rows.values().map(|row| row.month).collect();
        let counted = [("estates", lost.len()), ("ways of gifts", ways), ("months", months.len())];
        self.counts.extend(counted.map(|(what, count)| (what, count as u64)));
    }

    /// *The same*: peers that hear each other show the same.
    pub(super) fn check_same(&mut self) {
        let mut broken = Vec::new();
        let mut first: Option<(usize, BTreeMap<Holder, Told>)> = None;
        for machine in self.machines.iter().filter(|machine| machine.state == State::Up) {
            let Some(treasury) = &machine.treasury else { continue };
            let figures = treasury.figures();
            let shown: BTreeMap<Holder, Told> = figures
                .holders
                .into_iter()
                .map(|holder| (holder.holder, (holder.spent_usd, holder.reserved_usd, holder.rights_percent)))
                .filter(|(_, told)| *told != (0.0, 0.0, 0.0))
                .collect();
            match &first {
                None => first = Some((machine.number, shown)),
                Some((other, expected)) if *expected != shown => {
                    broken.push(format!("SAME: m{} shows {shown:?}, m{other} shows {expected:?}", machine.number));
                }
                Some(_) => {}
            }
        }
        lock(&self.book).broken.extend(broken);
    }
}

//! Forgetting a holder that is lost for good, so that its rights can be used again. Nobody inherits unless every holder
//! that is known has promised, for ever and on disk, to let nobody else inherit: on two sides of a split not both can
//! succeed. An heir that has not succeeded yet may yield to an older claim, so that two do not stand in each other's way.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::estate::Estate;
use super::{Carried, Ledger, Record};
use crate::fleet::{Holder, Month, Row};

/// A holder claims the rights of others that are lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// Who is lost for good.
    pub(crate) lost: Holder,
    /// Who claims.
    pub(crate) heir: Holder,
    /// When, in milliseconds since 1970: of two claims the older wins.
    pub(crate) at_ms: u64,
    /// Those that have promised: none of them will ever inherit, and what others have promised to them is free again.
    pub(crate) yielded: BTreeSet<Holder>,
}

/// What a holder answers to a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ack {
    /// Who has promised.
    pub(crate) holder: Holder,
    /// Every row that it knows: its own, and those it has heard.
    pub(crate) rows: Vec<Row>,
    /// Every holder that it has ever met.
    pub(crate) met: BTreeSet<Holder>,
}

/// Why a claim is not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoPromise {
    /// It was promised to somebody else before.
    PromisedTo(Holder),
    /// It is this holder itself that is said to be lost.
    StillHere,
    /// Whoever claims is being forgotten, or was.
    HeirIsLost,
}

impl Ledger {
    /// Whether this holder has promised that somebody may inherit from `holder`, or has inherited from it.
    pub(crate) fn is_lost(&self, holder: &Holder) -> bool {
        self.carried.promises.contains_key(holder) || self.carried.heirlooms.contains_key(holder)
    }

    /// To whom it has promised what of `lost` is left.
    pub(crate) fn promised_to(&self, lost: &Holder) -> Option<&Holder> {
        self.carried.promises.get(lost)
    }

    /// Whether it claims the rights of `lost` itself, and does not have them yet.
    pub(crate) fn is_claiming(&self, lost: &Holder) -> bool {
        self.carried.promises.get(lost) == Some(&self.carried.holder) && !self.carried.heirlooms.contains_key(lost)
    }

    /// Those whose rights it claims and does not have yet.
    pub(crate) fn claims(&self) -> impl Iterator<Item = &Holder> {
        self.carried.promises.keys().filter(|lost| self.is_claiming(lost))
    }

    /// The records with which this holder promises what `claim` asks for; none where it has done so. `own_at_ms` is when it
    /// claimed the same itself.
    ///
    /// # Errors
    /// Why it does not.
    pub(crate) fn promising(&self, claim: &Claim, own_at_ms: Option<u64>) -> Result<Vec<Record>, NoPromise> {
        let me = &self.carried.holder;
        if claim.lost == *me {
            return Err(NoPromise::StillHere);
        }
        if self.is_lost(&claim.heir) {
            return Err(NoPromise::HeirIsLost);
        }
        let promised = Record::Promised { lost: claim.lost.clone(), heir: claim.heir.clone() };
        match self.promised_to(&claim.lost) {
            None => Ok(vec![promised]),
            Some(heir) if *heir == claim.heir => Ok(Vec::new()),
            Some(heir) if heir == me && self.is_claiming(&claim.lost) => {
                let mine = own_at_ms.map(|at_ms| (at_ms, me));
                if mine.is_some_and(|mine| mine < (claim.at_ms, &claim.heir)) {
                    return Err(NoPromise::PromisedTo(me.clone()));
                }
                Ok(vec![Record::Yielded { lost: claim.lost.clone() }, promised])
            }
            Some(heir) if claim.yielded.contains(heir) => Ok(vec![promised]),
            Some(heir) => Err(NoPromise::PromisedTo(heir.clone())),
        }
    }

    /// Who has to promise before this holder may inherit from `lost`: everybody who is known, but for those who are lost.
    pub(crate) fn witnesses<'r>(
        &self,
        mesh: &str,
        lost: &Holder,
        rows: impl Iterator<Item = &'r Row>,
    ) -> BTreeSet<Holder> {
        let mut witnesses: BTreeSet<Holder> = self.met(mesh).cloned().collect();
        for row in rows {
            let others = row.given.keys().chain(row.taken.keys()).chain([&row.account.root, &row.holder]);
            witnesses.extend(others.cloned());
        }
        witnesses.extend(self.founding(mesh).map(|founding| founding.holder.clone()));
        witnesses.extend(self.carried.promises.values().cloned());
        let Carried { holder: me, former, .. } = &self.carried;
        witnesses.retain(|holder| holder != lost && holder != me && !former.contains(holder) && !self.is_lost(holder));
        witnesses
    }

    /// The record with which this holder inherits from `lost`, whom all witnesses have promised it. `rows` are all that any
    /// of them knows. It counts from the month after `seen` on, or at once: for until then `lost` may have spent what nobody
    /// heard of. See `estate` for what passes.
    pub(crate) fn inheriting(&self, lost: &Holder, rows: &[&Row], seen: Month, now: bool) -> Record {
        let mut from = if now { self.carried.month } else { self.carried.month.max(seen).next() };
        let names: BTreeSet<&Arc<str>> = rows.iter().map(|row| &row.account.name).collect();
        let (mut parts, mut remains) = (Vec::with_capacity(names.len()), Vec::with_capacity(names.len()));
        for name in names {
            let of_account = rows.iter().copied().filter(|row| row.account.name == *name);
            let Some(estate) = Estate::of(lost, of_account, |holder| self.is_lost(holder)) else { continue };
            from = from.max(estate.not_before(now));
            parts.push((name.clone(), estate.parts()));
            remains.extend(estate.remains());
        }
        Record::Inherited { lost: lost.clone(), parts, from, remains }
    }
}

impl Ledger {
    /// From which month on what it inherited from `lost` counts.
    pub(crate) fn inherited_from(&self, lost: &Holder) -> Option<Month> {
        self.carried.heirlooms.get(lost).map(|heirloom| heirloom.from)
    }

    /// Everybody whose rights it lets nobody but an heir have.
    pub(crate) fn lost(&self) -> BTreeSet<Holder> {
        self.carried.promises.keys().chain(self.carried.heirlooms.keys()).cloned().collect()
    }

    /// The last rows of those whose rights passed to it, as they were counted: they are told for ever, so that whoever
    /// inherits from others counts nothing twice.
    pub(crate) fn remains(&self) -> impl Iterator<Item = &Row> {
        self.carried.heirlooms.values().flat_map(|heirloom| &heirloom.remains)
    }

    /// Whether no gift is on its way to the disk.
    pub(crate) fn has_nothing_on_its_way(&self) -> bool {
        self.promised.is_empty()
    }
}

//! What others tell of their ledgers: rows, foundings, what they hold to, and whom they have given up for lost. Whatever
//! cannot be true is left aside, and named.

use std::collections::BTreeSet;
use std::sync::Arc;

use tracing::{info, warn};

use super::{Living, Others, State, Treasury};
use crate::budget::ledger::Record;
use crate::fleet::{Account, LedgerFacts, PeerId, Row, Terms};

/// What one peer tells.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Who.
    pub peer: PeerId,
    /// Its name, for people.
    pub name: String,
    /// Whether it is there now.
    pub living: bool,
    /// What it tells.
    pub facts: Arc<LedgerFacts>,
}

/// Rows of holders that are not there which are remembered.
const ABSENT: usize = 4096;

impl Treasury {
    /// Takes in what every peer of the mesh `tag` tells. What was heard in a mesh that this peer has left is nothing to it.
    pub fn hear_in(&self, tag: &str, heard: &[Heard]) {
        let is_ours = *self.lock().mesh == *tag;
        if is_ours {
            self.hear(heard);
        }
    }

    /// Takes in what every peer tells that is known. Once a round of gossip, or when something has changed.
    pub fn hear(&self, heard: &[Heard]) {
        let mut state = self.lock();
        if !state.kind.is_keyed() {
            return;
        }
        let before = (state.ledger.founding(&state.mesh).cloned(), state.living.len());
        state.living = heard
            .iter()
            .filter(|heard| heard.living)
            .map(|Heard { peer, facts, .. }| {
                let terms = facts.terms.filter(Terms::is_sound);
                let (founding, lost) = (facts.founding.clone(), facts.lost.clone());
                let living = Living { peer: peer.clone(), terms, founding, lost };
                (facts.holder.clone(), living)
            })
            .collect();
        state.absurd.clear();
        for one in heard {
            self.hear_one(&mut state, one);
        }
        self.found_if_nobody_did(&mut state);
        state.others = state.sum_of_others();
        let has_news = before != (state.ledger.founding(&state.mesh).cloned(), state.living.len());
        self.assess(&state);
        drop(state);
        if has_news {
            self.news.notify_waiters();
        }
    }

    fn hear_one(&self, state: &mut State, heard: &Heard) {
        let Heard { name, living, facts, .. } = heard;
        if !facts.holder.is_sound() || facts.holder == *state.ledger.holder() {
            return;
        }
        let mesh = state.mesh.clone();
        if *living {
            if let Some(record) = state.ledger.meeting(&mesh, &facts.holder) {
                self.note(state, &record);
            }
            if facts.lost.contains(state.ledger.holder()) {
                self.begin_anew(state);
            }
            self.abandon_claim(state, facts);
            let terms = facts.terms.filter(Terms::is_sound);
            if let Some(record) = state.ledger.agreeing(&mesh, &facts.holder, terms) {
                self.note(state, &record);
            }
        }
        self.hear_founding(state, name, facts);
        for row in &facts.rows {
            if let Err(absurdity) = self.hear_row(state, row, row.holder == facts.holder) {
                state.absurd.insert(name.clone(), absurdity);
            }
        }
    }

    fn hear_founding(&self, state: &mut State, name: &str, facts: &LedgerFacts) {
        let Some(theirs) = facts.founding.as_ref().filter(|theirs| theirs.holder.is_sound()) else { return };
        let mesh = state.mesh.clone();
        let ours = state.ledger.founding(&mesh).cloned();
        if ours.as_ref() == Some(theirs) {
            return;
        }
        if let Some(ours) = &ours {
            // What was founded twice stays worth knowing: the younger's unspent rights are void.
            let younger = theirs.max(ours).clone();
            if state.rival.as_ref() != Some(&younger) {
                warn!(target: "nexus::budget", event = "two_foundings", peer = name, "the budget of this mesh was founded twice: what the younger has not spent is void");
                state.rival = Some(younger);
            }
        }
        if let Some(record) = state.ledger.adopting(&mesh, theirs) {
            self.note(state, &record);
            let account = Account::budget(theirs);
            self.open_account(state, &account);
            info!(target: "nexus::budget", event = "budget_joined", founding = theirs.id, peer = name, "this peer goes by the budget of its mesh");
        }
    }

    /// # Errors
    /// Why it cannot be true.
    fn hear_row(&self, state: &mut State, row: &Row, is_own: bool) -> Result<(), String> {
        if row.holder == *state.ledger.holder() {
            return Ok(());
        }
        if let Some(absurdity) = row.absurdity() {
            return Err(format!("a row of {} for {}: {absurdity}", row.by, row.account.name));
        }
        let known = state.ledger.accounts().find(|account| account.name == row.account.name);
        if known.is_some_and(|known| known.root != row.account.root) {
            return Err(format!("a row of {} says that another held {} at first", row.by, row.account.name));
        }
        if state.ledger.is_older_than(row) {
            let reason = format!(
                "{} was set back to an older copy: {} has counted rights from it that it does not know to have given. Move \
                 the file away: this peer then begins a new ledger without rights",
                self.file.display(),
                row.by
            );
            state.trouble.get_or_insert(reason);
        }
        let key = (row.holder.clone(), row.account.name.clone());
        let known = state.rows.get(&key);
        let is_news = known.is_none_or(|known| known.version < row.version);
        let is_there = state.living.contains_key(&row.holder);
        let has_room = is_own || known.is_some() || state.rows.len() < ABSENT;
        if !is_news || (is_there && !is_own) || !has_room {
            return Ok(());
        }
        self.take_from(state, row);
        self.heed_last(state, row);
        state.rows.insert(key, row.clone());
        Ok(())
    }

    /// Whose rights have passed to an heir is lost for everybody, also for those who were not there to promise it.
    pub(super) fn heed_last(&self, state: &mut State, row: &Row) {
        if row.is_last() && !state.ledger.is_lost(&row.holder) && row.holder != *state.ledger.holder() {
            self.note(state, &Record::Promised { lost: row.holder.clone(), heir: row.holder.clone() });
        }
    }

    /// Counts what a row tells was given to this peer.
    fn take_from(&self, state: &mut State, row: &Row) {
        let Some(gift) = row.given.get(state.ledger.holder()) else { return };
        self.open_account(state, &row.account);
        if let Some(record) = state.ledger.taking(&row.account.name, &row.holder, *gift) {
            self.note(state, &record);
            state.exhausted = false;
            self.news.notify_waiters();
        }
    }

    /// Counts what was given for a month that had not begun here when it was heard.
    pub(super) fn take_what_waited(&self, state: &mut State) {
        let me = state.ledger.holder();
        let waiting: Vec<Row> = state.rows.values().filter(|row| row.given.contains_key(me)).cloned().collect();
        for row in waiting {
            self.take_from(state, &row);
        }
    }
}

impl State {
    /// Whether the rights in a row are nobody's, or an heir's, as far as anybody who is there knows.
    pub(super) fn is_forgotten(&self, row: &Row) -> bool {
        let by_others = || self.living.values().any(|living| living.lost.contains(&row.holder));
        row.is_last() || self.ledger.is_lost(&row.holder) || by_others()
    }

    /// What this peer holds to: what it is configured to, and what those that are there are.
    pub(super) fn terms(&self) -> Option<Terms> {
        // What a peer held to that is away now still holds: a cable that is pulled must not lift a limit.
        let known = self.ledger.terms_of(&self.mesh).filter(|(holder, _)| !self.ledger.is_lost(holder));
        known.map(|(_, terms)| terms).chain(self.terms).reduce(Terms::stricter)
    }

    /// Peers that are there and hold to something else than this one.
    pub(super) fn differing(&self) -> BTreeSet<&PeerId> {
        let differs = self.living.values().filter(|living| living.terms != self.terms);
        differs.map(|living| &living.peer).collect()
    }

    fn sum_of_others(&self) -> Others {
        let month = self.ledger.month();
        let mut others = Others { month, ..Others::default() };
        for row in self.rows.values().filter(|row| row.account.is_budget() && row.month == month) {
            others.spent = others.spent.saturating_add(row.spent);
            others.reserved = others.reserved.saturating_add(row.reserved);
        }
        others
    }
}

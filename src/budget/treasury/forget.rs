//! `forget`: the rights of a holder that is lost for good pass to this one. See `ledger::forget` for why two cannot both
//! succeed; here the claim is carried to every witness, again and again, until all have promised.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use super::lend::{Answer, Question};
use super::{Pending, State, Treasury};
use crate::budget::ledger::{Claim, Record};
use crate::fleet::{Holder, LedgerFacts, Month, PeerId, Row};

/// How a claim stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// The rights are here; they count from this month on.
    Done {
        /// Whose they were.
        lost: String,
        /// From which month on they count.
        from: Month,
    },
    /// These have to promise first that nobody else inherits. They are asked again until they do.
    Waiting {
        /// Whose rights they are.
        lost: String,
        /// Who has not promised yet.
        witnesses: Vec<String>,
    },
}

/// Why nothing is forgotten.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForgetError {
    /// It is there.
    #[error("peer {0} is there: drain it and stop it first")]
    StillHere(String),
    /// Nobody of that name holds rights.
    #[error("no peer called {0} holds rights here{near}", near = .1.as_ref().map(|near| format!(": did you mean {near}?")).unwrap_or_default())]
    Unknown(String, Option<String>),
    /// Another peer has claimed it first.
    #[error("peer {0} has claimed its rights already")]
    ClaimedBy(String),
    /// The ledger cannot be used.
    #[error("the ledger of this peer cannot be used: {0}")]
    Trouble(String),
}

/// How long one witness is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// The clock of a lost peer may have been ahead by so many seconds: a month that had begun there counts as begun.
const AHEAD_AT_MOST: u64 = 86_400;

impl Treasury {
    /// Claims the rights of a holder that is lost for good, by the name of its peer or its own. They count from the next
    /// month on, or at once on the operator's word.
    ///
    /// # Errors
    /// Why they cannot be claimed.
    pub async fn forget(&self, name: &str, now: bool) -> Result<Forgotten, ForgetError> {
        let lost = self.claim(name, now).await?;
        self.press(&lost).await;
        let state = self.lock();
        let shown = state.name_of(&lost);
        match state.claims.get(&lost) {
            Some(pending) => {
                let missing = state.missing_witnesses(&lost, pending);
                Ok(Forgotten::Waiting {
                    lost: shown,
                    witnesses: missing.iter().map(|holder| state.name_of(holder)).collect(),
                })
            }
            None if state.ledger.heir_of().any(|heir| *heir == lost) => {
                let from = state.ledger.inherited_from(&lost).unwrap_or_default();
                Ok(Forgotten::Done { lost: shown, from })
            }
            None => {
                let heir = state.ledger.promised_to(&lost).map(|heir| state.name_of(heir)).unwrap_or_default();
                Err(ForgetError::ClaimedBy(heir))
            }
        }
    }

    async fn claim(&self, name: &str, now: bool) -> Result<Holder, ForgetError> {
        let (lost, written) = {
            let mut state = self.lock();
            if let Some(trouble) = self.trouble(&state) {
                return Err(ForgetError::Trouble(trouble));
            }
            let lost = state.find(name)?;
            if let Some(pending) = state.claims.get_mut(&lost) {
                pending.now |= now;
                return Ok(lost);
            }
            if state.ledger.heir_of().any(|heir| *heir == lost) {
                return Ok(lost);
            }
            let (heir, at_ms) = (state.ledger.holder().clone(), self.clock.unix_millis());
            let claim = Claim { lost: lost.clone(), heir: heir.clone(), at_ms, yielded: BTreeSet::new() };
            match state.ledger.promised_to(&lost) {
                Some(other) if *other != heir => return Err(ForgetError::ClaimedBy(state.name_of(other))),
                _ => {}
            }
            let record = Record::Promised { lost: lost.clone(), heir };
            state.claims.insert(lost.clone(), Pending { claim, now, acked: BTreeSet::new() });
            (lost, self.commit(&mut state, &record))
        };
        written.await.map_err(ForgetError::Trouble)?;
        Ok(lost)
    }

    /// Goes on with every claim that is not through. Every few seconds.
    pub async fn tend(&self) {
        let claims: Vec<Holder> = self.lock().claims.keys().cloned().collect();
        for lost in claims {
            self.press(&lost).await;
        }
    }

    /// Asks every witness that is there, again as long as another one promises, and inherits where all have promised. Who
    /// refuses may agree once a later one has given up its claim.
    async fn press(&self, lost: &Holder) {
        loop {
            let witnesses: Vec<(Holder, PeerId)> = {
                let state = self.lock();
                let Some(pending) = state.claims.get(lost) else { return };
                let missing = state.missing_witnesses(lost, pending);
                if missing.is_empty() {
                    break;
                }
                let there = |holder: Holder| {
                    state.living.get(&holder).map(|living| living.peer.clone()).map(|peer| (holder, peer))
                };
                missing.into_iter().filter_map(there).collect()
            };
            let mut has_promised = false;
            for (witness, peer) in witnesses {
                has_promised |= self.ask_to_promise(lost, &witness, &peer).await;
            }
            if !has_promised {
                return;
            }
        }
        self.inherit(lost).await;
    }

    /// Asks one witness. Says whether it has promised.
    async fn ask_to_promise(&self, lost: &Holder, witness: &Holder, peer: &PeerId) -> bool {
        let Some(claim) = self.lock().claims.get(lost).map(|pending| pending.claim.clone()) else { return false };
        let question = serde_json::to_value(Question::Promise(claim)).unwrap_or_default();
        let Some(lender) = self.lender.get().cloned() else { return false };
        let answer = lender.ask(peer, question, PATIENCE).await;
        let Some(Ok(Answer::Promised(ack))) = answer.map(serde_json::from_value) else { return false };
        let mut state = self.lock();
        if ack.holder != *witness || !state.claims.contains_key(lost) {
            return false;
        }
        for row in ack.rows {
            self.heed_last(&mut state, &row);
            state.witnessed(row);
        }
        let mesh = state.mesh.clone();
        for holder in &ack.met {
            if let Some(record) = state.ledger.meeting(&mesh, holder) {
                self.note(&mut state, &record);
            }
        }
        let Some(pending) = state.claims.get_mut(lost) else { return false };
        pending.claim.yielded.insert(ack.holder.clone());
        pending.acked.insert(ack.holder)
    }

    async fn inherit(&self, lost: &Holder) {
        let written = {
            let mut state = self.lock();
            self.turn(&mut state);
            let Some(pending) = state.claims.get(lost).cloned() else { return };
            if state.rows.values().any(|row| row.holder == *lost && row.is_last()) {
                // Somebody has inherited before, and those who promised it are lost themselves.
                state.claims.remove(lost);
                return;
            }
            let is_ready = state.missing_witnesses(lost, &pending).is_empty() && state.ledger.is_claiming(lost);
            if !is_ready || state.living.contains_key(lost) {
                return;
            }
            let own = state.ledger.rows(&self.name);
            let rows: Vec<&Row> = own.iter().chain(state.rows.values()).collect();
            let seen = Month::at(self.clock.unix_seconds() + AHEAD_AT_MOST);
            let record = state.ledger.inheriting(lost, &rows, seen, pending.now);
            let written = self.commit(&mut state, &record);
            let remains = super::remains_of(&state.ledger);
            state.rows.extend(remains);
            written
        };
        if written.await.is_ok() {
            let mut state = self.lock();
            state.claims.remove(lost);
            info!(target: "nexus::budget", event = "rights_inherited", lost = %lost, "the rights of a lost peer are here now");
            self.assess(&state);
        }
    }

    /// Whoever was claimed and is there after all keeps its rights.
    pub(super) fn abandon_claim(&self, state: &mut State, facts: &LedgerFacts) {
        if state.ledger.is_claiming(&facts.holder) {
            state.claims.remove(&facts.holder);
            let record = Record::Yielded { lost: facts.holder.clone() };
            self.note(state, &record);
        }
    }
}

impl State {
    fn find(&self, name: &str) -> Result<Holder, ForgetError> {
        let known = |holder: &&Holder| holder.as_str() == name || self.name_of(holder) == name;
        let holders: BTreeSet<&Holder> =
            self.rows.keys().map(|(holder, _)| holder).chain(self.ledger.met(&self.mesh)).collect();
        let mut found: Vec<&Holder> = holders.iter().copied().filter(known).collect();
        // A peer that lost its ledger has another now, under the same name: the one that is not there is meant.
        let is_done = |holder: &Holder| self.ledger.is_lost(holder) && !self.claims.contains_key(holder);
        found.sort_by_key(|holder| (self.living.contains_key(*holder), is_done(holder)));
        match found.first() {
            Some(holder) if self.living.contains_key(holder) => Err(ForgetError::StillHere(name.to_owned())),
            Some(holder) => Ok((*holder).clone()),
            None => {
                let names = holders.iter().map(|holder| self.name_of(holder));
                let near = names.min_by_key(|known| strsim::damerau_levenshtein(known, name));
                Err(ForgetError::Unknown(name.to_owned(), near))
            }
        }
    }

    pub(super) fn missing_witnesses(&self, lost: &Holder, pending: &Pending) -> BTreeSet<Holder> {
        let mut witnesses = self.ledger.witnesses(&self.mesh, lost, self.rows.values());
        witnesses.retain(|holder| !pending.acked.contains(holder));
        witnesses
    }

    /// A row that a witness knows.
    fn witnessed(&mut self, row: Row) {
        let key = (row.holder.clone(), Arc::clone(&row.account.name));
        let is_mine = row.holder == *self.ledger.holder();
        let is_news = self.rows.get(&key).is_none_or(|known| known.version < row.version);
        if !is_mine && is_news && row.absurdity().is_none() {
            self.rows.insert(key, row);
        }
    }
}

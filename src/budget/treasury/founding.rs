//! The birth of a budget: who holds all rights at first. A peer that is alone founds its own; in a mesh it is whoever made
//! the key, else whoever has waited long enough and found nobody.

use std::sync::PoisonError;
use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;
use tracing::info;

use super::{MeshKind, State, Treasury, Why};
use crate::fleet::{Account, Founding, Holder};

/// How long a peer looks for others before it takes itself for the first.
pub(super) const ALONE_FOR: Duration = Duration::from_secs(10);

impl Treasury {
    /// Founds the budget where nobody else can have done so.
    pub(super) fn found_if_mine(&self, state: &mut State) {
        let is_mine = match &state.kind {
            MeshKind::Alone => true,
            MeshKind::Keyed { made_here, .. } => *made_here,
        };
        if is_mine {
            self.found(state);
        }
    }

    /// Founds the budget where this peer has looked for others long enough: it has met nobody, or those it has met have none
    /// either and it is the first of them by name.
    pub(super) fn found_if_nobody_did(&self, state: &mut State) {
        let MeshKind::Keyed { invited, .. } = &state.kind else { return };
        if state.since.elapsed() < ALONE_FOR || state.ledger.founding(&state.mesh).is_some() {
            return;
        }
        let is_first = state.living.keys().all(|other| state.ledger.holder() < other);
        let others_know = state.living.values().any(|living| living.founding.is_some());
        if is_first && !others_know && !(*invited && state.living.is_empty()) {
            self.found(state);
        }
    }

    /// Whether the budget of the mesh was founded here.
    pub fn is_founder(&self) -> bool {
        let state = self.lock();
        state.ledger.founding(&state.mesh).is_some_and(|founding| founding.holder == *state.ledger.holder())
    }

    /// Founds the budget on the operator's word. Says whether there was none.
    pub fn found_now(&self) -> bool {
        let mut state = self.lock();
        let is_new = state.ledger.founding(&state.mesh).is_none();
        self.found(&mut state);
        self.assess(&state);
        is_new
    }

    /// An account that is born with the budget of the mesh. Where nobody has founded that yet, it is waited for.
    ///
    /// # Errors
    /// Nobody did.
    pub async fn account_of_mesh(&self, name: &str, patience: Duration) -> Result<Account, Why> {
        if !self.wait_for_founding(Instant::now() + patience).await {
            return Err(Why::Unfounded);
        }
        let state = self.lock();
        let founding = state.ledger.founding(&state.mesh).ok_or(Why::Unfounded)?;
        Ok(Account { name: format!("{name}@{}", founding.id).into(), root: founding.holder.clone() })
    }

    fn found(&self, state: &mut State) {
        if state.trouble.is_some() || state.ledger.founding(&state.mesh).is_some() {
            return;
        }
        let id = Holder::from_bits(self.chance.lock().unwrap_or_else(PoisonError::into_inner).random());
        let holder = state.ledger.holder().clone();
        let founding = Founding { at_ms: self.clock.unix_millis(), id: id.as_str()[..16].to_owned(), holder };
        let mesh = state.mesh.clone();
        if let Some(record) = state.ledger.adopting(&mesh, &founding) {
            self.note(state, &record);
            // So that others hear of it by name, before it has spent anything.
            self.open_account(state, &Account::budget(&founding));
            info!(target: "nexus::budget", event = "budget_founded", founding = founding.id, "the budget of this mesh was founded here");
        }
        self.news.notify_waiters();
    }
}

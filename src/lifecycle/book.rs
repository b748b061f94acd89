//! The operations of this peer: what is under way, and how the last of them ended.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::RngExt;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::env::{Dice, Env};
use crate::exchange::{Operation, OperationKind, OperationStatus};

/// Operations that are remembered.
pub(super) const MOST: usize = 100;

/// Operations, oldest first.
pub(super) struct Book {
    list: Mutex<VecDeque<Arc<Page>>>,
    dice: Mutex<Dice>,
    clock: Arc<dyn crate::env::Clock>,
    /// What ids begin with: any peer can tell by it whom to ask.
    prefix: String,
}

struct Page {
    state: watch::Sender<Operation>,
    /// The backend that is busy with it until it ends.
    claims: Option<String>,
}

/// An operation under way. Dropped before its end it has failed.
pub(super) struct Running {
    page: Arc<Page>,
    clock: Arc<dyn crate::env::Clock>,
}

/// What is about to begin.
pub(super) struct Beginning<'a> {
    pub(super) kind: OperationKind,
    pub(super) model: &'a str,
    pub(super) backend: &'a str,
    pub(super) source: Option<&'a str>,
    pub(super) peer: &'a str,
}

/// Another operation is under way on that backend.
pub(super) struct Taken(pub(super) Operation);

impl Book {
    /// Of the peer of this short id.
    pub(super) fn new(peer: Option<&str>, env: &Env) -> Self {
        Book {
            list: Mutex::default(),
            dice: Mutex::new(env.seed.fork("operations")),
            clock: env.clock.clone(),
            prefix: format!("op-{}", peer.map(|peer| format!("{peer}-")).unwrap_or_default()),
        }
    }

    /// Notes an operation that keeps its backend busy; or, as a migration, leaves that to those it consists of.
    pub(super) fn begin(&self, what: &Beginning<'_>) -> Result<Running, Taken> {
        let claims = (what.kind != OperationKind::Migrate).then(|| what.backend.to_owned());
        let bits: u128 = self.dice.lock().unwrap_or_else(PoisonError::into_inner).random();
        let random = data_encoding::BASE32_NOPAD.encode(&bits.to_be_bytes()[..10]).to_ascii_lowercase();
        let operation = Operation {
            operation_id: format!("{}{random}", self.prefix),
            kind: what.kind,
            model_id: what.model.to_owned(),
            backend_id: what.backend.to_owned(),
            source_backend_id: what.source.map(str::to_owned),
            peer: what.peer.to_owned(),
            status: OperationStatus::InProgress,
            error: None,
            progress: None,
            started_at: now(&*self.clock),
            ended_at: None,
        };
        let mut list = self.lock();
        let taken = |page: &&Arc<Page>| claims.is_some() && page.claims == claims && !page.state.borrow().has_ended();
        if let Some(page) = list.iter().find(taken) {
            return Err(Taken(page.state.borrow().clone()));
        }
        let page = Arc::new(Page { state: watch::Sender::new(operation), claims });
        list.push_back(page.clone());
        while list.len() > MOST {
            let Some(at) = list.iter().position(|page| page.state.borrow().has_ended()) else { break };
            list.remove(at);
        }
        Ok(Running { page, clock: self.clock.clone() })
    }

    /// As it is now.
    pub(super) fn get(&self, id: &str) -> Option<Operation> {
        self.page(id).map(|page| page.state.borrow().clone())
    }

    /// All of them, oldest first.
    pub(super) fn list(&self) -> Vec<Operation> {
        self.lock().iter().map(|page| page.state.borrow().clone()).collect()
    }

    /// Waits for the end of one, at most until then. `false`: it is none of ours.
    pub(super) async fn wait_until(&self, id: &str, until: Instant) -> bool {
        let Some(mut state) = self.page(id).map(|page| page.state.subscribe()) else { return false };
        let _ = tokio::time::timeout_at(until, state.wait_for(Operation::has_ended)).await;
        true
    }

    fn page(&self, id: &str) -> Option<Arc<Page>> {
        self.lock().iter().find(|page| page.state.borrow().operation_id == id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Page>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It was not begun after all.
    pub(super) fn forget(&self, running: &Running) {
        self.lock().retain(|page| !Arc::ptr_eq(page, &running.page));
    }
}

impl Running {
    pub(super) fn id(&self) -> String {
        self.page.state.borrow().operation_id.clone()
    }

    pub(super) fn now(&self) -> Operation {
        self.page.state.borrow().clone()
    }

    /// So much of it is done.
    pub(super) fn tell(&self, progress: Option<f32>) {
        self.page.state.send_modify(|operation| operation.progress = progress);
    }

    /// It has ended.
    pub(super) fn end(&self, result: Result<(), String>) {
        let ended_at = now(&*self.clock);
        self.page.state.send_modify(|operation| {
            operation.status = if result.is_ok() { OperationStatus::Completed } else { OperationStatus::Failed };
            operation.progress = result.is_ok().then_some(1.0);
            operation.error = result.err();
            operation.ended_at = Some(ended_at);
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.page.state.borrow().has_ended() {
            self.end(Err("it was given up: this peer stopped, or the backend was removed".to_owned()));
        }
    }
}

fn now(clock: &dyn crate::env::Clock) -> String {
    let millis = i64::try_from(clock.unix_millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).unwrap_or_default().to_string()
}

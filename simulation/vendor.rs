//! What vendors bill: by the request, in the month that the clock of whoever called them was in. It knows nothing of
//! ledgers, which are judged by it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nexus::budget::price::Price;
use nexus::fleet::Month;

use crate::host::SimClock;
use crate::trace;

/// The model that only vendors have.
pub(crate) const CLOUD: &str = "cloud";

/// Billionths of a USD for a token of a prompt.
const PROMPT: u64 = 1_000;

/// Billionths of a USD for a token of an answer.
const ANSWER: u64 = 1_000_000;

/// After a clock has come to another month a call may still be one of the month before, for so long.
const BLURRED: Duration = Duration::from_secs(30);

/// The same prices as peers are configured with.
pub(crate) fn price() -> Price {
    Price { input: 1.0, output: 1_000.0, cached_input: None, cache_write: None }
}

/// One request that a vendor wants money for.
#[derive(Clone, Debug)]
pub(crate) struct Bill {
    /// The id of the request.
    pub(crate) request: String,
    /// The peer that called.
    pub(crate) payer: usize,
    /// Billionths of a USD.
    pub(crate) nanos: u64,
    /// The month of the payer.
    pub(crate) month: Month,
    /// Whether it can be of no other.
    pub(crate) is_certain: bool,
    /// Whether the ledger that paid it is there no more.
    pub(crate) is_lost: bool,
}

/// All bills of a run.
#[derive(Clone, Default)]
pub(crate) struct Bills(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    all: Vec<Bill>,
    clocks: BTreeMap<usize, Arc<SimClock>>,
}

impl Bills {
    /// Peer `at` goes by this clock.
    pub(crate) fn goes_by(&self, at: usize, clock: Arc<SimClock>) {
        self.lock().clocks.insert(at, clock);
    }

    /// A request is billed as a whole when work on it begins, whether anybody takes the answer or not.
    pub(crate) fn bill(&self, request: &str, payer: usize, prompt: u64, answer: u64) {
        let mut inner = self.lock();
        let Some((month, since)) = inner.clocks.get(&payer).and_then(|clock| clock.latest()) else { return };
        let nanos = prompt * PROMPT + answer * ANSWER;
        let is_certain = since.is_none_or(|since| trace::now() - since > BLURRED);
        trace::event(format_args!("{request} is billed {nanos} in {month}"));
        inner.all.push(Bill { request: request.to_owned(), payer, nanos, month, is_certain, is_lost: false });
    }

    /// An error of the vendor's own costs nothing.
    pub(crate) fn refund(&self, request: &str, payer: usize) {
        let mut inner = self.lock();
        let found = inner.all.iter().rposition(|bill| bill.request == request && bill.payer == payer);
        found.map(|at| inner.all.remove(at));
    }

    /// The ledger of `payer` is lost with its disk.
    pub(crate) fn lose(&self, payer: usize) {
        self.lock().all.iter_mut().filter(|bill| bill.payer == payer).for_each(|bill| bill.is_lost = true);
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Bill> {
        self.lock().all.clone()
    }

    /// What they come to.
    pub(crate) fn total(&self) -> u64 {
        self.lock().all.iter().map(|bill| bill.nanos).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

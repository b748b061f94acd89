//! The network between treasuries: questions and answers that take time, get lost, come twice, or cannot pass one way.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use nexus::budget::{Lender, Treasury};
use nexus::env::{Dice, Tasks};
use nexus::fleet::PeerId;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// All wires of the laboratory.
#[derive(Clone)]
pub(super) struct Wires(Arc<Mutex<Inner>>);

struct Inner {
    dice: Dice,
    up: Vec<Option<(Arc<Treasury>, Tasks)>>,
    cut: BTreeSet<(usize, usize)>,
    loss: f64,
    slowest_ms: u64,
}

/// What a peer is called.
pub(super) fn peer(number: usize) -> PeerId {
    PeerId::from_text(format!("p{number}"))
}

impl Wires {
    pub(super) fn new(seed: u64, loss: f64, slowest_ms: u64) -> Self {
        let dice = Dice::seed_from_u64(seed);
        Wires(Arc::new(Mutex::new(Inner { dice, up: Vec::new(), cut: BTreeSet::new(), loss, slowest_ms })))
    }

    /// A machine is up with this treasury, or down.
    pub(super) fn plug(&self, number: usize, treasury: Option<(Arc<Treasury>, Tasks)>) {
        let mut inner = self.lock();
        if inner.up.len() <= number {
            inner.up.resize_with(number + 1, || None);
        }
        inner.up[number] = treasury;
    }

    /// From now on nothing passes where `cut` says so.
    pub(super) fn cut(&self, cut: BTreeSet<(usize, usize)>) {
        self.lock().cut = cut;
    }

    pub(super) fn is_whole(&self) -> bool {
        self.lock().cut.is_empty()
    }

    pub(super) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.lock().cut.contains(&(from, to))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long something takes, and whether it arrives.
    fn way(&self) -> (Duration, bool) {
        let mut inner = self.lock();
        let (slowest, loss) = (inner.slowest_ms, inner.loss);
        // Now and then something takes as long as whoever waits for it has patience.
        let slowest = if inner.dice.random_bool(0.05) { 3_000 } else { slowest };
        (Duration::from_millis(inner.dice.random_range(0..=slowest)), !inner.dice.random_bool(loss))
    }

    async fn pass(&self, from: usize, to: usize) {
        let (takes, arrives) = self.way();
        sleep(takes).await;
        if !arrives || self.is_cut(from, to) {
            pending::<()>().await;
        }
    }

    async fn ask(&self, from: usize, to: usize, question: Value) -> Option<Value> {
        self.pass(from, to).await;
        let (treasury, tasks) = self.lock().up.get(to).cloned().flatten()?;
        let again = {
            let mut inner = self.lock();
            inner.dice.random_bool(0.1).then(|| Duration::from_millis(inner.dice.random_range(0..30_000)))
        };
        if let Some(later) = again {
            let (treasury, question) = (treasury.clone(), question.clone());
            tasks.spawn("late", async move {
                sleep(later).await;
                treasury.answer(question).await;
            });
        }
        let (sender, answer) = oneshot::channel();
        // Whoever is asked goes on though nobody waits any more.
        tasks.spawn("answer", async move {
            let _ = sender.send(treasury.answer(question).await);
        });
        let answer = answer.await.ok()?;
        self.pass(to, from).await;
        Some(answer)
    }
}

/// The end of the wires at one machine.
pub(super) struct Wire {
    pub(super) wires: Wires,
    pub(super) number: usize,
}

impl Lender for Wire {
    fn ask(&self, peer: &PeerId, question: Value, patience: Duration) -> BoxFuture<'_, Option<Value>> {
        let to = peer.as_str()[1..].parse().expect("all peers are called so");
        Box::pin(async move { timeout(patience, self.wires.ask(self.number, to, question)).await.ok().flatten() })
    }
}

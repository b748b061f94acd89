//! A treasury, and those who set money aside there.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::join_all;
use nexus::budget::{Amount, MeshKind, Setup, Treasury};
use nexus::env::{Env, Seed};
use nexus::fleet::{Account, HardLimitAction, Terms};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::cells::Cell;
use crate::memory::NoDisk;

/// Holds of one cell.
pub(crate) struct Work {
    cell: Cell,
    runtime: Runtime,
    treasury: Arc<Treasury>,
    amount: Amount,
    _directory: TempDir,
}

impl Work {
    pub(crate) fn new(cell: Cell) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut env = Env { seed: Seed::fixed(7), ..Env::real() };
        if !cell.on_disk {
            env.disk = Arc::new(NoDisk);
        }
        let setup = Setup {
            directory: directory.path().to_owned(),
            peer: "bench".to_owned(),
            name: "bench".to_owned(),
            terms: Some(Terms { limit: u64::MAX / 4, soft_percent: 100.0, action: HardLimitAction::BlockCloud }),
            mesh: MeshKind::Keyed { tag: "bench".to_owned(), made_here: true, invited: false },
        };
        let treasury = runtime.block_on(async { Treasury::open(setup, &env) });
        let own = || Account { name: "key@bench".into(), root: treasury.holder() };
        let of_caller = cell.with_key.then(|| (own(), u64::MAX / 4));
        let amount = Amount { nanos: 12_345_678, of_caller };
        Ok(Work { cell, runtime, treasury, amount, _directory: directory })
    }

    /// Sets aside and settles so often, by all holders together.
    pub(crate) fn repeat(&mut self, times: u64) -> Result<()> {
        let each = times / self.cell.holders as u64;
        let holder = || async {
            for _ in 0..each {
                let mut hold = self.treasury.hold(&self.amount, Duration::ZERO).await.context("all of it is here")?;
                hold.sent();
                hold.settle(self.amount.nanos / 2);
            }
            anyhow::Ok(())
        };
        let all = self.runtime.block_on(join_all((0..self.cell.holders).map(|_| holder())));
        all.into_iter().collect()
    }
}

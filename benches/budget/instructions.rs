//! Instructions of a hold and its settling: this program is run under valgrind with few of them and with many, and what the
//! one takes more than the other is theirs alone. The count of one run is the same on every machine of a kind.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::cells::Cell;

/// The caches of allocator and branches are warm then, and what is made once is made.
const FEW: u64 = 1_024;

/// A multiple of all numbers of holders.
const MANY: u64 = 5_120;

/// Instructions of `cell`.
pub(crate) fn of(valgrind: &Path, cell: Cell) -> Result<f64> {
    let (few, all) = (count(valgrind, cell, FEW)?, count(valgrind, cell, MANY)?);
    Ok(all.saturating_sub(few) as f64 / (MANY - FEW) as f64)
}

/// Instructions of a whole run with so many holds.
fn count(valgrind: &Path, cell: Cell, times: u64) -> Result<u64> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("counts");
    let status = Command::new(valgrind)
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(std::env::current_exe()?)
        .args(["hold", &cell.to_string(), &times.to_string()])
        .stdin(Stdio::null())
        .status()
        .context("valgrind does not start")?;
    anyhow::ensure!(status.success(), "{cell} under valgrind: {status}");
    let text = std::fs::read_to_string(&file).context("valgrind has counted nothing")?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals:")).context("valgrind tells no total")?;
    total.trim().parse().context("valgrind tells its total in another form")
}

//! Instructions of a decision: this program is run under valgrind with few decisions and with many, and what the one
//! takes more than the other is the decisions' alone. The count of one run is the same on every machine of a kind.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::decision::Decision;

/// The caches of allocator and branches are warm then, and what is made once is made.
const FEW: u64 = 100;

/// Instructions of `decision`, counted over `many`.
pub(crate) fn of(valgrind: &Path, decision: &Decision<'_>, many: u64) -> Result<f64> {
    let (few, all) = (count(valgrind, decision, FEW)?, count(valgrind, decision, many)?);
    Ok(all.saturating_sub(few) as f64 / (many - FEW) as f64)
}

/// Instructions of a whole run with so many decisions.
fn count(valgrind: &Path, decision: &Decision<'_>, times: u64) -> Result<u64> {
    let (cell, kib) = (decision.cell, decision.setting.kib);
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("counts");
    let status = Command::new(valgrind)
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(std::env::current_exe()?)
        .args(["decide", &cell.to_string(), &times.to_string(), "--kib", &kib.to_string()])
        .stdin(Stdio::null())
        .status()
        .context("valgrind does not start")?;
    anyhow::ensure!(status.success(), "{cell} under valgrind: {status}");
    let text = std::fs::read_to_string(&file).context("valgrind has counted nothing")?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals:")).context("valgrind tells no total")?;
    total.trim().parse().context("valgrind tells its total in another form")
}

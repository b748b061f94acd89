//! Instructions of a piece of work: this program is run under valgrind with few of them and with many, and what the one
//! takes more than the other is theirs alone. The count of one run is the same on every machine of a kind.

use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// Instructions of each piece of the work that `part` of this program does, as often as a last argument says: counted from
/// the first number to the second. With the first, the caches of allocator and branches are warm, and what is made once is
/// made.
pub(crate) fn of(valgrind: &Path, part: &[&str], counted: Range<u64>) -> Result<f64> {
    let (few, all) = (count(valgrind, part, counted.start)?, count(valgrind, part, counted.end)?);
    Ok(all.saturating_sub(few) as f64 / (counted.end - counted.start) as f64)
}

/// Instructions of a whole run with so many of them.
fn count(valgrind: &Path, part: &[&str], times: u64) -> Result<u64> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("counts");
    let status = Command::new(valgrind)
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(std::env::current_exe()?)
        .args(part)
        .arg(times.to_string())
        .stdin(Stdio::null())
        .status()
        .context("valgrind does not start")?;
    anyhow::ensure!(status.success(), "{} under valgrind: {status}", part.join(" "));
    let text = std::fs::read_to_string(&file).context("valgrind has counted nothing")?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals:")).context("valgrind tells no total")?;
    total.trim().parse().context("valgrind tells its total in another form")
}

/// A count for people.
pub(crate) fn show(instructions: Option<f64>) -> String {
    instructions.map_or_else(|| "not counted".to_owned(), |count| format!("{count:.0}"))
}

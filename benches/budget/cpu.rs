//! CPU time of this process, from the kernel: of all its threads, for those who write to the disk are others than those who
//! set aside.

use std::fs;

use anyhow::{Context, Result};
use tokio::time::Instant;

/// What some work took.
pub(crate) struct Spent {
    /// Microseconds of CPU for each.
    pub(crate) micros: f64,
    /// How many in a second of the clock on the wall.
    pub(crate) each_second: f64,
}

/// What each of `times` took, all of which `work` does.
pub(crate) fn of(times: u64, work: impl FnOnce()) -> Result<Spent> {
    let (before, begun) = (used()?, Instant::now());
    work();
    let took = begun.elapsed().as_secs_f64();
    let nanos = used()?.saturating_sub(before);
    Ok(Spent { micros: nanos as f64 / 1000.0 / times as f64, each_second: times as f64 / took })
}

/// Nanoseconds of CPU that the threads of this process have used.
fn used() -> Result<u64> {
    // The kernel brings its count up to date when it looks for somebody to run.
    std::thread::yield_now();
    let mut sum = 0;
    for thread in fs::read_dir("/proc/self/task").context("the kernel does not tell of threads")? {
        let text = fs::read_to_string(thread?.path().join("schedstat")).context("the kernel does not tell CPU time")?;
        let first = text.split(' ').next().and_then(|field| field.parse::<u64>().ok());
        sum += first.context("the kernel tells CPU time in another form")?;
    }
    Ok(sum)
}

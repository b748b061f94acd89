//! CPU time of this process, from the kernel: of all its threads, for those who write to a disk are others than those who
//! ask for it. What others do on the machine does not count, but for the caches that they take.

use std::fs;

use anyhow::{Context, Result};

/// Microseconds of CPU for each of `times`, all of which `work` does.
pub(crate) fn of(times: u64, work: impl FnOnce()) -> Result<f64> {
    let before = used()?;
    work();
    let nanos = used()?.saturating_sub(before);
    Ok(nanos as f64 / 1000.0 / times as f64)
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

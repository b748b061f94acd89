//! CPU time of this thread, from the kernel: what others do on the machine does not count, but for the caches that they
//! take.

use std::fs;

use anyhow::{Context, Result};

/// Microseconds of CPU for each of `times`, all of which `work` does.
pub(crate) fn of(times: u64, work: impl FnOnce()) -> Result<f64> {
    let before = used()?;
    work();
    let nanos = used()?.saturating_sub(before);
    Ok(nanos as f64 / 1000.0 / times as f64)
}

/// Nanoseconds of CPU that this thread has used.
fn used() -> Result<u64> {
    // The kernel brings its count up to date when it looks for somebody to run.
    std::thread::yield_now();
    let text = fs::read_to_string("/proc/thread-self/schedstat").context("the kernel does not tell CPU time")?;
    text.split(' ').next().and_then(|field| field.parse().ok()).context("the kernel tells CPU time in another form")
}

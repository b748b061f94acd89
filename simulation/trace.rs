//! The trace of a run: who, whom, when and how much. Two runs of one seed give the same trace; what is inside a packet is
//! not part of it, because keys are fresh each time.

use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

thread_local! {
    static TRACE: RefCell<Trace> = RefCell::new(Trace::default());
}

#[derive(Default)]
struct Trace {
    hash: blake3::Hasher,
    events: u64,
    datagrams: u64,
    kept: Option<Vec<String>>,
}

/// What is left of a trace when it ends.
pub(crate) struct Summary {
    /// 16 hex digits over every event.
    pub(crate) hash: String,
    /// How many events there were.
    pub(crate) events: u64,
    /// How many of them were datagrams.
    pub(crate) datagrams: u64,
    /// The events themselves, where they were kept.
    pub(crate) lines: Vec<String>,
}

/// Keeps the lines of this thread's trace, not only their hash.
pub(crate) fn keep() {
    TRACE.with_borrow_mut(|trace| trace.kept = Some(Vec::new()));
}

/// Adds an event, stamped with simulated time.
pub(crate) fn event(what: fmt::Arguments<'_>) {
    let line = format!("{:>10} {what}", now().as_micros());
    // A thread that ends drops its tasks after its trace; nobody reads that.
    let _ = TRACE.try_with(|trace| {
        let mut trace = trace.borrow_mut();
        trace.hash.update(line.as_bytes());
        trace.hash.update(b"\n");
        trace.events += 1;
        if let Some(kept) = &mut trace.kept {
            kept.push(line);
        }
    });
}

/// Adds a datagram.
pub(crate) fn datagram(what: fmt::Arguments<'_>) {
    event(what);
    let _ = TRACE.try_with(|trace| trace.borrow_mut().datagrams += 1);
}

/// Ends this thread's trace.
pub(crate) fn finish() -> Summary {
    TRACE.with_borrow_mut(|trace| {
        let trace = std::mem::take(trace);
        Summary {
            hash: trace.hash.finalize().to_hex()[..16].to_owned(),
            events: trace.events,
            datagrams: trace.datagrams,
            lines: trace.kept.unwrap_or_default(),
        }
    })
}

/// Simulated time since the start of the run; the same on every host.
pub(crate) fn now() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

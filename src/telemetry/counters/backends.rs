//! What the backends of this peer did when they were asked. Every attempt counts, also one that another backend made good;
//! how a backend did is told of those alone that say something of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use prometheus::Histogram;
use prometheus::core::Collector;
use tokio::time::Instant;

use super::{SECONDS, Took, histogram, millis, real};
use crate::gateway::Attempted;
use crate::telemetry::shelf::Shelf;
use crate::telemetry::window::{HOUR, WHOLE_DAY, Window};

const TTFT_SECONDS: [f64; 5] = [0.05, 0.1, 0.5, 1.0, 5.0];

/// The backends of this peer, by name.
pub(super) struct Backends(Shelf<Backend>);

/// What one of them has done.
struct Backend {
    attempts: AtomicU64,
    answers: AtomicU64,
    /// Of the answers, to their ends and to their first bytes.
    milliseconds: AtomicU64,
    first_byte_milliseconds: AtomicU64,
    window: Mutex<Window>,
    /// Seconds to the first byte, and to the end.
    ttft: Histogram,
    latency: Histogram,
}

/// What one backend of this peer has done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BackendCounts {
    /// How often it was asked, and how long its answers took.
    pub took: Took,
    /// Milliseconds to the first byte, on average.
    pub average_ttft_ms: Option<u64>,
    /// How often it was asked in the last hour.
    pub requests_1h: u32,
    /// The part of the attempts of the last hour that failed, of those that say something of it.
    pub error_rate_1h: Option<f64>,
    /// The part of the attempts of the last day that did not.
    pub success_rate_24h: Option<f64>,
}

impl Backends {
    /// None of them has done anything; what is counted, for the export.
    pub(super) fn new() -> (Self, [Box<dyn Collector>; 2]) {
        let ttft = histogram(
            "nexus_agent_ttft_seconds",
            "Seconds to the first byte of an answer of a backend of this peer, whoever asked.",
            &["agent_id"],
            &TTFT_SECONDS,
        );
        let latency = histogram(
            "nexus_backend_latency_seconds",
            "Seconds to the end of an answer of a backend of this peer, whoever asked.",
            &["backend"],
            &SECONDS,
        );
        let families: [Box<dyn Collector>; 2] = [Box::new(ttft.clone()), Box::new(latency.clone())];
        let shelf = Shelf::new(move |_, backend| Backend {
            attempts: AtomicU64::new(0),
            answers: AtomicU64::new(0),
            milliseconds: AtomicU64::new(0),
            first_byte_milliseconds: AtomicU64::new(0),
            window: Mutex::new(Window::new(Instant::now())),
            ttft: ttft.with_label_values(&[backend]),
            latency: latency.with_label_values(&[backend]),
        });
        (Backends(shelf), families)
    }

    /// One of them was asked.
    pub(super) fn attempted(&self, attempted: &Attempted<'_>) {
        self.0.of("", attempted.backend).attempted(Instant::now(), attempted);
    }

    /// What one of them has done.
    pub(super) fn counts(&self, name: &str) -> BackendCounts {
        self.0.get("", name).map(|backend| backend.counts(Instant::now())).unwrap_or_default()
    }
}

impl Backend {
    fn attempted(&self, now: Instant, attempted: &Attempted<'_>) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        if let Some(first_byte) = attempted.first_byte {
            self.answers.fetch_add(1, Ordering::Relaxed);
            self.milliseconds.fetch_add(millis(attempted.took), Ordering::Relaxed);
            self.first_byte_milliseconds.fetch_add(millis(first_byte), Ordering::Relaxed);
            self.ttft.observe(first_byte.as_secs_f64());
            self.latency.observe(attempted.took.as_secs_f64());
        }
        self.window.lock().unwrap_or_else(PoisonError::into_inner).note(now, attempted.verdict);
    }

    fn counts(&self, now: Instant) -> BackendCounts {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        let (hour, answers) = (window.last(now, HOUR), count(&self.answers));
        BackendCounts {
            requests_1h: hour.all(),
            took: Took { requests: count(&self.attempts), ..Took::of(answers, real(count(&self.milliseconds))) },
            average_ttft_ms: count(&self.first_byte_milliseconds).checked_div(answers),
            error_rate_1h: hour.rate().map(|well| 1.0 - well),
            success_rate_24h: window.last(now, WHOLE_DAY).rate(),
        }
    }
}

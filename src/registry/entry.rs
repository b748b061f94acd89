//! One backend: what it is, how it is, and how busy it is. Load is counted by atomics, so that a request touches no lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Endpoint;
use crate::fleet::{BackendAbout, BackendFacts, BackendSpec, Load, Model, Status};

/// One backend of this peer.
pub struct Entry {
    /// What it is.
    pub spec: BackendSpec,
    /// The name, cheap to keep.
    pub name: Arc<str>,
    /// Wakes its health check before its time.
    pub check_now: Notify,
    /// Cancelled when it is removed.
    pub gone: CancellationToken,
    endpoint: ArcSwap<Endpoint>,
    condition: ArcSwap<Condition>,
    meter: Meter,
}

/// How a backend is, as its checks have found it.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    /// How it is.
    pub status: Status,
    /// What it offers, sorted by id.
    pub models: Vec<Arc<Model>>,
    /// When it was checked last.
    pub checked_at: Option<Instant>,
    /// What was wrong then; no URL, no key.
    pub last_error: Option<String>,
}

#[derive(Default)]
struct Meter {
    in_flight: AtomicU32,
    total: AtomicU64,
    // Averages of milliseconds plus one, so that zero means "none yet".
    latency: AtomicU32,
    ttft: AtomicU32,
    // Bits of an f32; zero means "none yet".
    tokens_per_second: AtomicU32,
    suspect: AtomicBool,
    withdrawn: AtomicBool,
    failures_in_a_row: AtomicU32,
}

/// Server errors in a row that make a backend suspect; a lost connection or a passed deadline does at once.
const ERRORS_UNTIL_SUSPECT: u32 = 3;

/// Every slot of a backend is taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

/// A request on its way through a backend; counted until dropped.
pub struct InFlight(Arc<Entry>);

impl Entry {
    pub(super) fn new(spec: BackendSpec, endpoint: Endpoint) -> Self {
        Entry {
            name: spec.name.as_str().into(),
            spec,
            endpoint: ArcSwap::from_pointee(endpoint),
            check_now: Notify::new(),
            gone: CancellationToken::new(),
            condition: ArcSwap::default(),
            meter: Meter::default(),
        }
    }

    /// Where its server is, seen from outside.
    pub fn endpoint(&self) -> Arc<Endpoint> {
        self.endpoint.load_full()
    }

    pub(super) fn set_endpoint(&self, endpoint: Endpoint) {
        self.endpoint.store(Arc::new(endpoint));
    }

    /// How it is.
    pub fn condition(&self) -> Arc<Condition> {
        self.condition.load_full()
    }

    pub(super) fn set_condition(&self, condition: Condition) {
        self.condition.store(Arc::new(condition));
    }

    /// How busy it is, exactly.
    pub fn load(&self) -> Load {
        let meter = &self.meter;
        let average = |cell: &AtomicU32| cell.load(Ordering::Relaxed).checked_sub(1);
        let speed = f32::from_bits(meter.tokens_per_second.load(Ordering::Relaxed));
        Load {
            in_flight: meter.in_flight.load(Ordering::Relaxed),
            queued: 0,
            concurrency: self.spec.concurrency,
            latency_ms: average(&meter.latency),
            ttft_ms: average(&meter.ttft),
            tokens_per_second: (speed > 0.0).then_some(speed),
            total: meter.total.load(Ordering::Relaxed),
        }
    }

    /// Whether requests to it failed lately: it is used only where nothing else is left.
    pub fn is_suspect(&self) -> bool {
        self.meter.suspect.load(Ordering::Relaxed)
    }

    /// Takes a slot.
    ///
    /// # Errors
    /// Every slot is taken.
    pub fn begin(self: &Arc<Self>) -> Result<InFlight, Full> {
        let limit = self.spec.concurrency.unwrap_or(u32::MAX);
        let taken = self
            .meter
            .in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| (now < limit).then(|| now + 1));
        taken.map(|_| InFlight(self.clone())).map_err(|_| Full)
    }

    /// It answered: `ttft` to the first byte.
    pub fn answered(&self, ttft: Duration) {
        let millis = u32::try_from(ttft.as_millis()).unwrap_or(u32::MAX - 1);
        average(&self.meter.ttft, millis);
        average(&self.meter.latency, millis);
        self.recovered();
    }

    /// A check took so long.
    pub fn checked(&self, latency: Duration) {
        average(&self.meter.latency, u32::try_from(latency.as_millis()).unwrap_or(u32::MAX - 1));
        self.recovered();
    }

    /// A whole stream came at this speed.
    pub fn decoded(&self, tokens_per_second: f32) {
        if !tokens_per_second.is_finite() || tokens_per_second <= 0.0 {
            return;
        }
        let cell = &self.meter.tokens_per_second;
        let old = f32::from_bits(cell.load(Ordering::Relaxed));
        let new = if old > 0.0 { (tokens_per_second + 4.0 * old) / 5.0 } else { tokens_per_second };
        cell.store(new.to_bits(), Ordering::Relaxed);
    }

    /// A request found it dead or silent: it is suspect at once, and checked now.
    pub fn unreachable(&self) {
        self.meter.suspect.store(true, Ordering::Relaxed);
        self.check_now.notify_one();
    }

    /// It answered a request with an error of its own.
    pub fn failed(&self) {
        if self.meter.failures_in_a_row.fetch_add(1, Ordering::Relaxed) + 1 >= ERRORS_UNTIL_SUSPECT {
            self.meter.suspect.store(true, Ordering::Relaxed);
        }
    }

    /// Whether its announcement was taken back: it is not checked, and used only where nothing else is left.
    pub fn is_withdrawn(&self) -> bool {
        self.meter.withdrawn.load(Ordering::Relaxed)
    }

    pub(super) fn set_withdrawn(&self, withdrawn: bool) {
        self.meter.withdrawn.store(withdrawn, Ordering::Relaxed);
        self.meter.suspect.store(withdrawn, Ordering::Relaxed);
        self.check_now.notify_one();
    }

    fn recovered(&self) {
        // Read first: this runs on every request, and a store takes the cache line from other cores.
        if self.meter.failures_in_a_row.load(Ordering::Relaxed) != 0 {
            self.meter.failures_in_a_row.store(0, Ordering::Relaxed);
        }
        if self.is_suspect() {
            self.meter.suspect.store(false, Ordering::Relaxed);
        }
    }

    /// What it is and how it is.
    pub fn about(&self) -> BackendAbout {
        let endpoint = self.endpoint.load();
        BackendAbout {
            name: self.spec.name.clone(),
            kind: self.spec.kind,
            zone: self.spec.zone,
            tier: self.spec.tier,
            priority: self.spec.priority,
            status: self.condition.load().status,
            suspect: self.is_suspect(),
            endpoint: endpoint.text.clone(),
            near: endpoint.near,
            machine: endpoint.machine.as_deref().unwrap_or_default().to_owned(),
        }
    }

    /// What other peers are told of it.
    pub fn facts(&self) -> BackendFacts {
        let condition = self.condition.load();
        BackendFacts {
            about: self.about(),
            models: condition.models.iter().map(|model| (**model).clone()).collect(),
            load: self.load(),
        }
    }
}

/// Moving average: the first sample as it is, then (sample + 4 × old) / 5. The cell holds the average plus one.
fn average(cell: &AtomicU32, sample: u32) {
    let old = cell.load(Ordering::Relaxed);
    let new = match old.checked_sub(1) {
        None => u64::from(sample),
        Some(old) => (u64::from(sample) + 4 * u64::from(old)) / 5,
    };
    cell.store(u32::try_from(new + 1).unwrap_or(u32::MAX), Ordering::Relaxed);
}

impl InFlight {
    /// The backend.
    pub fn entry(&self) -> &Arc<Entry> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.meter.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.0.meter.total.fetch_add(1, Ordering::Relaxed);
    }
}

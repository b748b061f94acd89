//! One backend: what it is, how it is, and how busy it is. Load is counted by atomics, so that a request touches no lock.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
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
    born: Instant,
    on_free: Arc<OnceLock<OnFree>>,
}

/// How a backend is, as its checks have found it.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    /// How it is.
    pub status: Status,
    /// What it offers, sorted by id.
    pub models: Vec<Arc<Model>>,
    /// How many requests it serves at once, as it says itself.
    pub slots: Option<u32>,
    /// When it was checked last.
    pub checked_at: Option<Instant>,
    /// What was wrong then; no URL, no key.
    pub last_error: Option<String>,
}

#[derive(Default)]
struct Meter {
    in_flight: AtomicU32,
    queued: AtomicU32,
    total: AtomicU64,
    // Averages of milliseconds plus one, so that zero means "none yet".
    latency: AtomicU32,
    ttft: AtomicU32,
    service: AtomicU32,
    // Bits of an f32; zero means "none yet".
    tokens_per_second: AtomicU32,
    // When a request found it silent, and until when it is left alone for that, in milliseconds of `born`; 0 = never.
    silent_until: AtomicU64,
    silences: AtomicU32,
    // A request has been let through to see whether it is silent still.
    probing: AtomicBool,
    suspect: AtomicBool,
    // A connection to it failed, and no check or answer has come since.
    unreachable: AtomicBool,
    withdrawn: AtomicBool,
    failures_in_a_row: AtomicU32,
}

/// Server errors in a row that make a backend suspect; a lost connection or a passed deadline does at once.
const ERRORS_UNTIL_SUSPECT: u32 = 3;

/// How long a backend that said nothing is left alone: at first, doubled each time, and at most.
const LEFT_ALONE: Duration = Duration::from_secs(10);
const LONGEST_ALONE: Duration = Duration::from_secs(60);

/// Every slot of a backend is taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

/// A request on its way through a backend; counted until dropped.
pub struct InFlight {
    entry: Arc<Entry>,
    since: Instant,
    served: bool,
}

/// A request that waits for a slot of a backend; counted until dropped.
pub struct Waiting(Arc<Entry>);

/// What is told whenever a slot may have become free.
pub type OnFree = Box<dyn Fn(&Arc<Entry>) + Send + Sync>;

impl Entry {
    pub(super) fn new(spec: BackendSpec, endpoint: Endpoint, on_free: Arc<OnceLock<OnFree>>) -> Self {
        Entry {
            name: spec.name.as_str().into(),
            spec,
            endpoint: ArcSwap::from_pointee(endpoint),
            check_now: Notify::new(),
            gone: CancellationToken::new(),
            condition: ArcSwap::default(),
            meter: Meter::default(),
            born: Instant::now(),
            on_free,
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
            queued: meter.queued.load(Ordering::Relaxed),
            concurrency: self.concurrency(),
            latency_ms: average(&meter.latency),
            ttft_ms: average(&meter.ttft),
            service_ms: average(&meter.service),
            tokens_per_second: (speed > 0.0).then_some(speed),
            total: meter.total.load(Ordering::Relaxed),
        }
    }

    /// Whether requests to it failed lately: it is used only where nothing else is left.
    pub fn is_suspect(&self) -> bool {
        self.meter.suspect.load(Ordering::Relaxed) || self.is_silent()
    }

    /// Whether it took a request, said nothing, and has not been left alone for long enough since.
    fn is_silent(&self) -> bool {
        let until = self.meter.silent_until.load(Ordering::Relaxed);
        until != 0 && self.age_ms() < until
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Takes a slot.
    ///
    /// # Errors
    /// Every slot is taken.
    pub fn begin(self: &Arc<Self>) -> Result<InFlight, Full> {
        let limit = self.concurrency().unwrap_or(u32::MAX);
        // In one order with the depth of the queue: whoever frees a slot sees who waits, or whoever waits sees the slot.
        let taken =
            self.meter.in_flight.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| (now < limit).then(|| now + 1));
        if taken.is_ok() {
            self.probe();
        }
        taken.map(|_| InFlight { entry: self.clone(), since: Instant::now(), served: false }).map_err(|_| Full)
    }

    /// A slot for somebody who waits for one. There is none while it cannot serve: who waits is better off elsewhere.
    pub fn grant(self: &Arc<Self>) -> Option<InFlight> {
        if self.may_serve() { self.begin().ok() } else { None }
    }

    /// Whether a slot of it would do now: it is there, and nothing says that it cannot be reached.
    pub fn may_serve(&self) -> bool {
        self.is_there() && !self.meter.unreachable.load(Ordering::Relaxed)
    }

    /// Whether it is worth waiting for: it is still ours, and no check says that it cannot serve.
    pub fn is_there(&self) -> bool {
        let down = matches!(self.condition.load().status, Status::Unhealthy | Status::Draining);
        !down && !self.gone.is_cancelled()
    }

    /// The first request after it was left alone is a probe: until it has an answer, others go elsewhere.
    fn probe(&self) {
        let until = self.meter.silent_until.load(Ordering::Relaxed);
        if until != 0 && self.age_ms() >= until {
            let next = self.age_ms() + u64::try_from(LEFT_ALONE.as_millis()).unwrap_or(u64::MAX);
            // Where two come at once, both may go: the next survey sees it suspect again.
            let _ = self.meter.silent_until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed);
            self.meter.probing.store(true, Ordering::Relaxed);
        }
    }

    /// How many requests it may have at once: as configured, else as it says itself; `None` = not limited.
    pub fn concurrency(&self) -> Option<u32> {
        self.spec.concurrency.or(self.condition.load().slots)
    }

    /// Counts a request that waits for a slot.
    pub fn wait(self: &Arc<Self>) -> Waiting {
        self.meter.queued.fetch_add(1, Ordering::Relaxed);
        Waiting(self.clone())
    }

    /// Tells whoever waits that a slot may be free.
    pub(super) fn free(self: &Arc<Self>) {
        if let Some(on_free) = self.on_free.get() {
            on_free(self);
        }
    }

    /// It answered: `ttft` to the first byte.
    pub fn answered(&self, ttft: Duration) {
        if self.meter.silent_until.swap(0, Ordering::Relaxed) != 0 {
            self.meter.silences.store(0, Ordering::Relaxed);
            self.meter.probing.store(false, Ordering::Relaxed);
        }
        average(&self.meter.ttft, millis(ttft));
        average(&self.meter.latency, millis(ttft));
        self.recovered();
    }

    /// A check took so long.
    pub fn checked(&self, latency: Duration) {
        average(&self.meter.latency, millis(latency));
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
        self.meter.unreachable.store(true, Ordering::Relaxed);
        self.meter.suspect.store(true, Ordering::Relaxed);
        self.check_now.notify_one();
    }

    /// It took a request and said nothing in time. Its checks may well pass, so only a request that it answers clears
    /// this; one is let through to it each time that it has been left alone, for longer and longer.
    pub fn silent(&self) {
        // Of many requests that gave up together, one counts.
        if self.is_silent() && !self.meter.probing.swap(false, Ordering::Relaxed) {
            return;
        }
        let silences = self.meter.silences.fetch_add(1, Ordering::Relaxed);
        let alone = LEFT_ALONE.saturating_mul(1_u32.checked_shl(silences).unwrap_or(u32::MAX)).min(LONGEST_ALONE);
        let until = self.age_ms().saturating_add(u64::try_from(alone.as_millis()).unwrap_or(u64::MAX)).max(1);
        self.meter.silent_until.store(until, Ordering::Relaxed);
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
        if self.meter.unreachable.load(Ordering::Relaxed) {
            self.meter.unreachable.store(false, Ordering::Relaxed);
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
        &self.entry
    }

    /// It was answered, to the end: what it took says how long others will take.
    pub fn served(&mut self) {
        self.served = true;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let meter = &self.entry.meter;
        if self.served {
            average(&meter.service, millis(self.since.elapsed()));
        }
        meter.total.fetch_add(1, Ordering::Relaxed);
        meter.in_flight.fetch_sub(1, Ordering::SeqCst);
        self.entry.free();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.meter.queued.fetch_sub(1, Ordering::Relaxed);
    }
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX - 1)
}

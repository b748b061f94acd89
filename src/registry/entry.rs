//! One backend: what it is, how it is, and how busy it is. Load is counted by atomics, so that a request touches no lock.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Endpoint;
use super::lacking::Lacking;
use super::learned::{Coming, Learned};
use super::leaving::{Usage, Used};
use super::others::Others;
use super::pace::Sample;
use super::quality::Quality;
use super::room::Room;
use super::served::Served;
use super::ward::{Trial, Ward};
use crate::fleet::{BackendAbout, BackendFacts, BackendSpec, Digest, Load, Model, Pace, Prefix, Residency, Status};

/// One backend of this peer.
pub struct Entry {
    /// What it is.
    pub spec: BackendSpec,
    /// The name, cheap to keep.
    pub name: Arc<str>,
    /// Wakes its health check before its time.
    pub check_now: Notify,
    /// A model of it took a request and said nothing.
    pub fell_silent: Notify,
    /// Cancelled when it is removed.
    pub gone: CancellationToken,
    endpoint: ArcSwap<Endpoint>,
    condition: ArcSwap<Condition>,
    meter: Meter,
    pub(super) others: Others,
    pub(super) lacking: Lacking,
    pub(super) learned: Learned,
    pub(super) served: Served,
    pub(super) room: Room,
    pub(super) ward: Ward,
    pub(super) usage: Usage,
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
    // From how many requests that was learned.
    services: AtomicU32,
    // Bits of an f32; zero means "none yet".
    tokens_per_second: AtomicU32,
    withdrawn: AtomicBool,
    draining: AtomicBool,
}

/// Every slot of a backend is taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

/// A request on its way through a backend; counted until dropped.
pub struct InFlight {
    entry: Arc<Entry>,
    since: Instant,
    served: bool,
    pub(super) coming: Coming,
    pub(super) trial: Trial,
    pub(super) used: Option<Used>,
}

/// A request that waits for a slot of a backend; counted until dropped.
pub struct Waiting(Arc<Entry>);

/// What is told whenever a slot may have become free.
pub type OnFree = Box<dyn Fn(&Arc<Entry>) + Send + Sync>;

impl Entry {
    pub(super) fn new(
        spec: BackendSpec,
        endpoint: Endpoint,
        on_free: Arc<OnceLock<OnFree>>,
        quality: Arc<Quality>,
    ) -> Self {
        Entry {
            name: spec.name.as_str().into(),
            spec,
            endpoint: ArcSwap::from_pointee(endpoint),
            check_now: Notify::new(),
            fell_silent: Notify::new(),
            gone: CancellationToken::new(),
            condition: ArcSwap::default(),
            meter: Meter::default(),
            others: Others::default(),
            lacking: Lacking::default(),
            learned: Learned::default(),
            served: Served::default(),
            room: Room::default(),
            ward: Ward::new(quality),
            usage: Usage::default(),
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
        self.ward.has(&condition.models);
        if condition.status == Status::Unhealthy {
            self.lacking.forget();
        }
        self.room.seen(self.condition.load().models.iter().map(|model| &**model), &condition.models);
        self.condition.store(Arc::new(condition));
    }

    /// `model` went because it was told to: nothing had to go for another.
    pub(super) fn was_told_to_unload(&self, model: &str, condition: Condition) {
        self.served.unloaded(model);
        self.room.was_unloaded(model);
        self.condition.store(Arc::new(condition));
    }

    /// How busy it is, exactly.
    pub fn load(&self) -> Load {
        let meter = &self.meter;
        let average = |cell: &AtomicU32| cell.load(Ordering::Relaxed).checked_sub(1);
        let speed = f32::from_bits(meter.tokens_per_second.load(Ordering::Relaxed));
        Load {
            in_flight: meter.in_flight.load(Ordering::Relaxed),
            foreign: self.foreign(),
            queued: meter.queued.load(Ordering::Relaxed),
            concurrency: self.concurrency(),
            latency_ms: average(&meter.latency),
            ttft_ms: average(&meter.ttft),
            service_ms: average(&meter.service),
            tokens_per_second: (speed > 0.0).then_some(speed),
            total: meter.total.load(Ordering::Relaxed),
        }
    }

    /// Whether it is used for `model` only where nothing else is left.
    pub fn is_suspect(&self, model: &str) -> bool {
        self.is_withdrawn() || self.keeps_away(model) || self.is_leaving(model)
    }

    /// Takes a slot.
    ///
    /// # Errors
    /// Every slot is taken.
    pub fn begin(self: &Arc<Self>) -> Result<InFlight, Full> {
        let limit = self.room();
        // In one order with the depth of the queue: whoever frees a slot sees who waits, or whoever waits sees the slot.
        let taken =
            self.meter.in_flight.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| (now < limit).then(|| now + 1));
        let lease = || InFlight {
            entry: self.clone(),
            since: Instant::now(),
            served: false,
            coming: Coming::Whole,
            trial: Trial::default(),
            used: None,
        };
        taken.map(|_| lease()).map_err(|_| Full)
    }

    /// A slot for somebody who waits for one. There is none while it cannot serve: who waits is better off elsewhere.
    pub fn grant(self: &Arc<Self>) -> Option<InFlight> {
        if self.may_serve() { self.begin().ok() } else { None }
    }

    /// Whether a slot of it would do now: it is there, and nothing says that it cannot be reached.
    pub fn may_serve(&self) -> bool {
        self.is_there() && !self.is_cut_off()
    }

    /// Whether it is worth waiting for: it is still ours, and no check says that it cannot serve.
    pub fn is_there(&self) -> bool {
        let down = matches!(self.status(), Status::Unhealthy | Status::Draining);
        !down && !self.gone.is_cancelled()
    }

    /// How many requests it may have at once: as configured, else as it says itself, else as its streams have taught;
    /// `None` = not limited.
    pub fn concurrency(&self) -> Option<u32> {
        self.told_concurrency().or_else(|| self.learned.limit())
    }

    pub(super) fn told_concurrency(&self) -> Option<u32> {
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

    /// A first byte took so long.
    pub fn timed(&self, ttft: Duration) {
        average(&self.meter.ttft, millis(ttft));
        average(&self.meter.latency, millis(ttft));
    }

    /// A check has passed, and took so long.
    pub fn checked(&self, latency: Duration) {
        average(&self.meter.latency, millis(latency));
        self.check_passed();
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

    /// Whether its announcement was taken back: it is not checked, and used only where nothing else is left.
    pub fn is_withdrawn(&self) -> bool {
        self.meter.withdrawn.load(Ordering::Relaxed)
    }

    pub(super) fn set_withdrawn(&self, withdrawn: bool) {
        self.meter.withdrawn.store(withdrawn, Ordering::Relaxed);
        self.check_now.notify_one();
    }

    /// Whether somebody wants it to finish what it has and take no more.
    pub fn is_draining(&self) -> bool {
        self.meter.draining.load(Ordering::SeqCst)
    }

    pub(super) fn set_draining(&self, draining: bool) {
        self.meter.draining.store(draining, Ordering::SeqCst);
    }

    /// How it is, as its checks have found it, unless it drains.
    pub fn status(&self) -> Status {
        if self.is_draining() { Status::Draining } else { self.condition.load().status }
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
            status: self.status(),
            suspect: self.is_withdrawn() || self.keeps_away_from_all(),
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
            models: condition.models.iter().map(|model| self.told_model(model)).collect(),
            load: self.load(),
            served: self.served.facts(Instant::now()),
            breakers: self.told_breakers(),
        }
    }

    fn told_model(&self, model: &Model) -> Model {
        Model { residency: self.residency(model), ..model.clone() }
    }

    /// Whether `model` is in memory, as far as is known.
    pub fn residency(&self, model: &Model) -> Residency {
        self.served.residency(model, self.condition.load().checked_at)
    }

    /// The same of what is called so now: whoever has waited may have a model in hand that was loaded then.
    pub fn residency_now(&self, model: &str) -> Residency {
        let condition = self.condition.load();
        let found = condition.models.binary_search_by(|known| known.id.as_str().cmp(model));
        found.map_or(Residency::Unknown, |at| self.served.residency(&condition.models[at], condition.checked_at))
    }

    /// An answer of `model` came to its end.
    pub fn learn(&self, model: &str, sample: &Sample) {
        self.served.learn(model, sample);
    }

    /// `model` has read this prompt.
    pub fn has_read(&self, model: &str, prefix: &Prefix) {
        self.served.read(model, prefix);
    }

    /// The prompts that `model` has read lately.
    pub fn digest(&self, model: &str) -> Arc<Digest> {
        self.served.digest(model)
    }

    /// How fast `model` is here.
    pub fn pace(&self, model: &str) -> Pace {
        self.served.pace(model)
    }
}

/// Moving average: the first sample as it is, then (sample + 4 × old) / 5. The cell holds the average plus one.
fn average(cell: &AtomicU32, sample: u32) {
    average_over(cell, sample, 5);
}

/// The same over so many samples.
fn average_over(cell: &AtomicU32, sample: u32, window: u32) {
    let old = cell.load(Ordering::Relaxed);
    let new = match old.checked_sub(1) {
        None => u64::from(sample),
        Some(old) => (u64::from(sample) + u64::from(window - 1) * u64::from(old)) / u64::from(window),
    };
    cell.store(u32::try_from(new + 1).unwrap_or(u32::MAX), Ordering::Relaxed);
}

/// Requests that the time in a slot is averaged over: it differs from one to the next by far more than a latency does.
const WINDOW: u32 = 20;

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
        self.comes_no_more();
        self.is_over();
        let meter = &self.entry.meter;
        if self.served {
            let before = meter.services.fetch_add(1, Ordering::Relaxed);
            average_over(&meter.service, millis(self.since.elapsed()), before.saturating_add(1).min(WINDOW));
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

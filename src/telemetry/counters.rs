//! What is counted of requests as they end, for `/metrics` and `/v1/stats` alike. A request that was forwarded is counted by
//! its entry; what its backends did and what it cost, by the peer that owns them. Everything begins at 0 with the
//! process; what outlives it, money, is not kept here.

mod backends;
mod decisions;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts};

pub use backends::BackendCounts;
use backends::Backends;
use decisions::Decisions;

use super::shelf::{OTHER, Shelf};
use crate::gateway::{Attempted, LimitOf, Record, Witness};
use crate::route::{Plan, Rule};

/// What stands for a backend or model where none was asked.
const NONE: &str = "none";

/// Pairs of backend and model whose histograms are their own.
const MOST_SPREAD: usize = 200;

/// Upper ends of buckets: seconds, tokens, USD.
const SECONDS: [f64; 11] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];
const TOKENS: [f64; 13] =
    [10.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_000.0, 4_000.0, 8_000.0, 16_000.0, 32_000.0, 64_000.0, 128_000.0];
const USD: [f64; 11] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// Whether somebody lists a model: only such names become labels.
pub type IsListed = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// Counts what becomes of requests.
pub struct Counters {
    is_listed: IsListed,
    success: AtomicU64,
    errors: AtomicU64,
    /// By backend and model, of clients' requests.
    served: Shelf<Served>,
    /// Of anybody's requests.
    backends: Backends,
    /// By name.
    keys: Shelf<Key>,
    /// By model and kind of backend.
    costs: Shelf<Histogram>,
    /// By scope and name.
    limited: Shelf<IntCounter>,
    /// By kind of error and model.
    failures: Shelf<IntCounter>,
    /// By the model that was asked for and the one that answered.
    fallbacks: Shelf<IntCounter>,
    decisions: Decisions,
    families: Vec<Box<dyn Collector>>,
}

/// Clients' requests that one backend answered with one model.
struct Served {
    success: IntCounter,
    errors: IntCounter,
    spread: Spread,
    microseconds: AtomicU64,
}

/// How the requests of one backend and model are spread.
struct Spread {
    seconds: Histogram,
    prompt: Histogram,
    completion: Histogram,
}

/// Makes them: a pair of names is nearly fifty lines of text, so few pairs have their own.
struct Spreads {
    seconds: HistogramVec,
    tokens: HistogramVec,
    made: AtomicUsize,
}

impl Spreads {
    fn of(&self, backend: &str, model: &str) -> Spread {
        let is_early = self.made.fetch_add(1, Ordering::Relaxed) < MOST_SPREAD;
        let (backend, model) = if is_early { (backend, model) } else { (OTHER, OTHER) };
        Spread {
            seconds: self.seconds.with_label_values(&[backend, model]),
            prompt: self.tokens.with_label_values(&[backend, model, "prompt"]),
            completion: self.tokens.with_label_values(&[backend, model, "completion"]),
        }
    }
}

/// Requests of one client key.
struct Key {
    requests: IntCounter,
    prompt: IntCounter,
    completion: IntCounter,
}

/// How many requests there were, and how long they took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Took {
    /// Requests.
    pub requests: u64,
    /// Milliseconds, on average; 0 where there was none.
    pub average_ms: f64,
}

/// What one client key was used for here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyCounts {
    /// Requests.
    pub requests: u64,
    /// Tokens of prompts and answers.
    pub tokens: u64,
}

impl Counters {
    /// Nothing has been counted. `is_listed` says whether some backend lists a model.
    pub fn new(is_listed: IsListed) -> Self {
        let by_backend = &["backend", "model"];
        let requests = counter(
            "nexus_requests_total",
            "Requests of clients, by who answered and whether that went well.",
            &["backend", "model", "status"],
        );
        let seconds = histogram(
            "nexus_request_duration_seconds",
            "Seconds from a client's request to the end of its answer.",
            by_backend,
            &SECONDS,
        );
        let tokens = histogram(
            "nexus_tokens_total",
            "Tokens in a request, as told by the backend.",
            &["backend", "model", "type"],
            &TOKENS,
        );
        let costs = histogram(
            "nexus_cost_per_request_usd",
            "What a request to a vendor cost, in USD, where this peer paid for it and the price is known.",
            &["model", "backend_type"],
            &USD,
        );
        let limited = counter(
            "nexus_rate_limited_total",
            "Requests turned away, or backends passed over, by a limit in a minute.",
            &["scope", "name"],
        );
        let failures = counter(
            "nexus_errors_total",
            "Requests of clients that went wrong, by what went wrong.",
            &["error_type", "model"],
        );
        let fallbacks = counter(
            "nexus_fallbacks_total",
            "Requests of clients that another model answered than the one that was asked for.",
            &["from_model", "to_model"],
        );
        let (decisions, of_decisions) = Decisions::new();
        let key_requests = counter("nexus_key_requests_total", "Requests that came here with a client key.", &["key"]);
        let key_tokens =
            counter("nexus_key_tokens_total", "Tokens that were used here with a client key.", &["key", "type"]);
        let (backends, of_backends) = Backends::new();
        let mut families: Vec<Box<dyn Collector>> = vec![
            Box::new(failures.clone()),
            Box::new(fallbacks.clone()),
            Box::new(requests.clone()),
            Box::new(seconds.clone()),
            Box::new(tokens.clone()),
            Box::new(costs.clone()),
            Box::new(limited.clone()),
            Box::new(key_requests.clone()),
            Box::new(key_tokens.clone()),
        ];
        families.extend(of_decisions);
        families.extend(of_backends);
        let spreads = Spreads { seconds, tokens, made: AtomicUsize::new(0) };
        Counters {
            is_listed,
            success: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            served: Shelf::new(move |backend, model| Served {
                success: requests.with_label_values(&[backend, model, "success"]),
                errors: requests.with_label_values(&[backend, model, "error"]),
                spread: spreads.of(backend, model),
                microseconds: AtomicU64::new(0),
            }),
            backends,
            keys: Shelf::new(move |_, key| Key {
                requests: key_requests.with_label_values(&[key]),
                prompt: key_tokens.with_label_values(&[key, "prompt"]),
                completion: key_tokens.with_label_values(&[key, "completion"]),
            }),
            costs: Shelf::new(move |kind, model| costs.with_label_values(&[model, kind])),
            failures: Shelf::new(move |kind, model| failures.with_label_values(&[kind, model])),
            fallbacks: Shelf::new(move |from, to| fallbacks.with_label_values(&[from, to])),
            decisions,
            limited: Shelf::new(move |scope, name| limited.with_label_values(&[scope, name])),
            families,
        }
    }

    /// Clients' requests that went well, and those that did not.
    pub fn requests(&self) -> (u64, u64) {
        (self.success.load(Ordering::Relaxed), self.errors.load(Ordering::Relaxed))
    }

    /// Clients' requests by model, whoever answered, in order of names. Those that no backend was asked for are left out.
    pub fn models(&self) -> Vec<(Arc<str>, Took)> {
        let mut all: Vec<(Arc<str>, u64, f64)> = Vec::new();
        for (backend, model, served) in self.served.all() {
            if *backend != *NONE {
                all.push((model, served.requests(), real(served.microseconds.load(Ordering::Relaxed)) / 1_000.0));
            }
        }
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all.dedup_by(|later, first| {
            let same = later.0 == first.0;
            if same {
                first.1 += later.1;
                first.2 += later.2;
            }
            same
        });
        all.into_iter().map(|(model, requests, milliseconds)| (model, Took::of(requests, milliseconds))).collect()
    }

    /// What a backend of this peer has done, for whomever.
    pub fn backend(&self, name: &str) -> BackendCounts {
        self.backends.counts(name)
    }

    /// What a client key was used for here.
    pub fn key(&self, name: &str) -> KeyCounts {
        let of =
            |key: Arc<Key>| KeyCounts { requests: key.requests.get(), tokens: key.prompt.get() + key.completion.get() };
        self.keys.get("", name).map(of).unwrap_or_default()
    }

    /// The same, and what somebody else counts.
    #[must_use]
    pub fn and(mut self, counts: impl Collector + 'static) -> Self {
        self.families.push(Box::new(counts));
        self
    }

    pub(super) fn families(&self) -> &[Box<dyn Collector>] {
        &self.families
    }

    /// A model as a label: what clients make up is none.
    fn label_of<'a>(&self, record: &'a Record<'_>) -> &'a str {
        match record.model {
            Some(model) => model,
            None if (self.is_listed)(record.asked) => record.asked,
            None => NONE,
        }
    }

    fn client_was_served(&self, record: &Record<'_>) {
        let is_success = record.is_success();
        let sum = if is_success { &self.success } else { &self.errors };
        sum.fetch_add(1, Ordering::Relaxed);
        let served = self.served.of(record.backend.map_or(NONE, |backend| backend), self.label_of(record));
        let count = if is_success { &served.success } else { &served.errors };
        count.inc();
        served.spread.seconds.observe(record.took.as_secs_f64());
        served.microseconds.fetch_add(u64::try_from(record.took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        if let Some(kind) = record.error_type {
            self.failures.of(kind, self.label_of(record)).inc();
        }
        if let Some((from, to)) = record.fell_back {
            self.fallbacks.of(from, to).inc();
        }
        let key = record.key.map(|key| self.keys.of("", key));
        if let Some(key) = &key {
            key.requests.inc();
        }
        let Some((prompt, completion)) = record.tokens else { return };
        served.spread.prompt.observe(real(prompt));
        served.spread.completion.observe(real(completion));
        if let Some(key) = key {
            key.prompt.inc_by(prompt);
            key.completion.inc_by(completion);
        }
    }
}

impl Witness for Counters {
    fn ended(&self, record: &Record<'_>) {
        if !record.is_from_peer {
            self.client_was_served(record);
        }
        if let (Some(cost), Some(model)) = (record.cost_usd, record.model) {
            self.costs.of(record.backend_type, model).observe(cost);
        }
    }

    fn attempted(&self, attempted: &Attempted<'_>) {
        self.backends.attempted(attempted);
    }

    fn planned(&self, took: Duration, plan: &Plan) {
        self.decisions.planned(took, plan);
    }

    fn measured(&self, rule: Rule, took: Duration) {
        self.decisions.measured(rule, took);
    }

    fn limited(&self, whose: LimitOf, name: &str) {
        self.limited.of(whose.as_str(), name).inc();
    }
}

impl Served {
    fn requests(&self) -> u64 {
        self.success.get() + self.errors.get()
    }
}

impl Took {
    fn of(requests: u64, milliseconds: f64) -> Self {
        Took { requests, average_ms: if requests == 0 { 0.0 } else { milliseconds / real(requests) } }
    }
}

fn counter(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name, help), labels).expect("the names are good")
}

fn histogram(name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    HistogramVec::new(options, labels).expect("the names are good")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;

//! What becomes of requests and checks, told to the breakers of their backend; one line in the log when one opens or
//! closes. Where nothing is wrong a request touches no lock.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::breakers::{Breakers, Change, Grief, Probes};
use super::entry::{Entry, InFlight};
use super::quality::Quality;
use crate::fleet::{Breaker, Model};

/// The breakers of one backend.
pub(super) struct Ward {
    quality: Arc<Quality>,
    born: Instant,
    breakers: Mutex<Breakers>,
    /// Whether there is anything in them.
    troubled: AtomicBool,
}

/// What a request was sent for.
#[derive(Default)]
pub(super) struct Trial {
    model: Option<Arc<Model>>,
    probes: Probes,
}

impl Ward {
    pub(super) fn new(quality: Arc<Quality>) -> Self {
        let troubled = AtomicBool::new(false);
        Ward { quality, born: Instant::now(), breakers: Mutex::default(), troubled }
    }

    /// From now on the backend has these models; of others nothing is remembered.
    pub(super) fn has(&self, models: &[Arc<Model>]) {
        if self.is_troubled() {
            let mut breakers = self.lock();
            breakers.retain(|id| models.iter().any(|model| model.id == id));
            self.note(&breakers);
        }
    }

    fn is_troubled(&self) -> bool {
        self.troubled.load(Ordering::Relaxed)
    }

    /// What they say, where there is anything to say.
    fn ask<T: Default>(&self, question: impl FnOnce(&Breakers, u64) -> T) -> T {
        if self.is_troubled() { question(&self.lock(), self.now()) } else { T::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Breakers> {
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, breakers: &Breakers) {
        self.troubled.store(!breakers.are_quiet(), Ordering::Relaxed);
    }

    /// Milliseconds of its own clock.
    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Entry {
    /// Whether requests for `model` had better go elsewhere: breakers say so, or it has stopped to answer.
    pub fn keeps_away(&self, model: &str) -> bool {
        self.is_wedged() || self.ward.ask(|breakers, now| breakers.keep_away(model, now))
    }

    /// The same of everything that it has.
    pub(super) fn keeps_away_from_all(&self) -> bool {
        self.is_wedged()
            || self.ward.ask(|breakers, now| {
                let models = &self.condition().models;
                !models.is_empty() && models.iter().all(|model| breakers.keep_away(&model.id, now))
            })
    }

    /// Those of its breakers that are not closed, as they stand now.
    pub fn breakers(&self) -> Vec<Breaker> {
        self.ward.ask(Breakers::open)
    }

    pub(super) fn told_breakers(&self) -> Vec<Breaker> {
        self.ward.ask(Breakers::told)
    }

    /// Whether a connection to it failed lately, and nothing has been heard of it since.
    pub(super) fn is_cut_off(&self) -> bool {
        self.ward.ask(Breakers::is_cut_off)
    }

    pub(super) fn check_passed(&self) {
        if self.ward.is_troubled() {
            self.change(None, |breakers, _, _| breakers.check_passed());
        }
    }

    /// A check of it has failed.
    pub fn check_failed(&self) {
        if self.ward.is_troubled() {
            self.ward.lock().check_failed();
        }
    }

    /// Its models that took a request and said nothing, but for those that `may_ask` leaves out. Whoever asks for them takes
    /// over: no request probes them any more, they are left alone until they are heard of.
    pub fn silent(&self, may_ask: impl Fn(&Model) -> bool) -> Vec<Arc<Model>> {
        if !self.ward.is_troubled() {
            return Vec::new();
        }
        let (condition, mut breakers) = (self.condition(), self.ward.lock());
        let models = condition.models.iter().filter(|model| may_ask(model) && breakers.take_over_silence(&model.id));
        models.cloned().collect()
    }

    fn change(&self, model: Option<&str>, event: impl FnOnce(&mut Breakers, u64, &Quality) -> Vec<Change>) {
        let now = self.ward.now();
        let changes = {
            let mut breakers = self.ward.lock();
            let changes = event(&mut breakers, now, &self.ward.quality);
            self.ward.note(&breakers);
            changes
        };
        changes.into_iter().for_each(|change| report(&self.name, model, change));
    }
}

impl InFlight {
    /// It is about to be sent, for `model`: it is the probe of what has been left alone for long enough.
    pub fn sends(&mut self, model: &Arc<Model>) {
        self.is_over();
        let ward = &self.entry().ward;
        let probes = if ward.is_troubled() { ward.lock().send(&model.id, ward.now()) } else { Probes::default() };
        self.used = Some(self.entry().usage.enter(&model.id));
        self.trial = Trial { model: Some(model.clone()), probes };
    }

    /// Its first byte is here; `well` = what came is no 4xx, which says nothing for the backend nor against it.
    pub fn answered(&mut self, ttft: Duration, well: bool) {
        self.entry().timed(ttft);
        let Trial { model, probes } = std::mem::take(&mut self.trial);
        if let Some(model) = &model
            && self.entry().ward.is_troubled()
        {
            let answered = |breakers: &mut Breakers, now, quality: &Quality| {
                breakers.answered(&model.id, well, probes, now, quality)
            };
            self.entry().change(Some(&model.id), answered);
        }
        self.trial.model = model;
    }

    /// Nobody took its connection.
    pub fn refused(&mut self) {
        self.grieved(Grief::Refused);
        self.is_in_doubt();
    }

    /// Its connection broke.
    pub fn broken(&mut self) {
        self.grieved(Grief::Broken);
        self.is_in_doubt();
    }

    /// Nothing came in time.
    pub fn silent(&mut self) {
        self.grieved(Grief::Silent);
        self.entry().fell_silent.notify_one();
        self.is_in_doubt();
    }

    /// It was answered with an error of the backend's own.
    pub fn failed(&mut self) {
        self.grieved(Grief::Failed);
    }

    /// What it has read is not to be gone by any more, and a check is due.
    fn is_in_doubt(&self) {
        self.entry().served.forget_prompts();
        self.entry().check_now.notify_one();
    }

    fn grieved(&mut self, grief: Grief) {
        let Trial { model, probes } = std::mem::take(&mut self.trial);
        if let Some(model) = &model {
            let grieved = |breakers: &mut Breakers, now, quality: &Quality| {
                breakers.grieved(&model.id, grief, probes, now, quality)
            };
            self.entry().change(Some(&model.id), grieved);
        }
        self.trial.model = model;
    }

    /// Nothing more will be heard of it: where it was a probe, the next one is.
    pub(super) fn is_over(&mut self) {
        let Trial { model, probes } = std::mem::take(&mut self.trial);
        if let Some(model) = model
            && probes != Probes::default()
        {
            let ward = &self.entry().ward;
            ward.lock().give_back(&model.id, probes, ward.now());
        }
    }
}

fn report(backend: &str, model: Option<&str>, change: Change) {
    let model = model.filter(|_| !change.is_of_all());
    match change {
        Change::Opened { trouble, pause, again: false } => {
            let (seconds, why) = (pause.as_secs(), trouble.sentence());
            warn!(target: "nexus::health", event = "breaker_opened", backend, model, trouble = trouble.as_str(), seconds,
                "Backend is left alone for {seconds} s: {why}");
        }
        Change::Opened { trouble, pause, again: true } => {
            debug!(target: "nexus::health", backend, model, trouble = trouble.as_str(), seconds = pause.as_secs(),
                "Backend is left alone again");
        }
        Change::Closed(trouble) => {
            info!(target: "nexus::health", event = "breaker_closed", backend, model, trouble = trouble.as_str(),
                "Backend is used again");
        }
    }
}

//! A backend of the laboratory: slots that do not slow each other down and a line before them, counted and measured by the
//! product's own registry.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use nexus::fleet::{BackendSpec, Kind, Load, Pace, Source};
use nexus::registry::{Entry, InFlight, Registry, Sample, Waiting};

use super::setting::{MODEL, Micros, Request, Service, Setting};

/// A backend.
pub(super) struct Backend {
    /// Time that its slots were taken, all together.
    pub(super) busy: Micros,
    /// Requests that wait, first come first served.
    line: VecDeque<(usize, Waiting)>,
    entry: Arc<Entry>,
}

impl Backend {
    /// Those of a setting, idle and not yet measured.
    pub(super) fn all(setting: &Setting) -> Vec<Self> {
        let registry = Registry::new(Vec::new());
        let backend = |number: usize| {
            let url = "http://127.0.0.1:1".parse().expect("a URL");
            let spec = BackendSpec::new(number.to_string(), url, Kind::Generic, Source::Static);
            let spec = BackendSpec { concurrency: Some(setting.slots), ..spec };
            Backend { busy: 0, line: VecDeque::new(), entry: registry.add(spec).expect("names are numbers") }
        };
        (0..setting.speeds.len()).map(backend).collect()
    }

    /// Whether some slot does nothing.
    pub(super) fn has_idle_slot(&self) -> bool {
        !self.load().is_full()
    }

    /// A slot for one more request, unless others wait for one.
    pub(super) fn begin(&self) -> Option<InFlight> {
        if self.line.is_empty() { self.entry.begin().ok() } else { None }
    }

    /// A request waits.
    pub(super) fn enter(&mut self, request: usize) {
        self.line.push_back((request, self.entry.wait()));
    }

    /// The next of those who wait, if there is a slot for it.
    pub(super) fn next(&mut self) -> Option<(usize, InFlight)> {
        let (request, _) = self.line.front()?;
        let next = (*request, self.entry.begin().ok()?);
        self.line.pop_front();
        Some(next)
    }

    /// How many stand before this request, and how many behind it; if it waits.
    pub(super) fn around(&self, request: usize) -> Option<(usize, usize)> {
        let before = self.line.iter().position(|(waiting, _)| *waiting == request)?;
        Some((before, self.line.len() - 1 - before))
    }

    /// It waits no more.
    pub(super) fn leave(&mut self, request: usize) {
        self.line.retain(|(waiting, _)| *waiting != request);
    }

    /// Who waits, the last first.
    pub(super) fn waiting(&self) -> impl Iterator<Item = usize> {
        self.line.iter().rev().map(|(request, _)| *request)
    }

    /// The first token of a request is there.
    pub(super) fn answered(&self, service: Service) {
        self.entry.timed(Duration::from_micros(service.first));
    }

    /// A request is answered to its end, and frees its slot.
    pub(super) fn end(&self, mut lease: InFlight, service: Service, request: &Request) {
        let (first, rest) =
            (Duration::from_micros(service.first), Duration::from_micros(service.whole - service.first));
        let (prompt, answer) = (request.prompt as u64, request.answer as u64);
        lease.served();
        if answer > 1 && !rest.is_zero() {
            self.entry.decoded((answer - 1) as f32 / rest.as_secs_f32());
        }
        self.entry.learn(MODEL, &Sample { prompt, cached: 0, answer, first, rest, cold: false });
    }

    /// What its owner knows of it.
    pub(super) fn load(&self) -> Load {
        self.entry.load()
    }

    /// How fast it has been.
    pub(super) fn pace(&self) -> Pace {
        self.entry.pace(MODEL)
    }
}

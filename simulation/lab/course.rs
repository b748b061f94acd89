//! One course of events: the requests of a seed, routed in one way, until the last of them is answered.

mod look;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use nexus::env::Seed;
use nexus::fleet::Load;
use nexus::registry::{Away, InFlight};
use rand::RngExt;

use super::admission::{Attempt, Choice};
use super::backend::Backend;
use super::clock::Clock;
use super::router::{Router, Way};
use super::setting::{Micros, Request, Service, Setting};
use super::sight::{Known, Sight};

/// What became of everything.
pub(super) struct Course {
    /// By request.
    pub(super) tracks: Vec<Track>,
    /// Time that the slots of each backend were taken, as a share of all there was.
    pub(super) busy: Vec<f64>,
}

/// What became of a request.
#[derive(Clone, Default)]
pub(super) struct Track {
    /// From its arrival to its last token, back at the entry.
    pub(super) took: Micros,
    /// How often another owner was asked.
    pub(super) asked: u32,
    /// It has stood in a line.
    pub(super) waited: bool,
    /// It stood in a line while a slot was idle somewhere.
    pub(super) waited_beside_idle: bool,
}

enum Event {
    Arrival(usize),
    News { entry: usize, backend: usize },
    Knock { request: usize, choice: Choice, may_wait: Duration },
    Look { request: usize, choice: Choice, late_at: Micros },
    Refusal { request: usize, choice: Choice, load: Load },
    FirstToken { request: usize, backend: usize },
    Reply { entry: usize, backend: usize, load: Load },
    End { request: usize, backend: usize },
    Back(usize),
}

/// The events to come, each with its time and a number that orders those of one moment.
#[derive(Default)]
struct Diary {
    order: BinaryHeap<Reverse<(Micros, usize)>>,
    events: Vec<Option<Event>>,
}

impl Diary {
    fn note(&mut self, at: Micros, event: Event) {
        self.order.push(Reverse((at, self.events.len())));
        self.events.push(Some(event));
    }

    fn next(&mut self) -> Option<(Micros, Event)> {
        let Reverse((at, number)) = self.order.pop()?;
        Some((at, self.events[number].take()?))
    }
}

struct Run<'a> {
    setting: &'a Setting,
    requests: &'a [Request],
    way: &'a Way,
    router: Router<'a>,
    backends: Vec<Backend>,
    sight: Sight,
    diary: Diary,
    clock: &'a Clock,
    now: Micros,
    attempts: Vec<Option<Attempt>>,
    held: Vec<Held>,
    tracks: Vec<Track>,
    open: usize,
}

/// What a request holds.
#[derive(Default)]
struct Held {
    slot: Option<InFlight>,
    away: Option<Away>,
}

/// Runs it.
pub(super) fn run(setting: &Setting, requests: &[Request], way: &Way, seed: u64) -> Course {
    let clock = Clock::new();
    let _entered = clock.enter();
    let backends = Backend::all(setting);
    let mut run = Run {
        setting,
        requests,
        way,
        router: Router::new(setting, way, seed),
        sight: Sight::new(setting.speeds.len(), &backends, clock.instant(0)),
        backends,
        diary: Diary::default(),
        clock: &clock,
        now: 0,
        attempts: requests.iter().map(|_| None).collect(),
        held: requests.iter().map(|_| Held::default()).collect(),
        tracks: vec![Track::default(); requests.len()],
        open: requests.len(),
    };
    run.begin(seed);
    while run.open > 0 {
        let (now, event) = run.diary.next().expect("an open request has something to come");
        run.now = now;
        run.happen(event);
    }
    let all = run.now.max(1) as f64 * f64::from(setting.slots);
    Course { tracks: run.tracks, busy: run.backends.iter().map(|backend| backend.busy as f64 / all).collect() }
}

impl Run<'_> {
    fn begin(&mut self, seed: u64) {
        let mut dice = Seed::fixed(seed).fork("news");
        let listeners = if self.way.goes_by_news() { self.setting.speeds.len() } else { 0 };
        for entry in 0..listeners {
            for backend in (0..self.setting.speeds.len()).filter(|backend| *backend != entry) {
                self.diary.note(dice.random_range(0..self.setting.news_every), Event::News { entry, backend });
            }
        }
        for (number, request) in self.requests.iter().enumerate() {
            self.diary.note(request.at, Event::Arrival(number));
        }
    }

    fn happen(&mut self, event: Event) {
        if let Event::News { entry, backend } = event {
            return self.hear(entry, backend);
        }
        self.clock.reach(self.now);
        match event {
            Event::News { .. } => {}
            Event::Arrival(request) => self.arrive(request),
            Event::Knock { request, choice, may_wait } => self.knock(request, choice, may_wait),
            Event::Look { request, choice, late_at } => self.look(request, choice, late_at),
            Event::Refusal { request, choice, load } => self.refused(request, choice, load),
            Event::FirstToken { request, backend } => self.first_token(request, backend),
            Event::Reply { entry, backend, load } => self.sight.told(entry, backend, load),
            Event::End { request, backend } => self.end(request, backend),
            Event::Back(request) => self.held[request].away = None,
        }
        self.mark_those_who_wait();
    }

    fn hear(&mut self, entry: usize, backend: usize) {
        self.sight.hear(entry, backend, Known::of(&self.backends[backend]), self.clock.instant(self.now));
        self.diary.note(self.now + self.setting.news_every, Event::News { entry, backend });
    }

    fn arrive(&mut self, number: usize) {
        let plan = self.plan(number);
        if !self.way.asks_owners() {
            return self.send(number, plan[0], Duration::MAX);
        }
        self.attempts[number] = Some(Attempt::new(self.requests[number].entry, plan));
        self.go_on(number);
    }

    /// The backends for a request, best first, by what its entry knows now.
    fn plan(&mut self, number: usize) -> Vec<Choice> {
        let request = &self.requests[number];
        let known: Vec<Known> = match self.way.sees_all() {
            true => self.backends.iter().map(Known::of).collect(),
            false => self.sight.known(request.entry, &self.backends, self.way.puts_right()),
        };
        self.router.rank(number, request, &known)
    }

    /// Takes the next step of an attempt.
    fn go_on(&mut self, number: usize) {
        let entry = self.requests[number].entry;
        let here = self.backends[entry].load().expected_wait();
        let Some(attempt) = &mut self.attempts[number] else { return };
        match attempt.next() {
            Some(choice) if choice.backend == entry => self.send(number, choice, choice.worth),
            Some(choice) => self.send(number, choice, choice.may_wait_there()),
            None => {
                let best = Choice { backend: attempt.best(here), ..Choice::default() };
                self.send(number, best, Duration::MAX);
            }
        }
    }

    fn send(&mut self, request: usize, choice: Choice, may_wait: Duration) {
        let (entry, backend) = (self.requests[request].entry, choice.backend);
        if entry == backend {
            return self.knock(request, choice, may_wait);
        }
        self.tracks[request].asked += 1;
        self.held[request].away = Some(self.sight.send(entry, backend));
        let there = self.now + self.setting.way(entry, backend);
        self.diary.note(there, Event::Knock { request, choice, may_wait });
    }

    fn knock(&mut self, request: usize, choice: Choice, may_wait: Duration) {
        let (entry, backend) = (self.requests[request].entry, choice.backend);
        if let Some(slot) = self.backends[backend].begin() {
            return self.serve(request, backend, slot);
        }
        let load = self.backends[backend].load();
        if load.expected_wait() <= may_wait {
            self.tracks[request].waited = true;
            self.backends[backend].enter(request);
            if may_wait < Duration::MAX {
                let late_at = self.now + may_wait.as_micros() as Micros;
                self.diary.note(self.now + look::EVERY, Event::Look { request, choice, late_at });
            }
        } else if entry == backend {
            self.miss(request, choice, None);
        } else {
            let back = self.now + self.setting.way(entry, backend);
            self.diary.note(back, Event::Refusal { request, choice, load });
        }
    }

    fn refused(&mut self, request: usize, choice: Choice, load: Load) {
        self.sight.told(self.requests[request].entry, choice.backend, load);
        self.held[request].away = None;
        self.miss(request, choice, Some(load));
    }

    /// There was no slot.
    fn miss(&mut self, request: usize, choice: Choice, load: Option<Load>) {
        let plan = (load.is_some() && self.way.plans_anew()).then(|| self.plan(request));
        if let Some(attempt) = &mut self.attempts[request] {
            attempt.refused(choice, load);
            plan.into_iter().for_each(|plan| attempt.reorder(plan));
        }
        self.go_on(request);
    }

    fn serve(&mut self, request: usize, backend: usize, slot: InFlight) {
        let service = self.service(request, backend);
        self.held[request].slot = Some(slot);
        self.backends[backend].busy += service.whole;
        self.diary.note(self.now + service.first, Event::FirstToken { request, backend });
        self.diary.note(self.now + service.whole, Event::End { request, backend });
    }

    fn first_token(&mut self, request: usize, backend: usize) {
        let (entry, service) = (self.requests[request].entry, self.service(request, backend));
        self.backends[backend].answered(service);
        if entry != backend {
            let load = self.backends[backend].load();
            let back = self.now + self.setting.way(entry, backend);
            self.diary.note(back, Event::Reply { entry, backend, load });
        }
    }

    fn end(&mut self, number: usize, backend: usize) {
        let (request, service) = (&self.requests[number], self.service(number, backend));
        let back = self.now + self.setting.way(request.entry, backend);
        self.tracks[number].took = back - request.at;
        self.open -= 1;
        let slot = self.held[number].slot.take().expect("a request that is served has a slot");
        self.backends[backend].end(slot, service, request);
        if request.entry != backend {
            self.diary.note(back, Event::Back(number));
        }
        if let Some((next, slot)) = self.backends[backend].next() {
            self.serve(next, backend, slot);
        }
    }

    fn service(&self, request: usize, backend: usize) -> Service {
        self.setting.service(backend, self.requests[request].prompt, self.requests[request].answer)
    }

    fn mark_those_who_wait(&mut self) {
        if !self.backends.iter().any(Backend::has_idle_slot) {
            return;
        }
        for backend in &self.backends {
            // Whoever stands before one that is marked is marked, too.
            for request in backend.waiting() {
                if std::mem::replace(&mut self.tracks[request].waited_beside_idle, true) {
                    break;
                }
            }
        }
    }
}

//! What is tried: how many entries, which backends, how old the news, and who asks for what and when.

use nexus::env::{Dice, Seed};
use rand::RngExt;

/// Virtual time, in microseconds.
pub(super) type Micros = u64;

/// A second of it.
pub(super) const SECOND: Micros = 1_000_000;

/// From one peer to another.
pub(super) const HOP: Micros = 2_000;

/// Tokens of prompt and of answer, on average.
pub(super) const MEAN_PROMPT: f64 = 400.0;
pub(super) const MEAN_ANSWER: f64 = 256.0;

/// What everybody asks for.
pub(super) const MODEL: &str = "m";

/// Spread of the logarithm of the length of prompts.
const PROMPT_SPREAD: f64 = 1.0;

/// A backend reads so many times faster than it writes.
const PREFILL: f64 = 20.0;

/// A mesh and what is asked of it. Peer `n` owns backend `n`; the first of them are entries, too.
pub(super) struct Setting {
    /// What it is called.
    pub(super) name: &'static str,
    /// Peers that clients come to.
    pub(super) entries: usize,
    /// Tokens a second of each backend, for one request.
    pub(super) speeds: &'static [f64],
    /// Requests at once, of each backend.
    pub(super) slots: u32,
    /// When who asks.
    pub(super) traffic: Traffic,
    /// How often each peer hears of each backend.
    pub(super) news_every: Micros,
}

/// When requests come.
pub(super) enum Traffic {
    /// So many, at this share of what all backends can do.
    Steady { count: usize, load: f64 },
    /// So many at any moment within so long.
    Burst { count: usize, within: Micros },
}

const UNEVEN: Setting = Setting {
    name: "uneven-1s",
    entries: 5,
    speeds: &[58.0, 40.0, 30.0, 22.0, 15.0, 10.0],
    slots: 2,
    traffic: Traffic::Steady { count: 2_000, load: 0.75 },
    news_every: SECOND,
};

/// All that is tried.
pub(super) const SETTINGS: &[Setting] = &[
    UNEVEN,
    Setting { name: "uneven-5s", news_every: 5 * SECOND, ..UNEVEN },
    Setting {
        name: "burst",
        entries: 3,
        speeds: &[30.0; 6],
        slots: 2,
        traffic: Traffic::Burst { count: 12, within: 50_000 },
        news_every: SECOND,
    },
];

/// Somebody asks for something.
pub(super) struct Request {
    /// When.
    pub(super) at: Micros,
    /// Whom.
    pub(super) entry: usize,
    /// Tokens of prompt.
    pub(super) prompt: f64,
    /// Tokens of answer.
    pub(super) answer: f64,
}

/// Time that a backend works on a request.
#[derive(Clone, Copy)]
pub(super) struct Service {
    /// Until the first token.
    pub(super) first: Micros,
    /// Altogether.
    pub(super) whole: Micros,
}

impl Setting {
    /// What is asked with this seed, in order of time. Every router is asked the same.
    pub(super) fn requests(&self, seed: u64) -> Vec<Request> {
        let mut dice = Seed::fixed(seed).fork("arrivals");
        let mut requests: Vec<Request> = Vec::new();
        match self.traffic {
            Traffic::Steady { count, load } => {
                let (mut now, apart) = (0.0, SECOND as f64 / (load * self.capacity()));
                for _ in 0..count {
                    now += apart * exponential(&mut dice);
                    requests.push(self.request(now as Micros, &mut dice));
                }
            }
            Traffic::Burst { count, within } => {
                for _ in 0..count {
                    let at = SECOND + dice.random_range(0..within);
                    requests.push(self.request(at, &mut dice));
                }
                requests.sort_by_key(|request| request.at);
            }
        }
        requests
    }

    fn request(&self, at: Micros, dice: &mut Dice) -> Request {
        let entry = dice.random_range(0..self.entries);
        let middle = MEAN_PROMPT.ln() - PROMPT_SPREAD * PROMPT_SPREAD / 2.0;
        let prompt = (middle + PROMPT_SPREAD * normal(dice)).exp().ceil();
        let answer = (MEAN_ANSWER * exponential(dice)).ceil().max(1.0);
        Request { at, entry, prompt, answer }
    }

    /// Average requests a second that all slots together can serve.
    fn capacity(&self) -> f64 {
        let tokens = MEAN_PROMPT / PREFILL + MEAN_ANSWER;
        self.speeds.iter().map(|speed| f64::from(self.slots) * speed / tokens).sum()
    }

    /// How long this backend works on a prompt and an answer of so many tokens.
    pub(super) fn service(&self, backend: usize, prompt: f64, answer: f64) -> Service {
        let speed = self.speeds[backend];
        let micros = |seconds: f64| (seconds * SECOND as f64) as Micros;
        let first = micros(prompt / (speed * PREFILL));
        Service { first, whole: first + micros(answer / speed) }
    }

    /// How long it takes from this entry to the owner of this backend.
    pub(super) fn way(&self, entry: usize, backend: usize) -> Micros {
        if entry == backend { 0 } else { HOP }
    }
}

/// Of mean 1.
fn exponential(dice: &mut Dice) -> f64 {
    -(1.0 - dice.random::<f64>()).ln()
}

/// Of mean 0 and deviation 1, by Box and Muller.
fn normal(dice: &mut Dice) -> f64 {
    let (one, other): (f64, f64) = (dice.random(), dice.random());
    (-2.0 * (1.0 - one).ln()).sqrt() * (std::f64::consts::TAU * other).cos()
}

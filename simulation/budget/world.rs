//! The machines of one run and what can be done with them; what happens is for `course`, what must be true for `claims`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nexus::budget::{Amount, Heard, Treasury};
use nexus::env::{Dice, RealNet};
use nexus::fleet::{Account, Holder, LedgerFacts, Row, Terms};
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep};

use super::book::Book;
use super::disk::{LabClock, LabDisk};
use super::machine::{Machine, State};
use super::setting::Setting;
use super::wire::{Wires, peer};

/// One run.
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) setting: Setting,
    pub(super) dice: Dice,
    pub(super) machines: Vec<Machine>,
    pub(super) wires: Wires,
    pub(super) book: Arc<Mutex<Book>>,
    /// The last row of each holder in each account, as it told it itself.
    pub(super) rows: BTreeMap<(Holder, Arc<str>), Row>,
    /// Whom each holder has ever heard.
    pub(super) met: BTreeMap<Holder, BTreeSet<Holder>>,
    pub(super) counts: BTreeMap<&'static str, u64>,
    pub(super) start: Instant,
    net: Arc<RealNet>,
}

/// How a call ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    NotSent,
    /// Nobody ever says what it cost.
    Unsettled,
    /// It cost so many percent of what was set aside.
    Settled(u64),
}

pub(super) fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(super) fn new(seed: u64, setting: Setting) -> Self {
        let wires = Wires::new(seed ^ 0x5eed, setting.loss, setting.slowest_ms);
        let dice = Dice::seed_from_u64(seed);
        let mut world = World {
            seed,
            setting,
            dice,
            machines: Vec::new(),
            wires,
            book: Arc::default(),
            rows: BTreeMap::new(),
            met: BTreeMap::new(),
            counts: BTreeMap::new(),
            start: Instant::now(),
            net: Arc::new(RealNet),
        };
        for number in 0..world.setting.machines {
            world.join(world.setting.has_maker && number == 0);
        }
        world
    }

    /// Another machine joins.
    pub(super) fn join(&mut self, made_here: bool) {
        let number = self.machines.len();
        let disk = LabDisk::new(self.seed ^ (number as u64) << 40, self.setting.slowest_disk_ms);
        let elapsed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let clock = LabClock::new(self.setting.start_ms + elapsed);
        clock.set_ahead(self.setting.skew(&mut self.dice));
        let terms = self.setting.terms(&mut self.dice);
        self.machines.push(Machine::new(number, disk, clock, terms, made_here));
        self.start_machine(number);
    }

    /// A machine starts, again or for the first time.
    pub(super) fn start_machine(&mut self, number: usize) {
        if self.dice.random_bool(0.3) {
            self.machines[number].terms = self.setting.terms(&mut self.dice);
        }
        let terms = self.machines[number].terms;
        self.limited(terms);
        let treasury = self.machines[number].start(self.seed, &self.net, &self.wires);
        let refused: Vec<String> =
            treasury.warnings().into_iter().filter(|line| line.starts_with("nothing is spent")).collect();
        lock(&self.book).broken.extend(refused.into_iter().map(|line| format!("OPENS: m{number}: {line}")));
        self.look_at(number);
    }

    fn limited(&self, terms: Terms) {
        let mut book = lock(&self.book);
        book.limited("budget", terms.limit);
        book.limited("key", self.setting.key_limit);
    }

    /// A machine dies, with its disk or without, and may come back or not.
    pub(super) fn crash(&mut self, number: usize) {
        self.look_at(number);
        self.machines[number].crash(&self.wires);
    }

    /// Looks at what a machine says of itself.
    pub(super) fn look_at(&mut self, number: usize) {
        let machine = &mut self.machines[number];
        let Some(treasury) = &machine.treasury else { return };
        let Some(facts) = treasury.facts() else { return };
        if facts.holder != machine.holder {
            *self.counts.entry("voided").or_default() += 1;
            lock(&self.book).void(machine.holder.clone());
            machine.holder = facts.holder.clone();
        }
        lock(&self.book).check_figure(&facts);
        for row in facts.rows.iter().filter(|row| row.holder == facts.holder) {
            self.rows.insert((row.holder.clone(), row.account.name.clone()), row.clone());
        }
    }

    /// A machine hears the others: what they say now, or some time ago, or nothing.
    pub(super) async fn hear(&mut self, number: usize, is_fresh: bool) {
        for other in (0..self.machines.len()).filter(|other| *other != number) {
            let passes = self.machines[other].is_up() && !self.wires.is_cut(other, number);
            let is_noticed = is_fresh || self.dice.random_bool(0.8);
            if !passes {
                if let Some(heard) = self.machines[number].heard.get_mut(&other).filter(|_| is_noticed) {
                    heard.living = false;
                }
                continue;
            }
            let facts = match is_noticed {
                true => self.machines[other].tell(),
                false => {
                    let at = self.dice.random_range(0..4_usize);
                    self.machines[other].told.get(at).cloned()
                }
            };
            if let Some(facts) = facts {
                self.note_met(number, &facts);
                let heard = Heard { peer: peer(other), name: format!("m{other}"), living: true, facts };
                self.machines[number].heard.insert(other, heard);
            }
        }
        let machine = &self.machines[number];
        let Some(treasury) = machine.treasury.clone() else { return };
        let heard: Vec<Heard> = machine.heard.values().cloned().collect();
        treasury.hear(&heard);
        self.look_at(number);
        // Whom it has met is on disk before anything else happens: see docs/BUDGET.md for what is not covered.
        treasury.flush().await;
    }

    fn note_met(&mut self, number: usize, facts: &LedgerFacts) {
        let holder = self.machines[number].holder.clone();
        self.met.entry(holder).or_default().insert(facts.holder.clone());
    }

    /// Everybody who is there hears everybody, as things are now.
    pub(super) async fn round(&mut self) {
        for number in 0..self.machines.len() {
            if self.machines[number].is_up() {
                self.hear(number, true).await;
            }
        }
    }

    /// A client calls.
    pub(super) fn call(&mut self, number: usize, nanos: u64, end: End) {
        let machine = &self.machines[number];
        let Some(treasury) = machine.treasury.clone() else { return };
        let with_key = self.setting.with_keys && self.dice.random_bool(0.5);
        let amount = Amount { nanos, of_caller: with_key.then(|| key_of(&treasury, self.setting.key_limit)).flatten() };
        let patience = Duration::from_millis(self.dice.random_range(100..6_000));
        let takes = Duration::from_millis(self.dice.random_range(0..40_000));
        let book = self.book.clone();
        machine.tasks.spawn("call", async move {
            let Ok(mut hold) = treasury.hold(&amount, patience).await else {
                lock(&book).refused += 1;
                return;
            };
            if let End::NotSent = end {
                return;
            }
            hold.sent();
            lock(&book).called(&hold);
            sleep(takes).await;
            if let End::Settled(percent) = end {
                let cost = hold.nanos() / 100 * percent;
                lock(&book).cost(&hold, cost);
                hold.settle(cost);
            }
        });
    }

    /// Numbers of the machines that are up.
    pub(super) fn up(&self) -> Vec<usize> {
        self.machines.iter().filter(|machine| machine.is_up()).map(|machine| machine.number).collect()
    }

    /// Holders whose ledger is on a disk that will be read again.
    pub(super) fn extant(&self) -> BTreeSet<Holder> {
        let is_there = |machine: &&Machine| matches!(machine.state, State::Up | State::Off { given_up: false });
        self.machines.iter().filter(is_there).map(|machine| machine.holder.clone()).collect()
    }

    pub(super) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }
}

/// The account of a client, which whoever founded the budget held at first.
fn key_of(treasury: &Treasury, limit: u64) -> Option<(Account, u64)> {
    let founding = treasury.facts()?.founding?;
    let account = Account { name: format!("key@{}", founding.id).into(), root: founding.holder };
    Some((account, limit))
}

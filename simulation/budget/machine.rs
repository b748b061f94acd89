//! One machine of the laboratory: its disk and clock, which outlast its process, and the treasury that runs on it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use nexus::budget::{Heard, MeshKind, Setup, Treasury};
use nexus::env::{Env, Exchange, NoMdns, RealNet, Seed, Tasks};
use nexus::fleet::{Holder, LedgerFacts, Terms};

use super::disk::{LabClock, LabDisk};
use super::wire::{Wire, Wires, peer};

/// What a machine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Up,
    /// Down, with its disk. `given_up`: the others may forget it, though it will come back.
    Off {
        given_up: bool,
    },
    /// Destroyed.
    Gone,
}

/// A machine.
pub(super) struct Machine {
    pub(super) number: usize,
    pub(super) state: State,
    pub(super) disk: Arc<LabDisk>,
    pub(super) clock: Arc<LabClock>,
    pub(super) terms: Terms,
    pub(super) made_here: bool,
    pub(super) treasury: Option<Arc<Treasury>>,
    pub(super) tasks: Tasks,
    /// Whose ledger it has.
    pub(super) holder: Holder,
    /// The last that it heard of each machine.
    pub(super) heard: BTreeMap<usize, Heard>,
    /// The last that it told.
    pub(super) told: VecDeque<Arc<LedgerFacts>>,
    lives: u64,
}

/// What was told before is heard late: so many of the last.
const LATE: usize = 4;

impl Machine {
    pub(super) fn new(number: usize, disk: LabDisk, clock: LabClock, terms: Terms, made_here: bool) -> Self {
        Machine {
            number,
            state: State::Off { given_up: false },
            disk: Arc::new(disk),
            clock: Arc::new(clock),
            terms,
            made_here,
            treasury: None,
            tasks: Tasks::new(),
            holder: Holder::named("none"),
            heard: BTreeMap::new(),
            told: VecDeque::new(),
            lives: 0,
        }
    }

    /// Starts its process.
    pub(super) fn start(&mut self, seed: u64, net: &Arc<RealNet>, wires: &Wires) -> Arc<Treasury> {
        self.lives += 1;
        self.tasks = Tasks::new();
        let number = seed.wrapping_mul(1_000_003) ^ (self.number as u64) << 32 ^ self.lives;
        let env = Env {
            http: Arc::new(Exchange::new(net.clone(), Env::CONNECT_DEADLINE)),
            net: net.clone(),
            mdns: Arc::new(NoMdns),
            clock: self.clock.clone(),
            seed: Seed::fixed(number),
            disk: self.disk.clone(),
            tasks: self.tasks.clone(),
        };
        let mesh = MeshKind::Keyed { tag: "lab".to_owned(), made_here: self.made_here, invited: !self.made_here };
        let setup = Setup {
            directory: "/data".into(),
            peer: peer(self.number).as_str().to_owned(),
            name: format!("m{}", self.number),
            terms: Some(self.terms),
            mesh,
        };
        let treasury = Treasury::open(setup, &env);
        treasury.lend_with(Arc::new(Wire { wires: wires.clone(), number: self.number }));
        wires.plug(self.number, Some((treasury.clone(), self.tasks.clone())));
        self.holder = treasury.holder();
        self.state = State::Up;
        self.treasury = Some(treasury.clone());
        treasury
    }

    /// Its process dies, and whatever was not on disk is lost.
    pub(super) fn crash(&mut self, wires: &Wires) {
        self.disk.crash();
        self.tasks.cancel();
        wires.plug(self.number, None);
        self.treasury = None;
        self.heard.clear();
        self.told.clear();
        self.state = State::Off { given_up: false };
    }

    /// What it tells now. What it told before is kept for those who hear late.
    pub(super) fn tell(&mut self) -> Option<Arc<LedgerFacts>> {
        let facts = Arc::new(self.treasury.as_ref()?.facts()?);
        self.told.push_back(facts.clone());
        if self.told.len() > LATE {
            self.told.pop_front();
        }
        Some(facts)
    }

    pub(super) fn is_up(&self) -> bool {
        self.state == State::Up
    }
}

//! Several ledgers, their files and their messages, without disks and networks: whatever happens in whatever order, the
//! limit holds and the file makes the same ledger again.

use proptest::prelude::*;

use super::*;
use crate::fleet::parts_of;

const LIMIT: u64 = 1_000_000;
const BUDGET: &str = "budget@f";

fn month(number: u32) -> Month {
    (0..number).fold("2026-11".parse().expect("a month"), |month: Month, _| month.next())
}

fn account() -> Account {
    Account { name: BUDGET.into(), root: Holder::named("h0") }
}

/// A ledger and its file.
struct Peer {
    ledger: Ledger,
    file: Vec<Record>,
    /// Records that are on disk.
    synced: usize,
    /// Gifts on their way to the disk.
    on_its_way: Vec<Record>,
    /// Amounts set aside for calls that went out, in this life.
    open: Vec<(HoldId, Month, u64)>,
}

impl Peer {
    fn new(number: usize) -> Self {
        let ledger = Ledger::new(Holder::named(format!("h{number}")), "peer".to_owned(), month(0));
        let file = ledger.records().to_vec();
        let mut peer = Peer { ledger, synced: file.len(), file, on_its_way: Vec::new(), open: Vec::new() };
        peer.note(Record::Opened(account()));
        peer
    }

    fn note(&mut self, record: Record) {
        self.ledger.apply(&record);
        self.file.push(record);
    }

    fn commit(&mut self, record: Record) {
        self.note(record);
        self.synced = self.file.len();
    }

    fn written(&mut self) {
        self.synced = self.file.len();
        // The later of two that wait may be woken first.
        for record in std::mem::take(&mut self.on_its_way).into_iter().rev() {
            self.ledger.apply(&record);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Hold { at: usize, amount: u64 },
    Settle { at: usize, which: usize, percent: u64 },
    Ask { from: usize, to: usize, amount: u64 },
    Written { at: usize },
    Tell { from: usize, to: usize },
    Late { which: usize },
    Turn { at: usize, to: u32 },
    Crash { at: usize },
    Rewrite { at: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (at, amount) = (0..3_usize, 1..=LIMIT / 2);
    let step = prop_oneof![
        4 => (at.clone(), amount.clone()).prop_map(|(at, amount)| Step::Hold { at, amount }),
        2 => (at.clone(), 0..9_usize, 0..=100_u64).prop_map(|(at, which, percent)| Step::Settle { at, which, percent }),
        4 => (at.clone(), at.clone(), amount).prop_map(|(from, to, amount)| Step::Ask { from, to, amount }),
        3 => at.clone().prop_map(|at| Step::Written { at }),
        3 => (at.clone(), at.clone()).prop_map(|(from, to)| Step::Tell { from, to }),
        3 => (0..50_usize).prop_map(|which| Step::Late { which }),
        1 => (at.clone(), 0..3_u32).prop_map(|(at, to)| Step::Turn { at, to }),
        1 => at.clone().prop_map(|at| Step::Crash { at }),
        1 => at.prop_map(|at| Step::Rewrite { at }),
    ];
    proptest::collection::vec(step, 1..80)
}

struct World {
    peers: Vec<Peer>,
    /// What was ever told: who to, who by, and what was given in all.
    told: Vec<(usize, Holder, Gift)>,
    /// What was really spent: by whom, in which month.
    spent: BTreeMap<(usize, Month), u64>,
}

impl World {
    fn new() -> Self {
        World { peers: (0..3).map(Peer::new).collect(), told: Vec::new(), spent: BTreeMap::new() }
    }

    fn happen(&mut self, step: &Step) {
        match *step {
            Step::Hold { at, amount } => self.hold(at, amount),
            Step::Settle { at, which, percent } => {
                let peer = &mut self.peers[at];
                if which < peer.open.len() {
                    let (id, month, amount) = peer.open.remove(which);
                    let spent = amount * percent / 100;
                    peer.note(Record::Settled { id, spent: vec![spent] });
                    *self.spent.entry((at, month)).or_default() -= amount - spent;
                }
            }
            Step::Ask { from, to, amount } => {
                let ask = self.peers[from].ledger.asking(&account(), amount, LIMIT);
                if let Ok(record) = self.peers[to].ledger.giving(&ask, LIMIT) {
                    self.peers[to].file.push(record.clone());
                    self.peers[to].on_its_way.push(record);
                }
            }
            Step::Written { at } => self.peers[at].written(),
            Step::Tell { from, to } => {
                let me = self.peers[to].ledger.holder().clone();
                for row in self.peers[from].ledger.rows("peer") {
                    assert_eq!(row.absurdity(), None);
                    assert!(!self.peers[to].ledger.is_older_than(&row));
                    self.told.extend(row.given.get(&me).map(|gift| (to, row.holder.clone(), *gift)));
                }
                self.hear(self.told.len().saturating_sub(1));
            }
            Step::Late { which } => self.hear(which),
            Step::Turn { at, to } => {
                if let Some(record) = self.peers[at].ledger.turning(month(to)) {
                    self.peers[at].note(record);
                }
            }
            Step::Crash { at } => self.crash(at),
            Step::Rewrite { at } => {
                let peer = &mut self.peers[at];
                if peer.ledger.has_nothing_on_its_way() {
                    peer.file = peer.ledger.records().to_vec();
                    peer.synced = peer.file.len();
                }
            }
        }
    }

    fn hold(&mut self, at: usize, amount: u64) {
        let peer = &mut self.peers[at];
        let charge = Charge { account: BUDGET.into(), amount, limit: Some(LIMIT) };
        if let Ok(record) = peer.ledger.holding(&[charge]) {
            let Record::Held { id, .. } = record else { unreachable!("that is what holding makes") };
            peer.commit(record);
            peer.open.push((id, peer.ledger.month(), amount));
            *self.spent.entry((at, peer.ledger.month())).or_default() += amount;
        }
    }

    fn hear(&mut self, which: usize) {
        let Some((to, from, gift)) = self.told.get(which).cloned() else { return };
        if let Some(record) = self.peers[to].ledger.taking(BUDGET, &from, gift) {
            self.peers[to].note(record);
        }
    }

    fn crash(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        peer.file.truncate(peer.synced);
        let mut again = Ledger::replay(&peer.file).expect("a file of our own");
        if let Some(record) = again.turning(peer.ledger.month()) {
            again.apply(&record);
        }
        peer.ledger = again;
        peer.file = peer.ledger.records().to_vec();
        peer.synced = peer.file.len();
        peer.on_its_way.clear();
        peer.open.clear();
    }

    fn check(&self) {
        let mut sums: BTreeMap<Month, u64> = BTreeMap::new();
        for ((at, month), spent) in &self.spent {
            *sums.entry(*month).or_default() += spent;
            let ledger = &self.peers[*at].ledger;
            if ledger.month() == *month {
                assert!(ledger.used(BUDGET) >= *spent, "peer {at} knows of {} of {spent}", ledger.used(BUDGET));
            }
        }
        assert!(sums.values().all(|sum| *sum <= LIMIT), "{sums:?}");
        let shares: u64 = self.peers.iter().map(|peer| peer.ledger.share(BUDGET)).sum();
        assert!(shares <= WHOLE, "{shares}");
        for peer in &self.peers {
            let ledger = &peer.ledger;
            assert!(ledger.used(BUDGET) <= worth(ledger.share(BUDGET), LIMIT), "more is used than is there");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_limit_holds_whatever_happens_in_whatever_order(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.happen(step);
            world.check();
        }
    }

    #[test]
    fn the_file_makes_the_same_ledger_again(steps in steps()) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.happen(step));
        for mut peer in world.peers {
            peer.written();
            let ids: Vec<HoldId> = peer.ledger.carried.holds.keys().copied().collect();
            for id in ids {
                peer.note(Record::Settled { id, spent: vec![1] });
            }
            let mut again = Ledger::replay(&peer.file).expect("a file of our own");
            prop_assert!(again.carried.version > peer.ledger.carried.version);
            again.carried.version = peer.ledger.carried.version;
            prop_assert_eq!(again, peer.ledger);
        }
    }
}

#[test]
fn what_was_open_when_the_process_died_is_spent_in_its_month() {
    let mut peer = Peer::new(0);
    for amount in [5, 7] {
        let charge = Charge { account: BUDGET.into(), amount, limit: Some(LIMIT) };
        peer.commit(peer.ledger.holding(&[charge]).expect("all is here"));
        peer.commit(peer.ledger.turning(month(1)).unwrap_or(Record::Opened(account())));
    }
    let again = Ledger::replay(&peer.file).expect("a file of our own");
    assert_eq!(again.spent(BUDGET), (7, 0));
    assert_eq!(again.carried.accounts[BUDGET].past[&month(0)], 5);
}

#[test]
fn what_is_settled_after_the_turn_of_the_month_counts_in_the_month_before() {
    let mut peer = Peer::new(0);
    let charge = Charge { account: BUDGET.into(), amount: 100, limit: Some(LIMIT) };
    peer.note(peer.ledger.holding(&[charge]).expect("all is here"));
    peer.note(peer.ledger.turning(month(1)).expect("a later month"));
    assert_eq!(peer.ledger.spent(BUDGET), (0, 0));
    peer.note(Record::Settled { id: 0, spent: vec![30] });
    assert_eq!(peer.ledger.spent(BUDGET), (0, 0));
    assert_eq!(peer.ledger.carried.accounts[BUDGET].past[&month(0)], 30);
    assert_eq!(peer.ledger.turning(month(0)), None, "months do not go back");
}

#[test]
fn of_two_gifts_on_their_way_neither_is_within_reach() {
    let mut giver = Peer::new(0);
    let ask = Peer::new(1).ledger.asking(&account(), LIMIT / 4, LIMIT);
    let first = giver.ledger.giving(&ask, LIMIT).expect("all is here");
    let second = giver.ledger.giving(&ask, LIMIT).expect("half is here");
    let left = giver.ledger.share(BUDGET);
    assert_eq!(left, WHOLE - given_in(&second));
    for record in [&second, &first] {
        giver.ledger.apply(record);
        assert_eq!(giver.ledger.share(BUDGET), left, "whichever is on disk first");
    }
    assert!(giver.ledger.has_nothing_on_its_way());
}

fn given_in(record: &Record) -> u64 {
    let Record::Gave { gift, .. } = record else { panic!("{record:?}") };
    gift.parts
}

#[test]
fn a_gift_of_a_later_month_waits_for_it() {
    let (mut giver, mut taker) = (Peer::new(0), Peer::new(1));
    giver.note(Record::Turned(month(1)));
    let mut ask = taker.ledger.asking(&account(), 10, LIMIT);
    assert_eq!(giver.ledger.giving(&ask, LIMIT), Err(NoGift::LaterMonth));
    ask.month = month(1);
    let record = giver.ledger.giving(&ask, LIMIT).expect("all is here");
    giver.ledger.apply(&record);
    let gift = giver.ledger.gift_to(BUDGET, taker.ledger.holder()).expect("it was given");
    assert_eq!(taker.ledger.taking(BUDGET, giver.ledger.holder(), gift), None);
    taker.note(Record::Turned(month(1)));
    assert!(taker.ledger.taking(BUDGET, giver.ledger.holder(), gift).is_some());
}

#[test]
fn a_file_that_does_not_begin_as_a_ledger_is_none() {
    assert!(Ledger::replay(&[]).is_err());
    assert!(Ledger::replay(&[Record::Turned(Month::default())]).is_err());
    let begun = |version| Record::Begun { version, holder: Holder::named("h"), peer: "p".to_owned() };
    assert!(Ledger::replay(&[begun(VERSION)]).is_ok());
    assert!(Ledger::replay(&[begun(VERSION + 1)]).is_err());
}

#[test]
fn an_older_copy_of_the_file_is_noticed_by_what_others_counted() {
    let (mut giver, mut taker) = (Peer::new(0), Peer::new(1));
    let older = giver.ledger.clone();
    let ask = taker.ledger.asking(&account(), 10, LIMIT);
    let record = giver.ledger.giving(&ask, LIMIT).expect("all is here");
    giver.ledger.apply(&record);
    let gift = giver.ledger.gift_to(BUDGET, taker.ledger.holder()).expect("it was given");
    taker.note(taker.ledger.taking(BUDGET, &Holder::named("h0"), gift).expect("it is new"));
    let row = &taker.ledger.rows("taker")[0];
    assert!(!giver.ledger.is_older_than(row) && older.is_older_than(row));
    assert!(parts_of(10, LIMIT) <= row.share(month(0)));
}

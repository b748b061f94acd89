//! A disk dies at every single thing that is ever written to it, with nothing of it there, a torn part, or all of it. The
//! ledger opens again each time, knows of everything that was really spent, and nobody has more than there is.

use std::collections::BTreeMap;

use super::world::{Keeps, LIMIT, Peers, amount};
use super::*;
use crate::fleet::{Holder, Month};

/// What was really spent, by whom, of which budget: there are two where the founder comes too late.
#[derive(Default)]
struct Book(BTreeMap<(Holder, Arc<str>, Month), u64>);

impl Book {
    async fn call(&mut self, peers: &Peers, at: usize, nanos: u64, cost: Option<u64>) {
        if !peers.is_up(at) {
            return;
        }
        let Ok(mut hold) = peers[at].hold(&amount(nanos), PATIENCE).await else { return };
        if !peers.is_up(at) {
            return;
        }
        hold.sent();
        let spent = self.0.entry((hold.holder().clone(), hold.charges()[0].0.clone(), hold.month())).or_default();
        *spent += cost.unwrap_or(nanos);
        match cost {
            Some(cost) => hold.settle(cost),
            // It is never told what it cost.
            None => std::mem::forget(hold),
        }
    }

    fn check(&self, peers: &Peers, case: &str) {
        let mut sums: BTreeMap<(&str, Month), u64> = BTreeMap::new();
        for ((holder, account, month), spent) in &self.0 {
            *sums.entry((&**account, *month)).or_default() += spent;
            for number in (0..3).filter(|number| peers.is_up(*number)) {
                let treasury = &peers[number];
                let facts = treasury.facts().unwrap_or_else(|| panic!("{case}: it opens: {:?}", treasury.warnings()));
                let own = facts.rows.iter().filter(|row| row.holder == *holder && facts.holder == *holder);
                for row in own.filter(|row| row.month == *month && row.account.name == *account) {
                    let told = row.spent + row.reserved;
                    assert!(told >= *spent, "{case}: m{number} tells {told} of {spent}");
                }
            }
        }
        assert!(sums.values().all(|sum| *sum <= LIMIT), "{case}: {sums:?}");
        assert!(peers.shares() <= WHOLE, "{case}: {} parts are held", peers.shares());
    }
}

/// Everything that is ever written: sets aside and settles, gives and takes, turns the month, writes the file anew, promises
/// and inherits.
async fn everything(peers: &mut Peers, book: &mut Book) {
    for turn in 0..4 {
        book.call(peers, 0, LIMIT / 40, Some(LIMIT / 80)).await;
        book.call(peers, 1, LIMIT / 10, None).await;
        peers.gossip().await;
        book.call(peers, 2, LIMIT / 20, Some(0)).await;
        book.call(peers, 0, LIMIT / 4, Some(LIMIT / 50 * turn)).await;
        peers.gossip().await;
    }
    peers.next_month();
    book.call(peers, 1, LIMIT / 2, Some(LIMIT / 4)).await;
    book.call(peers, 0, LIMIT / 3, None).await;
}

async fn forgetting(peers: &mut Peers, book: &mut Book) {
    peers.stop(2);
    peers.gossip().await;
    if peers.is_up(1) {
        let _ = peers[1].forget("m2", false).await;
    }
    peers.gossip().await;
    peers.next_month();
    book.call(peers, 1, LIMIT / 2, Some(LIMIT / 3)).await;
    book.call(peers, 0, LIMIT / 2, None).await;
}

/// Says whether the disk of `victim` died.
async fn killed(victim: usize, at: u64, keeps: Keeps) -> bool {
    let case = format!("m{victim} dies at {at}, {keeps:?} is kept");
    let (mut peers, mut book) = (Peers::new(3), Book::default());
    peers.disk(victim).die_at(at, keeps);
    (0..3).for_each(|number| peers.start(number));
    peers.gossip().await;
    everything(&mut peers, &mut book).await;
    forgetting(&mut peers, &mut book).await;
    let died = peers.disk(victim).is_dead();
    peers.disk(victim).revive();
    peers.stop(victim);
    if victim != 2 {
        peers.start(victim);
        book.check(&peers, &case);
    }
    // Who was forgotten hears of it before it spends.
    peers.start(2);
    for _ in 0..2 {
        peers.gossip().await;
        book.check(&peers, &case);
        everything(&mut peers, &mut book).await;
        book.check(&peers, &case);
    }
    died
}

#[tokio::test(start_paused = true)]
async fn a_disk_may_die_at_everything_that_is_written() {
    for victim in 0..3 {
        for keeps in [Keeps::Nothing, Keeps::Half, Keeps::All] {
            let mut at = 1;
            while killed(victim, at, keeps).await {
                at += 1;
            }
            assert!(at > 20, "much is written: {at}");
        }
    }
}

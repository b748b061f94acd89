//! A mesh spends over the end of a month while it falls apart: halves, one way, crashes with the disk and without, clocks
//! that jump, a peer that joins. Whatever is refused, nothing is spent twice.

use std::time::Duration;

use futures_util::future::{join, join_all, join3};
use rand::RngExt;
use tokio::time::{Instant, sleep};

use super::money::{self, Purse};
use crate::backend::Mood;
use crate::client::{Ask, End};
use crate::cluster::Cluster;
use crate::layout::{COMMON, Layout};

/// What vendors may cost in a month, in USD.
const LIMIT: f64 = 1.5;

/// What one client may spend of that.
const ALLOWANCE: f64 = 0.4;

/// How long things go wrong.
const LONG: Duration = Duration::from_secs(60);

/// The run begins so long before the end of January.
const BEFORE_THE_TURN: Duration = Duration::from_secs(45);

/// A month, of 31 days.
const MONTH_MS: i64 = 31 * 86_400_000;

/// After a heal everybody is connected within this.
const AGREED: Duration = Duration::from_secs(12);

const PEERS: usize = 5;

/// The peer that joins in the middle.
const LATE: usize = 4;

/// Five peers, three of them with a vendor.
pub(crate) fn layout() -> Layout {
    Layout::of(PEERS).with_vendors(&[1, 2, 3], LIMIT)
}

/// Faults, clients and the turn of the month at once; then a calm in which all is summed up.
pub(crate) async fn month(cluster: Cluster) {
    let turn = MONTH_MS - i64::try_from(BEFORE_THE_TURN.as_millis()).unwrap_or_default();
    for at in 0..PEERS {
        let skew = cluster.dice().random_range(-500..500);
        cluster.peer(at).machine.clock.set_ahead(turn + skew);
    }
    cluster.crash(LATE).await;
    cluster.wipe(LATE);
    for at in 0..LATE {
        cluster
            .within(AGREED, "a node starts", || cluster.peer(at).is_running().then_some(()).ok_or(String::new()))
            .await;
    }
    money::founded(&cluster).await;
    let purses =
        [money::purse(&cluster, 0, "some", LIMIT * 10.0).await, money::purse(&cluster, 1, "limited", ALLOWANCE).await];
    let end = Instant::now() + LONG;
    let local = join_all((0..PEERS).map(|entry| locals(&cluster, entry, &purses[0], end)));
    let buyers = purses.iter().flat_map(|purse| (0..PEERS).map(move |entry| (entry, purse)));
    let buyers = buyers.map(|(entry, purse)| {
        money::buy(&cluster, entry, &purse.key, 800, |answer| {
            // Who has just started knows of no vendor.
            let honest = answer.is_whole() || matches!(answer.status, 0 | 200 | 404 | 429 | 502..=504);
            cluster.claims().hold(honest, "who buys gets it or is told why not", format_args!("{answer:?}"));
            Instant::now() < end
        })
    });
    join3(faults(&cluster, turn, end), local, join_all(buyers)).await;

    for at in 0..PEERS {
        if !cluster.peer(at).is_running() {
            cluster.start(at).await;
        }
        // Nobody is in a later month than the others any more.
        cluster.peer(at).machine.clock.set_ahead(turn + MONTH_MS);
    }
    let all: Vec<usize> = (0..PEERS).collect();
    cluster.heal(&all, &all);
    cluster.set_loss(0.0);
    for vendor in ["v1", "v2", "v3"] {
        cluster.set_mood(vendor, Mood::Well);
    }
    cluster.connected("heal", AGREED).await;
    let told = money::agree(&cluster).await;
    // Who somebody was before it lost its disk dies first.
    sleep(AGREED).await;
    cluster.recover("calm", AGREED).await;
    money::check(&cluster, LIMIT, &purses, &told);
    join_all((0..PEERS).map(|entry| served(&cluster, entry, &purses[0]))).await;
}

/// One thing after the other goes wrong.
async fn faults(cluster: &Cluster, turn: i64, end: Instant) {
    let joins = async {
        sleep(LONG / 3).await;
        cluster.start(LATE).await;
    };
    let others = async {
        while Instant::now() < end {
            let (what, one, other, long) = {
                let mut dice = cluster.dice();
                let one = dice.random_range(0..LATE);
                let other = (one + dice.random_range(1..LATE)) % LATE;
                (dice.random_range(0..8), one, other, Duration::from_millis(dice.random_range(500..9000)))
            };
            let rest: Vec<usize> = (0..PEERS).filter(|at| ![one, other].contains(at)).collect();
            match what {
                0 | 1 => {
                    cluster.split(&[one, other], &rest);
                    sleep(long).await;
                    cluster.heal(&[one, other], &rest);
                }
                2 => {
                    cluster.silence(&[one], &rest);
                    sleep(long).await;
                    cluster.heal(&[one], &rest);
                }
                3 | 4 => {
                    cluster.crash(one).await;
                    sleep(long / 4).await;
                    cluster.start(one).await;
                }
                5 => {
                    cluster.crash(one).await;
                    cluster.wipe(one);
                    sleep(long / 4).await;
                    cluster.start(one).await;
                }
                6 => {
                    let clock = &cluster.peer(one).machine.clock;
                    clock.set_ahead(turn + cluster.dice().random_range(-1..2) * MONTH_MS);
                    sleep(long).await;
                    clock.set_ahead(turn);
                }
                _ => {
                    let mood = [Mood::Fail, Mood::DieUnheard, Mood::DieAfter(3), Mood::Mute]
                        [cluster.dice().random_range(0..4)];
                    let vendor = ["v1", "v2", "v3"][one % 3];
                    cluster.set_mood(vendor, mood);
                    cluster.set_loss(0.02);
                    sleep(long / 2).await;
                    cluster.set_mood(vendor, Mood::Well);
                    cluster.set_loss(0.0);
                }
            }
            sleep(long / 4).await;
        }
    };
    join(joins, others).await;
}

/// A client that asks for what costs nothing.
async fn locals(cluster: &Cluster, entry: usize, purse: &Purse, end: Instant) {
    while Instant::now() < end {
        let ask = Ask { key: purse.key.clone(), ..Ask::stream(COMMON, 3) };
        let answer = cluster.ask(entry, ask).await;
        let is_for_money = matches!(&answer.end, End::Refused(why) if why.contains("budget"));
        cluster.claims().hold(
            !is_for_money,
            "what costs nothing is served without a budget",
            format_args!("{answer:?}"),
        );
        let pause = cluster.dice().random_range(100..900);
        sleep(Duration::from_millis(pause)).await;
    }
}

async fn served(cluster: &Cluster, entry: usize, purse: &Purse) {
    let answer = cluster.ask(entry, Ask { key: purse.key.clone(), ..Ask::stream(COMMON, 3) }).await;
    cluster.claims().hold(answer.is_whole(), "after a heal all is served again", format_args!("{answer:?}"));
}

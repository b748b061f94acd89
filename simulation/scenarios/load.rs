//! Clients that ask for this and that, as clients do. Which ones, when and for what follows from the seed.

use std::time::Duration;

use rand::RngExt;
use tokio::time::{Instant, sleep};

use crate::checks::{HELD, SECRET};
use crate::client::{Answer, Ask};
use crate::cluster::Cluster;
use crate::layout::{COMMON, only};

/// One client of peer `entry`, asking one thing after the other for `long`.
pub(crate) async fn client(cluster: &Cluster, entry: usize, peers: usize, long: Duration) -> Vec<Answer> {
    let end = Instant::now() + long;
    let mut answers = Vec::new();
    while Instant::now() < end {
        let (ask, pause) = {
            let mut dice = cluster.dice();
            let model = match dice.random_range(0..4) {
                0 => only(dice.random_range(0..peers)),
                1 => SECRET.to_owned(),
                _ => COMMON.to_owned(),
            };
            let tokens = dice.random_range(1..20);
            let ask = if dice.random_bool(0.7) { Ask::stream(&model, tokens) } else { Ask::whole(&model, tokens) };
            (ask, Duration::from_millis(dice.random_range(20..400)))
        };
        answers.push(cluster.ask(entry, ask).await);
        sleep(pause).await;
    }
    answers
}

/// One client for each of the peers `entries`.
pub(crate) async fn clients(cluster: &Cluster, entries: &[usize], peers: usize, long: Duration) -> Vec<Answer> {
    let all = entries.iter().map(|entry| client(cluster, *entry, peers, long));
    futures_util::future::join_all(all).await.into_iter().flatten().collect()
}

/// A client of each of the peers `entries` that asks for what some peers hold and others do not, as they have it at the time.
pub(crate) async fn held(cluster: &Cluster, entries: &[usize], long: Duration) {
    let all = entries.iter().map(|entry| async move {
        let (end, mut whole) = (Instant::now() + long, 0);
        while Instant::now() < end {
            let (ask, pause) = {
                let mut dice = cluster.dice();
                let model = HELD[dice.random_range(0..HELD.len())];
                let ask = if dice.random_bool(0.5) { Ask::stream(model, 5) } else { Ask::whole(model, 5) };
                (ask, Duration::from_millis(dice.random_range(50..600)))
            };
            whole += u32::from(cluster.ask(*entry, ask).await.is_whole());
            sleep(pause).await;
        }
        whole
    });
    let whole: u32 = futures_util::future::join_all(all).await.into_iter().sum();
    cluster.claims().hold(whole > 0, "what some peers hold is served", format_args!("to nobody"));
}

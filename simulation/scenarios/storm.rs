//! Everything at once for a minute: requests of every kind, backends that come and go, moods, news, checks, loss. A
//! gateway of this kind once came to a standstill in such weather, over two locks.

use std::time::Duration;

use futures_util::future::{join, join_all};
use http::Method;
use rand::RngExt;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::load;
use crate::backend::Mood;
use crate::cluster::Cluster;
use crate::layout::{Layout, SPARE};

/// How long it lasts.
const LONG: Duration = Duration::from_secs(60);

/// No view may take longer while it does.
const STALL: Duration = Duration::from_millis(250);

/// Three peers, the last one with a bad backend.
pub(crate) fn layout() -> Layout {
    Layout::of(3).with_spare()
}

/// What must hold everywhere holds here, too; and no peer stalls.
pub(crate) async fn storm(cluster: Cluster) {
    cluster.agree("boot", Duration::from_secs(5)).await;
    let clients = join_all((0..2).map(|_| load::clients(&cluster, &[0, 1, 2], 3, LONG)));
    let trouble = join(registry(&cluster), moods(&cluster));
    let views = join_all((0..3).map(|at| views(&cluster, at)));
    let held = load::held(&cluster, &[0, 1, 2], LONG);
    join(join(clients, held), join(trouble, views)).await;
    cluster.set_loss(0.0);
    cluster.agree("calm", Duration::from_secs(15)).await;
}

/// A backend is added and removed, here and there.
async fn registry(cluster: &Cluster) {
    let end = Instant::now() + LONG;
    while Instant::now() < end {
        let (at, pause) = {
            let mut dice = cluster.dice();
            (dice.random_range(0..3), Duration::from_millis(dice.random_range(50..800)))
        };
        let spare = json!({ "name": SPARE, "url": cluster.backend(SPARE).url(), "type": "generic" });
        let added = cluster.call(at, Method::POST, "/nexus/v1/backends", &spare).await;
        sleep(pause).await;
        let path = format!("/nexus/v1/backends/{SPARE}");
        let removed = cluster.call(at, Method::DELETE, &path, &Value::Null).await;
        let fine = matches!(added, Ok((201, _))) && matches!(removed, Ok((200, _)));
        cluster.claims().hold(fine, "management goes on", format_args!("{added:?} {removed:?}"));
    }
}

/// One backend has every trouble there is, and the network some.
async fn moods(cluster: &Cluster) {
    let moods = [Mood::Refuse, Mood::Slow(5), Mood::DieUnheard, Mood::DieAfter(2), Mood::Fail, Mood::Hang];
    let end = Instant::now() + LONG;
    while Instant::now() < end {
        let (mood, loss, pause) = {
            let mut dice = cluster.dice();
            let mood = moods[dice.random_range(0..moods.len())];
            (mood, dice.random_range(0.0..0.03), Duration::from_millis(dice.random_range(500..4000)))
        };
        cluster.set_loss(loss);
        cluster.set_mood("b2", mood);
        sleep(pause).await;
        cluster.set_mood("b2", Mood::Well);
        sleep(pause / 2).await;
    }
}

/// Somebody looks all the time.
async fn views(cluster: &Cluster, at: usize) {
    let end = Instant::now() + LONG;
    while Instant::now() < end {
        for path in ["/health", "/v1/models", "/nexus/v1/mesh", "/nexus/v1/backends"] {
            let begun = Instant::now();
            let answer = cluster.call(at, Method::GET, path, &Value::Null).await;
            let quick = matches!(answer, Ok((200, _))) && begun.elapsed() < STALL;
            cluster.claims().hold(quick, "no peer stalls", format_args!("{path} at {at}: {:?}", begun.elapsed()));
        }
        sleep(Duration::from_millis(500)).await;
    }
}

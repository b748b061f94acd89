//! One backend of ten takes requests and says nothing, while clients ask at every entry. What a single client meets stands
//! in `hang`; here many requests may be under way to it before the first of them has told.

use std::time::Duration;

use futures_util::future::join_all;
use rand::RngExt;
use tokio::time::{Instant, sleep};

use crate::backend::Mood;
use crate::client::{Answer, Ask};
use crate::cluster::Cluster;
use crate::layout::{COMMON, Layout};

const PEERS: usize = 5;
const BACKENDS: usize = 10;

/// Clients of each entry.
const CLIENTS: usize = 2;

/// How long all is well.
const WARM_UP: Duration = Duration::from_secs(3);

/// How long it hangs.
const LONG: Duration = Duration::from_secs(20);

/// Five peers with two backends each.
pub(crate) fn layout() -> Layout {
    let mut layout = Layout::of(BACKENDS);
    layout.peers = PEERS;
    for backend in &mut layout.backends {
        backend.owner %= PEERS;
    }
    layout
}

/// It works, then one hangs, checks and all or with checks that pass.
pub(crate) async fn hung(cluster: Cluster) {
    cluster.agree("boot", Duration::from_secs(5)).await;
    clients(&cluster, WARM_UP).await;
    let (hung, mood) = {
        let mut dice = cluster.dice();
        let mood = if dice.random_bool(0.5) { Mood::Hang } else { Mood::Mute };
        (format!("b{}", dice.random_range(0..BACKENDS)), mood)
    };
    cluster.set_mood(&hung, mood);
    let since = crate::trace::now();
    let answers = clients(&cluster, LONG).await;
    let whole = answers.iter().filter(|answer| answer.is_whole()).count();
    cluster.figure("answered, %", whole as f64 / answers.len() as f64 * 100.0);
    let got: Vec<_> =
        cluster.book().all().into_iter().filter(|act| act.backend == hung && act.begun >= since).collect();
    let of_clients = got.iter().filter(|act| answers.iter().any(|answer| answer.request == act.request)).count();
    cluster.figure("requests that the hung backend got", of_clients as f64);
    cluster.figure("times its peer asked it for a token", (got.len() - of_clients) as f64);
    let slowest = answers.iter().filter_map(|answer| Some(answer.first_byte? - answer.sent)).max();
    cluster.measured("slowest first byte", slowest.unwrap_or_default());
    cluster.set_mood(&hung, Mood::Well);
}

/// Clients of every entry, each asking one thing after the other.
async fn clients(cluster: &Cluster, long: Duration) -> Vec<Answer> {
    let client = |number: usize| async move {
        let end = Instant::now() + long;
        let mut answers = Vec::new();
        while Instant::now() < end {
            let (tokens, pause) = {
                let mut dice = cluster.dice();
                (dice.random_range(1..20), Duration::from_millis(dice.random_range(20..400)))
            };
            answers.push(cluster.ask(number % PEERS, Ask::stream(COMMON, tokens)).await);
            sleep(pause).await;
        }
        answers
    };
    join_all((0..PEERS * CLIENTS).map(client)).await.into_iter().flatten().collect()
}

//! A key that is limited to so many requests in a minute, asked with at every peer at once, at one alone, and while peers
//! die and return: what it may have it gets, wherever it asks, and a tenth more at most.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::money;
use crate::client::Ask;
use crate::cluster::Cluster;
use crate::layout::{COMMON, Layout};

const PEERS: usize = 4;

/// Requests in a minute.
const LIMIT: f64 = 120.0;

/// How long each part takes.
const LONG: Duration = Duration::from_secs(75);

/// Time for the shares to pass to where they are asked for.
const SETTLED: Duration = Duration::from_secs(10);

const MINUTE: Duration = Duration::from_secs(60);

/// Four peers whose backends cost nothing, with a ledger all the same.
pub(crate) fn layout() -> Layout {
    Layout::of(PEERS)
}

/// Everywhere, then at one, then everywhere with crashes.
pub(crate) async fn rates(cluster: Cluster) {
    cluster.agree("boot", Duration::from_secs(5)).await;
    let wish = json!({ "name": "limited", "requests_per_minute": LIMIT as u32 });
    let key = money::key(&cluster, 1, "limited", &wish).await;
    let all: Vec<usize> = (0..PEERS).collect();
    part(&cluster, "everywhere", &key, &all, 1.1, 0.8).await;
    part(&cluster, "at one", &key, &[3], 1.1, 0.9).await;
    let crashes = async {
        for at in [0, 2] {
            sleep(LONG / 4).await;
            cluster.crash(at).await;
            sleep(LONG / 20).await;
            cluster.start(at).await;
        }
    };
    // Whoever returns begins with a full bucket.
    futures_util::future::join(part(&cluster, "with crashes", &key, &all, 1.3, 0.4), crashes).await;
}

/// Asks four times as often as may be; of any minute at most `most` of the limit is let in, and in all at least `least`.
async fn part(cluster: &Cluster, what: &str, key: &str, entries: &[usize], most: f64, least: f64) {
    let begun = Instant::now();
    let pace = Duration::from_secs_f64(60.0 / LIMIT / 4.0) * u32::try_from(entries.len()).unwrap_or(1);
    let clients = entries.iter().map(|entry| async move {
        let mut admitted = Vec::new();
        while begun.elapsed() < LONG {
            let ask = Ask { key: key.to_owned(), ..Ask::stream(COMMON, 1) };
            let answer = cluster.ask(*entry, ask).await;
            let fits = answer.is_whole() || answer.entry_died || matches!(answer.status, 0 | 200 | 429 | 502..=504);
            cluster.claims().hold(fits, "who asks too often is told so", format_args!("{answer:?}"));
            if answer.is_whole() {
                admitted.push(answer.sent);
            }
            sleep(pace).await;
        }
        admitted
    });
    let mut admitted: Vec<Duration> = join_all(clients).await.into_iter().flatten().collect();
    admitted.sort_unstable();
    let busiest = (0..admitted.len()).map(|first| {
        let end = admitted[first] + MINUTE;
        admitted[first..].partition_point(|sent| *sent < end)
    });
    let busiest = ratio(busiest.max().unwrap_or_default(), LIMIT);
    let settled = crate::trace::now() - (LONG - SETTLED).min(begun.elapsed());
    let steady = admitted.iter().filter(|sent| **sent >= settled).count();
    let steady = ratio(steady, LIMIT * (LONG - SETTLED).as_secs_f64() / 60.0);
    cluster.figure(&format!("{what}: the busiest minute over the limit"), busiest);
    cluster.figure(&format!("{what}: of the limit"), steady);
    // One request is the least that there is.
    let holds = busiest <= most + 1.0 / LIMIT;
    cluster.claims().hold(holds, "a limit in a minute holds", format_args!("{what}: {busiest} times the limit"));
    cluster.claims().hold(
        steady >= least,
        "what may be asked is served",
        format_args!("{what}: {steady} of the limit"),
    );
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn ratio(count: usize, whole: f64) -> f64 {
    count as f64 / whole
}

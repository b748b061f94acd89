//! Twelve requests within 50 ms, at three entries, for twelve slots on six peers. Each could be served at once; whoever
//! waits while a slot is idle has been sent to the wrong place.

use std::time::Duration;

use futures_util::future::join_all;
use rand::RngExt;
use tokio::time::sleep;

use crate::book::Served;
use crate::client::{Answer, Ask};
use crate::cluster::Cluster;
use crate::layout::{COMMON, Layout};

const REQUESTS: usize = 12;
const ENTRIES: usize = 3;
const WITHIN: Duration = Duration::from_millis(50);

/// Bursts in each run: the first finds nothing measured, the others do.
const BURSTS: usize = 4;

/// An idle slot that is noticed so late is idle for want of knowing, not for want of time to get there.
const UNNOTICED: Duration = Duration::from_millis(100);

/// Six peers, each with a backend of two slots.
pub(crate) fn layout() -> Layout {
    let mut layout = Layout::of(6);
    for backend in &mut layout.backends {
        backend.slots = 2;
    }
    layout
}

/// Bursts, with rest between them.
pub(crate) async fn burst(cluster: Cluster) {
    cluster.agree("boot", Duration::from_secs(5)).await;
    let (mut answers, mut beside_idle) = (Vec::new(), 0);
    let refused = cluster.refusals();
    for _ in 0..BURSTS {
        let burst = join_all((0..REQUESTS).map(|_| one(&cluster))).await;
        let served = cluster.book().all();
        beside_idle += burst.iter().filter(|answer| waited_beside_idle(answer, &served)).count();
        answers.extend(burst);
        sleep(Duration::from_secs(3)).await;
    }
    for answer in &answers {
        cluster.claims().hold(answer.is_whole(), "a burst is answered", format_args!("{answer:?}"));
    }
    cluster.figure("waits beside an idle slot", beside_idle as f64 / BURSTS as f64);
    let refused = (cluster.refusals() - refused) as f64 / answers.len() as f64;
    cluster.figure("owners that refused, a request", refused);
}

async fn one(cluster: &Cluster) -> Answer {
    let (after, entry, tokens) = {
        let mut dice = cluster.dice();
        (dice.random_range(Duration::ZERO..WITHIN), dice.random_range(0..ENTRIES), dice.random_range(50..150))
    };
    sleep(after).await;
    cluster.ask(entry, Ask::stream(COMMON, tokens)).await
}

/// Whether some slot was idle, for long enough to be noticed, before a backend began with the request.
fn waited_beside_idle(answer: &Answer, served: &[Served]) -> bool {
    let Some(begun) = served.iter().find(|act| act.request == answer.request).map(|act| act.begun) else {
        return false;
    };
    let is_within = |at: &Duration| (answer.sent..begun).contains(at);
    let mut moments: Vec<Duration> =
        served.iter().flat_map(|act| [Some(act.begun), act.over]).flatten().filter(is_within).collect();
    moments.extend([answer.sent, begun]);
    moments.sort_unstable();
    let slots = layout().backends.iter().map(|backend| backend.slots).sum();
    let idle: Duration = moments
        .windows(2)
        .filter(|span| served.iter().filter(|act| works_at(act, span[0])).count() < slots)
        .map(|span| span[1] - span[0])
        .sum();
    idle > UNNOTICED
}

fn works_at(act: &Served, at: Duration) -> bool {
    act.begun <= at && act.over.is_none_or(|over| over > at)
}

//! A backend gives trouble for minutes: every peer leaves it alone, one request of the whole mesh probes it at a time, and
//! it is used again soon after it is well.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::backend::Mood;
use crate::book::{Ending, Served};
use crate::client::Ask;
use crate::cluster::Cluster;
use crate::layout::COMMON;

/// Requests that fail until a backend is left alone.
const OPENED_AFTER: usize = 3;

/// The longest that a backend is left alone.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// It fails, says nothing, and fails again; then it is well.
pub(crate) async fn probe(cluster: Cluster) {
    cluster.agree("boot", Duration::from_secs(5)).await;
    cluster.set_mood("b1", Mood::Fail);
    // One after the other, so that none is on its way when it is left alone.
    for turn in 0..40 {
        ask(&cluster, turn).await;
    }
    let cost = begun(&cluster);
    cluster.claims().hold(cost <= OPENED_AFTER, "a failing backend is left alone", format_args!("it got {cost}"));
    for mood in [Mood::Mute, Mood::Fail, Mood::DieUnheard] {
        cluster.set_mood("b1", mood);
        bursts(&cluster, mood).await;
    }

    cluster.set_mood("b1", Mood::Well);
    let since = Instant::now();
    let already = answered(&cluster);
    for turn in 0.. {
        if answered(&cluster) > already || since.elapsed() > LONGEST_PAUSE * 2 {
            break;
        }
        ask(&cluster, turn).await;
        sleep(Duration::from_millis(200)).await;
    }
    cluster.measured("well again until all use it", since.elapsed());
    let back = answered(&cluster) > already && since.elapsed() < LONGEST_PAUSE + Duration::from_secs(5);
    cluster.claims().hold(back, "it is used again within a minute", format_args!("{:?}", since.elapsed()));
}

/// For longer than it is ever left alone, everybody asks at once now and then.
async fn bursts(cluster: &Cluster, mood: Mood) {
    let since = Instant::now();
    while since.elapsed() < LONGEST_PAUSE + Duration::from_secs(10) {
        let before = begun(cluster);
        join_all((0..12).map(|turn| ask(cluster, turn))).await;
        let cost = begun(cluster) - before;
        let single = cost <= 1;
        cluster.claims().hold(single, "one request of the mesh is the probe", format_args!("{mood:?}: {cost} at once"));
        sleep(Duration::from_secs(5)).await;
    }
}

async fn ask(cluster: &Cluster, turn: usize) {
    let ask = if turn.is_multiple_of(2) { Ask::whole(COMMON, 2) } else { Ask::stream(COMMON, 2) };
    let answer = cluster.ask(turn % 3, ask).await;
    cluster.claims().hold(answer.is_whole(), "another backend answers", format_args!("{answer:?}"));
}

fn is_ours(act: &Served) -> bool {
    act.backend == "b1" && act.model == COMMON
}

fn begun(cluster: &Cluster) -> usize {
    cluster.book().all().iter().filter(|act| is_ours(act)).count()
}

fn answered(cluster: &Cluster) -> usize {
    cluster.book().all().iter().filter(|act| is_ours(act) && act.ended == Some(Ending::Whole)).count()
}

//! A backend takes requests and never says a word. It may cost its first request the deadline, and not much more.

use std::time::Duration;

use http::Method;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::backend::Mood;
use crate::book::Served;
use crate::client::{Ask, End};
use crate::cluster::Cluster;
use crate::layout::{COMMON, only};

/// Requests that a hanging backend may still get once it hangs.
const EJECTED_AFTER: usize = 2;

/// It hangs, is left alone, and is taken back.
pub(crate) async fn hang(cluster: Cluster) {
    cluster.agree("boot", Duration::from_secs(5)).await;
    cluster.set_mood("b1", Mood::Hang);
    let before = begun(&cluster);
    for turn in 0..30 {
        let answer = cluster.ask(turn % 3, Ask::stream(COMMON, 2)).await;
        cluster.claims().hold(answer.is_whole(), "another backend answers", format_args!("{answer:?}"));
        views_are_quick(&cluster, turn % 3).await;
    }
    let cost = begun(&cluster) - before;
    cluster.claims().hold(cost <= EJECTED_AFTER, "a hanging backend is left alone", format_args!("it got {cost}"));

    is_refused_then_back(&cluster).await;

    // Its checks pass now, so nothing but its silence tells on it; and a plain request waits longer than a stream.
    cluster.set_mood("b1", Mood::Mute);
    let before = begun(&cluster);
    for turn in 0..30 {
        let ask = if turn % 2 == 0 { Ask::whole(COMMON, 2) } else { Ask::stream(COMMON, 2) };
        let answer = cluster.ask(turn % 3, ask).await;
        cluster.claims().hold(answer.is_whole(), "another backend answers", format_args!("{answer:?}"));
    }
    let cost = begun(&cluster) - before;
    cluster.claims().hold(cost <= EJECTED_AFTER, "a mute backend is left alone", format_args!("it got {cost}"));
    is_refused_then_back(&cluster).await;
}

/// The only backend of a model hangs: honest words now, answers again once it is well.
async fn is_refused_then_back(cluster: &Cluster) {
    let answer = cluster.ask(0, Ask::stream(&only(1), 2)).await;
    let honest = matches!(answer.end, End::Refused(_));
    cluster.claims().hold(honest, "with no other backend it is refused", format_args!("{answer:?}"));
    cluster.set_mood("b1", Mood::Well);
    let since = Instant::now();
    while !cluster.ask(0, Ask::stream(&only(1), 2)).await.is_whole() && since.elapsed() < Duration::from_secs(60) {
        sleep(Duration::from_millis(200)).await;
    }
    cluster.measured("well again until it serves", since.elapsed());
    let back = since.elapsed() < Duration::from_secs(30);
    cluster.claims().hold(back, "a backend that is well again is used", format_args!("{:?}", since.elapsed()));
    cluster.agree("well again", Duration::from_secs(10)).await;
}

async fn views_are_quick(cluster: &Cluster, entry: usize) {
    for path in ["/v1/models", "/health"] {
        let begun = Instant::now();
        let answer = cluster.call(entry, Method::GET, path, &Value::Null).await;
        // Three times across the network, at most 15 ms each and a step for each end.
        let quick = matches!(answer, Ok((200, _))) && begun.elapsed() < Duration::from_millis(100);
        cluster.claims().hold(quick, "views wait for no backend", format_args!("{path}: {:?}", begun.elapsed()));
    }
}

fn begun(cluster: &Cluster) -> usize {
    cluster.book().all().iter().filter(|served: &&Served| served.backend == "b1").count()
}

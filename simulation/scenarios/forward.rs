//! The target of a forwarded request dies: before its first byte another one answers, after it the client is told.

use std::time::Duration;

use futures_util::future::join;
use tokio::time::sleep;

use crate::backend::Mood;
use crate::client::{Ask, End};
use crate::cluster::Cluster;
use crate::layout::{Layout, only};

/// The model that the second and the third peer have, and the first has not.
pub(crate) const PAIR: &str = "pair";

/// The entry has nothing of its own that would do.
pub(crate) fn layout() -> Layout {
    let mut layout = Layout::of(3);
    for backend in &mut layout.backends[1..] {
        backend.models.push(PAIR.to_owned());
    }
    layout.backends[1].prefill = Duration::from_millis(400);
    layout.backends[2].prefill = Duration::from_millis(400);
    layout
}

/// First its backend, then the peer itself.
pub(crate) async fn forward(cluster: Cluster) {
    cluster.agree("boot", Duration::from_secs(5)).await;
    backend_dies(&cluster).await;
    cluster.agree("after backends died", Duration::from_secs(10)).await;
    peer_dies(&cluster).await;
}

async fn backend_dies(cluster: &Cluster) {
    for mood in [Mood::DieUnheard, Mood::Fail, Mood::Refuse] {
        cluster.set_mood("b1", mood);
        let answer = cluster.ask(0, Ask::stream(PAIR, 4)).await;
        cluster.claims().hold(answer.is_whole(), "unheard it is tried elsewhere", format_args!("{mood:?}: {answer:?}"));
    }
    cluster.set_mood("b1", Mood::DieAfter(3));
    settled(cluster, "b1").await;
    let answer = cluster.ask(0, Ask::stream(&only(1), 8)).await;
    let told = answer.end == End::ErrorEvent && answer.text.split_whitespace().count() == 3;
    cluster.claims().hold(told, "in mid-stream the client is told", format_args!("{answer:?}"));
    let answer = cluster.ask(0, Ask::stream(PAIR, 2)).await;
    cluster.claims().hold(answer.is_whole(), "the next request is answered", format_args!("{answer:?}"));
    cluster.set_mood("b1", Mood::Well);
    settled(cluster, "b1").await;
}

async fn peer_dies(cluster: &Cluster) {
    // Both are asked, so one of the two requests is with the peer that dies: it must come from the other one.
    let asked = join(cluster.ask(0, Ask::stream(PAIR, 4)), cluster.ask(0, Ask::stream(PAIR, 4)));
    let ((one, other), ()) = join(asked, async {
        sleep(Duration::from_millis(200)).await;
        cluster.crash(1).await;
    })
    .await;
    for answer in [one, other] {
        let saved = answer.is_whole() && answer.peer.as_deref() == Some("p2");
        cluster.claims().hold(saved, "a target that dies unheard is replaced", format_args!("{answer:?}"));
    }
    let (answer, ()) = join(cluster.ask(0, Ask::stream(&only(2), 40)), async {
        sleep(Duration::from_millis(800)).await;
        cluster.crash(2).await;
    })
    .await;
    let told = answer.end == End::ErrorEvent && !answer.text.is_empty();
    cluster.claims().hold(told, "a target that dies in mid-stream is told of", format_args!("{answer:?}"));
    cluster.measured(
        "a crash in mid-stream until the client is told",
        answer.took().saturating_sub(Duration::from_millis(800)),
    );
    let answer = cluster.ask(0, Ask::stream(PAIR, 2)).await;
    let honest = matches!(answer.end, End::Refused(_)) && answer.took() < Duration::from_millis(2500);
    cluster.claims().hold(honest, "with nobody left it is refused", format_args!("{answer:?}"));
    cluster.start(1).await;
    cluster.start(2).await;
    cluster.agree("return", Duration::from_secs(10)).await;
    let answer = cluster.ask(0, Ask::stream(PAIR, 2)).await;
    cluster.claims().hold(answer.is_whole(), "with both back it is served", format_args!("{answer:?}"));
}

/// Waits until every peer takes a backend for healthy.
async fn settled(cluster: &Cluster, backend: &str) {
    let healthy = || {
        let sights = cluster.sights();
        let offers =
            sights.iter().flat_map(|(_, sight)| sight.peers.values().map(|(_, offers)| offers).chain([&sight.own]));
        match offers.filter_map(|offers| offers.get(backend)).find(|(status, _)| status.as_str() != "healthy") {
            None => Ok(()),
            Some((status, _)) => Err(format!("{backend} is {}", status.as_str())),
        }
    };
    cluster.within(Duration::from_secs(15), "a backend that is well again counts as healthy", healthy).await;
    sleep(Duration::from_millis(600)).await;
}

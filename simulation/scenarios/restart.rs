//! A peer's process dies without a word and is started again: with its disk it is who it was, without it somebody new.

use std::time::Duration;

use nexus::fleet::PeerState;
use tokio::time::{Instant, sleep};

use crate::client::Ask;
use crate::cluster::Cluster;
use crate::layout::{COMMON, only};

/// Silence after which a peer is dead, and what noticing may add.
const DEAD: Duration = Duration::from_millis(10_500);

/// An answer comes from a returned peer within this.
const BACK: Duration = Duration::from_secs(5);

/// Dies and returns twice.
pub(crate) async fn restart(cluster: Cluster) {
    cluster.agree("boot", Duration::from_secs(5)).await;
    let before = id(&cluster);
    cluster.crash(2).await;
    the_others_go_on(&cluster, &before).await;
    returns(&cluster, "return with the disk").await;
    cluster.claims().hold(id(&cluster) == before, "with its disk a peer is who it was", format_args!("{before}"));

    cluster.crash(2).await;
    cluster.peer(2).machine.disk.wipe();
    sleep(Duration::from_secs(1)).await;
    returns(&cluster, "return without the disk").await;
    let after = id(&cluster);
    cluster.claims().hold(after != before, "without its disk a peer is somebody new", format_args!("{after}"));
    // Who it was is not heard of again, and dies.
    sleep(DEAD).await;
    cluster.agree("the old one is dead", Duration::from_secs(1)).await;
}

async fn the_others_go_on(cluster: &Cluster, dead: &str) {
    let first = cluster.ask(0, Ask::stream(&only(2), 3)).await;
    let told = !first.is_whole() && first.took() <= Duration::from_secs(1);
    cluster.claims().hold(told, "a dead peer costs the next request at most a second", format_args!("{first:?}"));
    let second = cluster.ask(0, Ask::stream(COMMON, 3)).await;
    let quick = second.is_whole() && second.took() < Duration::from_millis(400);
    cluster.claims().hold(quick, "and the one after it nothing", format_args!("{second:?}"));

    let is_dead = |at: usize| match cluster.peer(at).sight().and_then(|sight| Some(sight.peers.get(dead)?.0)) {
        Some(PeerState::Dead) => Ok(()),
        other => Err(format!("{at} takes it for {other:?}")),
    };
    let took = cluster.within(DEAD, "a silent peer is dead after a while", || is_dead(0).and(is_dead(1))).await;
    cluster.measured("a crash until all call it dead", took);
    let forwards = || cluster.peer(0).sight().and_then(|sight| sight.forwards.get(dead).copied());
    let so_far = forwards();
    let refused = cluster.ask(0, Ask::stream(&only(2), 3)).await;
    let at_once = !refused.is_whole() && refused.took() < Duration::from_millis(200);
    cluster.claims().hold(at_once, "what only a dead peer had is refused at once", format_args!("{refused:?}"));
    for _ in 0..10 {
        cluster.ask(0, Ask::whole(COMMON, 2)).await;
    }
    sleep(Duration::from_millis(100)).await;
    cluster.claims().hold(forwards() == so_far, "a dead peer is no candidate", format_args!("{so_far:?}"));
}

async fn returns(cluster: &Cluster, what: &str) {
    cluster.start(2).await;
    let begun = Instant::now();
    let served = loop {
        let answer = cluster.ask(0, Ask::stream(&only(2), 3)).await;
        if answer.is_whole() || begun.elapsed() > BACK * 2 {
            break answer;
        }
        sleep(Duration::from_millis(100)).await;
    };
    let took = begun.elapsed();
    cluster.measured(&format!("{what} until it serves"), took);
    cluster.claims().hold(
        took <= BACK,
        "a peer that returns serves again",
        format_args!("{what}: {took:?} {served:?}"),
    );
    cluster.agree(what, Duration::from_secs(10)).await;
}

fn id(cluster: &Cluster) -> String {
    cluster.peer(2).sight().map(|sight| sight.id).unwrap_or_default()
}

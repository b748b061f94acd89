//! A peer is stopped the polite way, with requests of its own clients and of other peers under way.

use std::time::Duration;

use futures_util::future::{join, join_all};
use nexus::fleet::PeerState;
use tokio::time::sleep;

use super::forward::PAIR;
use crate::client::Ask;
use crate::cluster::Cluster;
use crate::layout::only;

/// Nothing that was begun is lost, and nobody asks the one that leaves any more.
pub(crate) async fn leave(cluster: Cluster) {
    cluster.agree("boot", Duration::from_secs(5)).await;
    let leaver = cluster.peer(1).sight().map(|sight| sight.id).unwrap_or_default();
    let forwarded = join_all((0..3).map(|_| cluster.ask(0, Ask::stream(&only(1), 60))));
    let own = join_all((0..3).map(|_| cluster.ask(1, Ask::stream(PAIR, 40))));
    let later = async {
        sleep(Duration::from_millis(900)).await;
        let mut answers = Vec::new();
        for _ in 0..20 {
            answers.push(cluster.ask(0, Ask::stream(PAIR, 2)).await);
        }
        answers
    };
    let stop = async {
        sleep(Duration::from_millis(800)).await;
        cluster.stop(1).await;
    };
    let ((forwarded, own), (later, ())) = join(join(forwarded, own), join(later, stop)).await;
    for answer in forwarded.iter().chain(&own).chain(&later) {
        cluster.claims().hold(answer.is_whole(), "a stop loses nothing", format_args!("{answer:?}"));
    }
    let gone = || {
        let state = |at: usize| Some(cluster.peer(at).sight()?.peers.get(&leaver)?.0);
        match (state(0), state(2)) {
            (Some(PeerState::Dead), Some(PeerState::Dead)) => Ok(()),
            states => Err(format!("{states:?}")),
        }
    };
    let took = cluster.within(Duration::from_secs(1), "who has said goodbye is gone", gone).await;
    cluster.measured("goodbye until all know", took);
    cluster.start(1).await;
    cluster.agree("return", Duration::from_secs(10)).await;
}

//! One datagram of twenty is lost, from the first one on. Nobody is called dead for it, and no request is lost.

use std::time::Duration;

use futures_util::future::{Either, join, select};
use nexus::fleet::PeerState;
use tokio::time::sleep;

use super::load;
use crate::cluster::Cluster;
use crate::peer::LOOK_EVERY;

/// Bad weather for half a minute, then fair.
pub(crate) async fn loss(cluster: Cluster) {
    cluster.set_loss(0.05);
    cluster.agree("boot", Duration::from_secs(8)).await;
    let load = load::clients(&cluster, &[0, 1, 2], 3, Duration::from_secs(30));
    let watch = async {
        loop {
            for (name, sight) in cluster.sights() {
                let dead = sight.peers.values().any(|(state, _)| *state == PeerState::Dead);
                cluster.claims().hold(!dead, "lost datagrams kill nobody", format_args!("{name} calls a peer dead"));
            }
            sleep(LOOK_EVERY * 5).await;
        }
    };
    let (load, watch) = (std::pin::pin!(load), std::pin::pin!(watch));
    let answers = match select(load, watch).await {
        Either::Left((answers, _)) => answers,
        Either::Right((never, _)) => never,
    };
    for answer in answers.iter().filter(|answer| !answer.is_whole()) {
        cluster.claims().broken("lost datagrams cost no request", format_args!("{answer:?}"));
    }
    let slowest = answers.iter().filter_map(|answer| Some(answer.first_byte?.saturating_sub(answer.sent))).max();
    cluster.measured("slowest answer", slowest.unwrap_or_default());
    cluster.set_loss(0.0);
    join(sleep(Duration::from_millis(1)), cluster.agree("fair weather", Duration::from_secs(3))).await;
}

//! Wall clocks jump, back and forth. News are told apart by counting, not by the clock, so nothing else happens.

use std::time::Duration;

use tokio::time::sleep;

use super::load;
use crate::cluster::Cluster;

const HOUR_MS: i64 = 3_600_000;

/// One clock an hour ahead, one an hour behind; then a start with a clock that has gone back.
pub(crate) async fn time(cluster: Cluster) {
    cluster.peer(1).machine.clock.set_ahead(HOUR_MS);
    cluster.agree("boot", Duration::from_secs(5)).await;
    cluster.peer(2).machine.clock.set_ahead(-HOUR_MS);
    load::clients(&cluster, &[0, 1, 2], 3, Duration::from_secs(5)).await;
    cluster.agree("a clock an hour behind", Duration::from_secs(1)).await;

    cluster.crash(1).await;
    cluster.peer(1).machine.clock.set_ahead(0);
    sleep(Duration::from_secs(1)).await;
    cluster.start(1).await;
    cluster.agree("return with an earlier clock", Duration::from_secs(10)).await;
    load::clients(&cluster, &[0, 1, 2], 3, Duration::from_secs(5)).await;
}

//! Some of everything that can go wrong, to see that two runs of one seed do not differ.

use std::time::Duration;

use futures_util::future::join;
use tokio::time::sleep;

use super::load;
use crate::backend::Mood;
use crate::cluster::Cluster;

/// The faults come while clients ask.
pub(crate) async fn meta(cluster: Cluster) {
    cluster.agree("boot", Duration::from_secs(10)).await;
    let faults = async {
        cluster.split(&[0], &[1, 2]);
        sleep(Duration::from_secs(3)).await;
        cluster.heal(&[0], &[1, 2]);
        cluster.set_loss(0.02);
        cluster.set_mood("b1", Mood::DieAfter(3));
        cluster.crash(2).await;
        sleep(Duration::from_secs(2)).await;
        cluster.set_mood("b1", Mood::Well);
        cluster.start(2).await;
        cluster.set_loss(0.0);
    };
    join(faults, load::clients(&cluster, &[0, 1, 2], 3, Duration::from_secs(10))).await;
    cluster.agree("heal", Duration::from_secs(15)).await;
}

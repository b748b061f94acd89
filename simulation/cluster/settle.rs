//! Waiting for a mesh to settle: until views agree, until connections are back, until nothing is under way.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Cluster, lock};
use crate::checks;
use crate::client::PATIENCE;
use crate::peer::LOOK_EVERY;

impl Cluster {
    /// Waits until `reached`, and says how long that took. Breaks `claim` where it takes longer than `limit`.
    pub(crate) async fn within(
        &self,
        limit: Duration,
        claim: &str,
        reached: impl Fn() -> Result<(), String>,
    ) -> Duration {
        let begun = Instant::now();
        loop {
            let why = match reached() {
                Ok(()) => return begun.elapsed(),
                Err(why) => why,
            };
            if begun.elapsed() > limit {
                self.claims().broken(claim, format_args!("not within {limit:?}: {why}"));
                return begun.elapsed();
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until every live peer lists every other with exactly what it has; notes how long it took as `what`.
    pub(crate) async fn agree(&self, what: &str, limit: Duration) -> Duration {
        let live = self.0.peers.iter().filter(|peer| peer.is_wanted()).count();
        let agreed = || {
            let sights = self.sights();
            match checks::disagreement(&sights) {
                None if sights.len() >= live => Ok(()),
                None => Err(format!("{} of {live} peers are up", sights.len())),
                Some(why) => Err(why),
            }
        };
        // What has just changed must have been looked at.
        let looked = LOOK_EVERY + crate::run::TICK * 2;
        sleep(looked).await;
        let took = looked + self.within(limit, "views agree", agreed).await;
        self.measured(what, took);
        took
    }

    /// Like [`Cluster::agree`], after a fault: first connections come back, then, within the bound of gossip, views agree.
    pub(crate) async fn recover(&self, what: &str, limit: Duration) {
        self.connected(what, limit).await;
        let bound = checks::gossip_bound(self.sights().len(), checks::ROUND) + checks::MARGIN;
        self.agree(&format!("{what}, connected, until all agree"), bound).await;
    }

    /// Waits until every live peer is connected with every other.
    pub(crate) async fn connected(&self, what: &str, limit: Duration) {
        let linked = || {
            let sights = self.sights();
            let others = sights.len() - 1;
            let lonely = sights.iter().find(|(_, sight)| sight.linked.len() < others);
            lonely.map_or(Ok(()), |(name, sight)| {
                Err(format!("{name} is connected to {} of {others}", sight.linked.len()))
            })
        };
        let took = self.within(limit, "connections come back", linked).await;
        self.measured(&format!("{what} until all are connected"), took);
    }

    /// The end of every scenario: what was begun ends, nodes come to rest, and stop cleanly.
    pub(crate) async fn finish(&self) {
        let no_work = || {
            let busy = self.0.book.busy();
            if busy.is_empty() { Ok(()) } else { Err(format!("{busy:?}")) }
        };
        self.within(PATIENCE * 2, "backends are left alone", no_work).await;
        let rest = || match self.sights().iter().find_map(|(name, sight)| Some((name, checks::unrest(sight)?))) {
            None => Ok(()),
            Some((name, why)) => Err(format!("{name}: {why}")),
        };
        self.within(PATIENCE * 2, "a node at rest holds nothing", rest).await;
        let calm = !self.0.disturbed.load(Ordering::Relaxed);
        self.claims().check_book(&self.0.book.all(), &lock(&self.0.answers), calm);
        for at in 0..self.0.peers.len() {
            if self.peer(at).is_running() {
                self.stop(at).await;
            }
        }
    }
}

//! What requests are served by: the rules of routing and the manner of this peer, in one edition that is swapped whole. A
//! request takes up the edition once, when it comes, and goes by it to its end: none sees half of two configurations. Where editions
//! come from is not known here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::Gateway;
use super::kinship::Kin;
use crate::budget::price::Prices;
use crate::exchange::{Origin, Request};
use crate::route::Rules;

/// How requests are treated here.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Time to the first byte of an answer, and between its bytes.
    pub patience: Duration,
    /// Time between signs of life to a client whose stream has nothing to say yet; `None` = none.
    pub heartbeat: Option<Duration>,
    /// Further attempts for each model after the first.
    pub max_retries: u32,
    /// Requests served at once; further ones are turned away.
    pub max_concurrent: u32,
    /// How requests wait for a slot.
    pub queue: crate::queue::Config,
    /// Hops a request of a client may take.
    pub max_hops: u8,
    /// `user` of a request names its conversation.
    pub affinity_by_user: bool,
    /// Write the beginning of prompts to the log.
    pub log_prompts: bool,
    /// The name of this peer.
    pub peer_name: Arc<str>,
    /// What cloud models cost.
    pub prices: Arc<Prices>,
    /// A name that leaves the size of a model or its quantisation open may be served by any of them.
    pub merge_variants: bool,
}

/// All that one request goes by.
pub(super) struct Edition {
    pub(super) rules: Rules,
    pub(super) manner: Manner,
    pub(super) kin: Arc<Kin>,
}

impl Edition {
    pub(super) fn new(rules: Rules, manner: Manner) -> Self {
        let kin = Arc::new(Kin::new(manner.merge_variants));
        Edition { rules, manner, kin }
    }

    /// How long a request may take to its first byte. A peer's may take what its entry has left for it.
    pub(super) fn patience(&self, request: &Request) -> Duration {
        match &request.origin {
            Origin::Client => self.manner.patience,
            Origin::Peer(hop) => hop.time_left.min(self.manner.patience),
        }
    }
}

/// The edition that counts now.
pub(super) struct Rulebook(ArcSwap<Edition>);

impl Rulebook {
    pub(super) fn new(edition: Edition) -> Self {
        Rulebook(ArcSwap::from_pointee(edition))
    }

    /// For a request that comes now, to its end.
    pub(super) fn edition(&self) -> Arc<Edition> {
        self.0.load_full()
    }
}

impl Gateway {
    /// From now on requests go by these; those that are under way go by what they came under.
    pub fn turn_to(&self, rules: Rules, manner: Manner) {
        let before = self.rulebook.edition();
        self.queue.resize(manner.queue.size());
        let mut edition = Edition::new(rules, manner);
        if edition.manner.merge_variants == before.manner.merge_variants {
            edition.kin = before.kin.clone();
        }
        self.rulebook.0.store(Arc::new(edition));
    }
}

/// The requests that are under way here: those of clients, and those that other peers have forwarded.
#[derive(Default)]
pub(super) struct UnderWay(Arc<AtomicU32>);

impl UnderWay {
    /// One more, unless there are `most`.
    pub(super) fn enter(&self, most: u32) -> Option<Present> {
        let more = |now: u32| (now < most).then(|| now + 1);
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok()?;
        Some(Present(self.0.clone()))
    }

    pub(super) fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A request that is under way; counted until dropped.
pub(super) struct Present(Arc<AtomicU32>);

impl Drop for Present {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

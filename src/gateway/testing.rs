//! What tests of the gateway, and of those who look at it, have in common.

use std::sync::Arc;
use std::time::Duration;

use super::Manner;
use crate::budget::price::Prices;
use crate::exchange::Hop;
use crate::fleet::{PeerId, Zone};

/// How a gateway goes about that nobody has configured.
pub(crate) fn manner() -> Manner {
    Manner {
        affinity_by_user: false,
        patience: Duration::from_secs(60),
        heartbeat: None,
        max_retries: 2,
        max_concurrent: 100,
        queue: crate::queue::Config::default(),
        max_hops: 1,
        log_prompts: false,
        peer_name: "here".into(),
        merge_variants: false,
        prices: Arc::new(Prices::with_overrides(&Default::default())),
    }
}

/// The way here of a request that the peer `from` forwards, for `model` at the backend `b`.
pub(crate) fn hop(from: &str, model: &str) -> Hop {
    Hop {
        from: PeerId::from_text(from),
        asked: model.to_owned(),
        by: Vec::new(),
        model: model.to_owned(),
        backend: "b".to_owned(),
        hops_left: 0,
        visited: Vec::new(),
        time_left: Duration::from_secs(1),
        may_queue: false,
        may_wait: Duration::ZERO,
        last_resort: false,
        zone: Zone::Open,
        tier: None,
        most: None,
        payer: None,
    }
}

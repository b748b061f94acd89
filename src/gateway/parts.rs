//! What a gateway is made of, and how it stands: whether it drains, what is under way, what it knows and is called. It
//! answers no requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rand::RngExt;
use tokio_util::sync::CancellationToken;

use super::error::Known;
use super::rulebook::{Edition, Rulebook, UnderWay};
use super::{Gateway, Manner, Witness, survey};
use crate::budget::{Rates, Treasury};
use crate::env::Env;
use crate::exchange::RequestId;
use crate::mesh::Mesh;
use crate::queue::Queue;
use crate::registry::Registry;
use crate::route::Rules;

impl Gateway {
    /// A gateway to the backends of `registry` and, through `mesh`, to those of other peers.
    pub fn new(
        rules: Rules,
        manner: Manner,
        registry: Arc<Registry>,
        mesh: Option<Mesh>,
        treasury: Option<Arc<Treasury>>,
        env: &Env,
    ) -> Self {
        let queue = Queue::new(manner.queue.size());
        let offered = queue.clone();
        registry.on_free(Box::new(move |entry| offered.offer(&entry.name, || entry.grant())));
        Gateway {
            name: manner.peer_name.clone(),
            rulebook: Rulebook::new(Edition::new(rules, manner)),
            queue,
            under_way: UnderWay::default(),
            draining: AtomicBool::new(false),
            cutting: CancellationToken::new(),
            registry,
            abroad: Arc::default(),
            mesh,
            http: env.http.clone(),
            clock: env.clock.clone(),
            turn: AtomicU64::new(0),
            chance: env.seed.fork("routing").random(),
            labels: env.seed.fork("labels").random(),
            labelled: AtomicU64::new(0),
            rates: treasury.clone().map(Rates::new),
            limits: Arc::default(),
            treasury,
            witness: None,
            traces: None,
            book: Arc::default(),
        }
    }

    /// The same, with somebody who keeps count of its requests.
    #[must_use]
    pub fn witnessed_by(self, witness: Arc<dyn Witness>) -> Self {
        Gateway { witness: Some(witness), ..self }
    }

    /// What its queue has done.
    pub fn queue_counts(&self) -> crate::queue::Counts {
        self.queue.counts()
    }

    /// Ends every stream that is still under way, with an error event where its client understands one.
    pub fn cut(&self) {
        self.cutting.cancel();
    }

    /// Takes no new requests, from nobody, and finishes those that are under way; or takes them again.
    pub fn set_draining(&self, draining: bool) {
        self.draining.store(draining, Ordering::SeqCst);
    }

    /// Whether it takes no new requests.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Requests that are under way, those that wait for a slot among them.
    pub fn under_way(&self) -> u32 {
        self.under_way.count()
    }

    /// What an answer that is translated here is called.
    pub(super) fn label_of(&self, id: &RequestId) -> String {
        let bits = self.labels ^ self.labelled.fetch_add(1, Ordering::Relaxed).rotate_left(32);
        let (high, low) = (twox_hash::XxHash3_64::oneshot_with_seed(bits, id.as_str().as_bytes()), bits);
        RequestId::from_bits(u128::from(high) << 64 | u128::from(low)).as_str()["req-".len()..].to_owned()
    }

    pub(super) fn known(&self) -> Known {
        let here = self.registry.snapshot();
        let unchecked = here.entries.iter().filter(|entry| entry.condition().checked_at.is_none()).count();
        Known { models: survey::every_model(&self.registry, self.mesh.as_ref()), unchecked }
    }

    /// What this peer is called, which depends on who else is there.
    pub fn here(&self) -> Arc<str> {
        self.mesh.as_ref().map_or_else(|| self.name.clone(), Mesh::name)
    }
}

//! The treasury of this node among those of the others: what gossip tells of their ledgers reaches it, its questions travel
//! as orders, and theirs are answered.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{StartError, parts};
use crate::budget::{Heard, Lender, MeshKind, Setup, Treasury};
use crate::config::Config;
use crate::env::Env;
use crate::exchange::{Order, Outcome};
use crate::fleet::{LedgerFacts, PeerId, PeerState};
use crate::mesh::{Identity, Mesh};

/// Where the treasury will be: the mesh tells of it from its first round on, and is there before it. It is not kept alive
/// by that: it has the mesh itself, and neither would ever go, nor the port and the data directory with them.
pub(super) type Slot = Arc<OnceLock<Weak<Treasury>>>;

/// Claims that are not through are gone on with every so often.
const TEND_EVERY: Duration = Duration::from_secs(5);

/// What is told of the ledger in a round of gossip.
pub(super) fn told(slot: &Slot) -> Arc<dyn Fn() -> Option<LedgerFacts> + Send + Sync> {
    let slot = slot.clone();
    Arc::new(move || slot.get()?.upgrade()?.facts())
}

/// Whose treasury it is to be.
pub(super) struct Owner<'a> {
    pub(super) identity: Option<Identity>,
    pub(super) mesh: Option<&'a Mesh>,
    pub(super) has_limited_keys: bool,
}

/// Opens the treasury, where money may be spent. Outside a mesh that is where a limit is set.
pub(super) fn open(config: &Config, owner: Owner<'_>, env: &Env) -> Result<Option<Arc<Treasury>>, StartError> {
    let directory = PathBuf::from(&config.data_dir);
    let terms = config.budget.as_ref().and_then(crate::budget::Config::terms);
    let peer = match (&owner.identity, terms.is_some() || owner.has_limited_keys) {
        (Some(identity), _) => identity.id().to_string(),
        (None, false) => return Ok(None),
        // Its data directory is claimed as that of a peer is: two processes must not keep one ledger.
        (None, true) => Identity::open(&directory, env)?.id().to_string(),
    };
    let name = parts::peer_name(config, env);
    let mesh = owner.mesh.map_or(MeshKind::Alone, kind_of);
    Ok(Some(Treasury::open(Setup { directory, peer, name, terms, mesh }, env)))
}

/// The mesh that a node is a peer of, for its treasury.
pub(super) fn kind_of(mesh: &Mesh) -> MeshKind {
    if !mesh.is_keyed() {
        return MeshKind::Alone;
    }
    let membership = mesh.membership();
    MeshKind::Keyed { tag: mesh.mesh_tag(), made_here: false, invited: !membership.seeds.is_empty() }
}

/// Questions to other treasuries, as orders.
pub(super) struct Errand(pub(super) Mesh);

impl Lender for Errand {
    fn ask(&self, peer: &PeerId, question: Value, patience: Duration) -> BoxFuture<'_, Option<Value>> {
        let peer = peer.clone();
        Box::pin(async move {
            match self.0.order(&peer, Order::Ledger { question }, patience).await {
                Ok(Outcome::Ledger { answer }) => Some(answer),
                _ => None,
            }
        })
    }
}

/// Keeps the treasury at what gossip tells, for as long as it is polled.
pub(super) async fn listen(treasury: Weak<Treasury>, mesh: Mesh) {
    let mut tick = interval(mesh.config().gossip_interval());
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(treasury) = treasury.upgrade() else { return };
        let tag = mesh.mesh_tag();
        treasury.hear_in(&tag, &heard(&mesh));
    }
}

/// Goes on with claims on the rights of lost peers, for as long as it is polled.
pub(super) async fn tend(treasury: Weak<Treasury>) {
    loop {
        tokio::time::sleep(TEND_EVERY).await;
        let Some(treasury) = treasury.upgrade() else { return };
        treasury.tend().await;
    }
}

fn heard(mesh: &Mesh) -> Vec<Heard> {
    let (peers, now, config) = (mesh.peers(), Instant::now(), mesh.config());
    let told = peers.list.iter().filter_map(|peer| {
        let living = peer.state(now, config) != PeerState::Dead;
        Some(Heard { peer: peer.id.clone(), name: peer.name.clone(), living, facts: peer.ledger.clone()? })
    });
    told.collect()
}

//! Where parts meet that do not know each other: a peer's request enters the gateway, an operator's wish reaches the mesh,
//! and what this machine is called reaches the registry.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::HeaderValue;
use tokio::sync::watch;

use crate::access::Ring;
use crate::api;
use crate::budget::{MeshKind, Treasury};
use crate::discovery::Herald;
use crate::env::Env;
use crate::exchange::{Refusal, RefusalReason, Reply, Request, Serve, visited};
use crate::gateway::{Gateway, Traces};
use crate::mesh::{self, Mesh};
use crate::registry::{Registry, Whereabouts};
use crate::telemetry::IsListed;
use crate::telemetry::spans::Spans;

/// The way from the mesh into the gateway. The gateway holds the mesh; were it held in turn, neither would ever go, nor
/// the port and the data directory with them.
pub(super) struct Door {
    pub(super) gateway: Weak<Gateway>,
    pub(super) node: HeaderValue,
}

impl Serve for Door {
    fn serve(&self, mut request: Request) -> BoxFuture<'_, Result<Reply, Refusal>> {
        let refused = |reason, message: &str| {
            Err(Refusal { reason, message: message.to_owned(), load: None, left_alone: false, fault: None })
        };
        Box::pin(async move {
            if visited::enter(&mut request.headers, &self.node).is_err() {
                return refused(RefusalReason::Loop, "a backend leads back to this peer");
            }
            match self.gateway.upgrade() {
                Some(gateway) => gateway.serve(request).await,
                None => refused(RefusalReason::Draining, "this peer has stopped"),
            }
        })
    }
}

/// The running node's way into another mesh.
pub(super) struct Member {
    pub(super) mesh: Option<Mesh>,
    pub(super) ring: Arc<Ring>,
    pub(super) herald: watch::Sender<Option<Herald>>,
    pub(super) mdns: bool,
    pub(super) treasury: Option<Arc<Treasury>>,
}

impl api::Membership for Member {
    fn join(&self, membership: mesh::Membership, made_here: bool) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let Some(mesh) = &self.mesh else { return Err("the mesh is off on this node".to_owned()) };
            mesh.rejoin(membership).await.map_err(|error| error.to_string())?;
            if let Some(treasury) = &self.treasury {
                let kind = match super::money::kind_of(mesh) {
                    MeshKind::Keyed { tag, invited, .. } => MeshKind::Keyed { tag, made_here, invited },
                    alone => alone,
                };
                treasury.rejoin(kind);
            }
            if mesh.is_keyed() {
                self.ring.await_other_mesh();
            }
            if made_here {
                self.ring.settle();
            }
            if self.mdns {
                self.herald.send_replace(Some(herald_of(mesh)));
            }
            Ok(())
        })
    }
}

pub(super) fn herald_of(mesh: &Mesh) -> Herald {
    Herald { announcement: mesh.announcement(), id: mesh.myself().id, tag: mesh.mesh_tag() }
}

/// Whether some backend lists a model, here or at another peer, whatever state it is in.
pub(super) fn is_listed(registry: &Arc<Registry>, mesh: Option<&Mesh>) -> IsListed {
    let (registry, mesh) = (registry.clone(), mesh.cloned());
    Box::new(move |model| {
        let is_far = |mesh: &Mesh| {
            let peers = mesh.peers();
            let mut models = peers.list.iter().flat_map(|peer| &peer.backends).flat_map(|backend| &backend.models);
            models.any(|known| known.id == model)
        };
        !registry.snapshot().offering(model).is_empty() || mesh.as_ref().is_some_and(is_far)
    })
}

/// Who follows the traces of requests.
pub(super) fn traces(spans: Option<&Arc<Spans>>) -> Option<Arc<dyn Traces>> {
    spans.map(|spans| Arc::clone(spans) as Arc<dyn Traces>)
}

/// Machines get addresses late, and other ones: no system tells all programs of that in one way.
const LOOK_AROUND_EVERY: Duration = Duration::from_secs(10);

pub(super) async fn look_around(registry: Arc<Registry>, env: Env) {
    loop {
        tokio::time::sleep(LOOK_AROUND_EVERY).await;
        registry.moved(Whereabouts::of(&*env.net));
    }
}

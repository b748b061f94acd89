//! Where parts meet that do not know each other: a peer's request enters the gateway, an operator's wish reaches the mesh,
//! and what this machine is called reaches the registry.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::HeaderValue;
use tokio::sync::watch;

use crate::api;
use crate::discovery::Herald;
use crate::env::Env;
use crate::exchange::{Refusal, RefusalReason, Reply, Request, Serve, visited};
use crate::gateway::Gateway;
use crate::mesh::{self, Mesh};
use crate::registry::{Registry, Whereabouts};

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
    pub(super) herald: watch::Sender<Option<Herald>>,
    pub(super) mdns: bool,
}

impl api::Membership for Member {
    fn join(&self, membership: mesh::Membership) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let Some(mesh) = &self.mesh else { return Err("the mesh is off on this node".to_owned()) };
            mesh.rejoin(membership).await.map_err(|error| error.to_string())?;
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

/// Machines get addresses late, and other ones: no system tells all programs of that in one way.
const LOOK_AROUND_EVERY: Duration = Duration::from_secs(10);

pub(super) async fn look_around(registry: Arc<Registry>, env: Env) {
    loop {
        tokio::time::sleep(LOOK_AROUND_EVERY).await;
        registry.moved(Whereabouts::of(&*env.net));
    }
}

//! What other peers are asked to do, and what their answers mean here.

use std::time::Duration;

use futures_util::future::join_all;

use super::Lifecycle;
use super::place::Place;
use crate::exchange::{Objection, ObjectionReason, Operation, Order, Outcome};
use crate::fleet::{PeerId, Residency};
use crate::mesh::{Mesh, OrderError};

/// How long a peer may take to say what it makes of an order: it asks its backend first.
const ANSWER_DEADLINE: Duration = Duration::from_secs(8);

/// How long it may take to say what it knows.
const LIST_DEADLINE: Duration = Duration::from_secs(2);

/// How often it is asked how an operation is.
pub(super) const ASK_EVERY: Duration = Duration::from_millis(200);

/// Where nobody is proven, nobody may order.
pub(super) fn no_orders_in_the_open() -> Objection {
    let message = "Peers of an open mesh take no orders from each other: nobody there has proven who it is. Give the mesh \
                   a key (`nexus mesh invite`), or ask the peer that owns the backend itself.";
    Objection::new(ObjectionReason::Forbidden, message)
}

impl Lifecycle {
    async fn ask(&self, peer: &PeerId, order: Order, deadline: Duration) -> Result<Outcome, Objection> {
        let Some(mesh) = &self.0.mesh else {
            return Err(Objection::new(ObjectionReason::Failed, "the mesh is off on this node"));
        };
        if !mesh.is_keyed() {
            return Err(no_orders_in_the_open());
        }
        let peers = mesh.peers();
        let name = peers.get(peer).map_or_else(|| peer.short().to_owned(), |peer| peer.name.clone());
        mesh.order(peer, order, deadline).await.map_err(|error| match error {
            OrderError::Objected(objection) => objection,
            other => Objection::new(ObjectionReason::Failed, format!("{name}: {other}")),
        })
    }

    /// The operation that comes of an order, or that was asked for.
    pub(super) async fn operation_of(&self, peer: &PeerId, order: Order) -> Result<Operation, Objection> {
        match self.ask(peer, order, ANSWER_DEADLINE).await? {
            Outcome::Operation(operation) => Ok(self.named(peer, operation)),
            _ => Err(nonsense()),
        }
    }

    /// Where a model is.
    pub(super) async fn look_at(&self, place: &Place, model: &str) -> Result<Residency, Objection> {
        let (peer, backend) = match place {
            Place::Here(entry) => return self.look_here(entry, model).await,
            Place::There { peer, backend, .. } => (peer, backend.clone()),
        };
        match self.ask(peer, Order::Look { model: model.to_owned(), backend }, ANSWER_DEADLINE).await? {
            Outcome::Standing(residency) => Ok(residency),
            _ => Err(nonsense()),
        }
    }

    /// What every other peer has done lately, as far as they answer.
    pub(super) async fn operations_of_others(&self) -> Vec<Operation> {
        if !self.0.mesh.as_ref().is_some_and(Mesh::is_keyed) {
            return Vec::new();
        }
        let asked = self.peers().into_iter().map(async |peer| {
            match self.ask(&peer.id, Order::Operations, LIST_DEADLINE).await {
                Ok(Outcome::Operations(list)) => {
                    list.into_iter().map(|operation| self.named(&peer.id, operation)).collect()
                }
                _ => Vec::new(),
            }
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// With the name by which its peer goes here.
    fn named(&self, peer: &PeerId, operation: Operation) -> Operation {
        let peers = self.0.mesh.as_ref().map(Mesh::peers).unwrap_or_default();
        match peers.get(peer) {
            Some(peer) => Operation { peer: peer.name.clone(), ..operation },
            None => operation,
        }
    }
}

fn nonsense() -> Objection {
    Objection::new(ObjectionReason::Failed, "the peer answered something else than it was asked")
}

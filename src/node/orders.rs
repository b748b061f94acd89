//! Who follows which order of other peers. What an order means is known where it is followed.

use std::sync::{Arc, OnceLock, Weak};

use futures_util::future::BoxFuture;

use super::keys::Sharing;
use crate::advice::Advisor;
use crate::api::{Answers, Managed};
use crate::budget::Treasury;
use crate::exchange::{Obey, Objection, ObjectionReason, Order, Outcome};
use crate::fleet::PeerId;
use crate::gateway::Gateway;
use crate::lifecycle::Obedient;
use crate::mesh::Mesh;
use crate::telemetry::audit::{By, Deed, note};

/// Hands each order to whom it is for. None of them is kept alive by it: the mesh has it, and they have the mesh.
pub(super) struct Orders {
    pub(super) lifecycle: Obedient,
    pub(super) keys: Weak<Sharing>,
    pub(super) treasury: Weak<Treasury>,
    pub(super) advisor: Weak<Advisor>,
    pub(super) gateway: Weak<Gateway>,
    pub(super) answers: Arc<Answers>,
    pub(super) managed: ManagedSlot,
}

/// What is managed here, for as long as the node lives. It is made after the mesh.
pub(super) type ManagedSlot = Arc<OnceLock<Weak<Managed>>>;

impl Orders {
    /// What a peer is called.
    fn name_of(&self, peer: &PeerId) -> String {
        let mesh = self.keys.upgrade().map(|sharing| sharing.mesh.clone());
        let peers = mesh.as_ref().map(Mesh::peers).unwrap_or_default();
        peers.get(peer).map_or_else(|| peer.short().to_owned(), |peer| peer.name.clone())
    }

    /// Does something with a model for another peer, and writes that down.
    async fn lifecycle(&self, from: PeerId, order: Order, deed: Option<Deed>) -> Result<Outcome, Objection> {
        let by = By::new(format!("peer {}", self.name_of(&from)), "the key of the mesh");
        let outcome = self.lifecycle.obey(from, order).await?;
        if let Some(deed) = deed {
            let here = self.keys.upgrade().map(|sharing| sharing.mesh.name()).unwrap_or_default();
            note(&deed, &here, &by);
        }
        Ok(outcome)
    }
}

/// What an order does to a model here, where it does anything.
fn deed_of(order: &Order) -> Option<Deed> {
    match order {
        Order::Load { model, backend, .. } => {
            Some(Deed { action: "model_load", subject: format!("{model} on {backend}") })
        }
        Order::Unload { model, backend, .. } => {
            Some(Deed { action: "model_unload", subject: format!("{model} on {backend}") })
        }
        _ => None,
    }
}

impl Obey for Orders {
    fn obey(&self, from: PeerId, order: Order) -> BoxFuture<'_, Result<Outcome, Objection>> {
        match order {
            Order::Load { .. }
            | Order::Unload { .. }
            | Order::Look { .. }
            | Order::Operation { .. }
            | Order::Operations => {
                let deed = deed_of(&order);
                Box::pin(self.lifecycle(from, order, deed))
            }
            Order::Manage(call) => {
                let managed = self.managed.get().and_then(Weak::upgrade);
                let name = self.name_of(&from);
                Box::pin(async move { managed.ok_or_else(stopped)?.follow(&name, call).await.map(Outcome::Managed) })
            }
            Order::Keys { records, after } => {
                let keys = self.keys.upgrade();
                Box::pin(async move { keys.ok_or_else(stopped)?.answer(&from, records, &after) })
            }
            Order::History => {
                let advisor = self.advisor.upgrade();
                Box::pin(async move { advisor.ok_or_else(stopped)?.told().map(|told| Outcome::History { told }) })
            }
            Order::Ledger { question } => {
                let treasury = self.treasury.upgrade();
                Box::pin(async move {
                    let answer = treasury.ok_or_else(stopped)?.answer(question).await;
                    Ok(Outcome::Ledger { answer })
                })
            }
            Order::Decision { id } => {
                let gateway = self.gateway.upgrade();
                Box::pin(async move {
                    let told = gateway.ok_or_else(stopped)?.decision_for(&from, &id);
                    Ok(Outcome::Decision { told })
                })
            }
            Order::Stats => {
                let told = self.answers.stats();
                Box::pin(async move { Ok(Outcome::Stats { told: told.ok_or_else(stopped)? }) })
            }
            Order::Requests => {
                let told = self.answers.requests();
                Box::pin(async move { Ok(Outcome::Requests { told: told.ok_or_else(stopped)? }) })
            }
            Order::Ended { after } => {
                let told = self.answers.ended(after);
                Box::pin(async move { told.map(Outcome::Ended).ok_or_else(stopped) })
            }
        }
    }
}

fn stopped() -> Objection {
    Objection::new(ObjectionReason::Failed, "this peer has stopped")
}

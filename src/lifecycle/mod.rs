//! Which models are in memory, as somebody orders it: load, unload, migrate, on any backend of the mesh. Whoever is asked
//! finds the owner; the owner does it, keeps the operation, and calls it done when its server's own list says so. What
//! requests do meanwhile is the gateway's matter.
//!
//! Start reading at [`Lifecycle::load`], then `work` (what is done here), then `migrate`.

mod book;
mod config;
mod far;
mod migrate;
mod place;
#[cfg(test)]
mod tests;
mod work;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::env::Env;
use crate::exchange::{Objection, ObjectionReason, Operation, OperationKind, Order, Outcome};
use crate::fleet::PeerId;
use crate::mesh::Mesh;
use crate::registry::Registry;

pub use config::Config;
pub use migrate::Move;

use book::Book;
use place::Place;

/// Loads and unloads models.
#[derive(Clone)]
pub struct Lifecycle(Arc<Inner>);

struct Inner {
    config: Config,
    registry: Arc<Registry>,
    mesh: Option<Mesh>,
    /// What this peer is called where there is no mesh.
    name: Arc<str>,
    env: Env,
    book: Book,
}

/// What is to be done with a model.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// The model.
    pub model: String,
    /// The backend; where none is named, the only one that will do.
    pub backend: Option<String>,
    /// Its peer, by name or id, where more than one has a backend of that name.
    pub peer: Option<String>,
    /// Fetch it first.
    pub pull: bool,
}

/// How long an unload is waited for.
const UNLOAD_PATIENCE: Duration = Duration::from_secs(15);

impl Lifecycle {
    /// Of the backends of `registry`, and those of the peers of `mesh`.
    pub fn new(config: Config, registry: Arc<Registry>, mesh: Option<Mesh>, name: Arc<str>, env: &Env) -> Self {
        let book = Book::new(mesh.as_ref().map(|mesh| mesh.id().short()), env);
        Lifecycle(Arc::new(Inner { config, registry, mesh, name, env: env.clone(), book }))
    }

    /// What follows the orders of other peers, for as long as this lives.
    pub fn downgrade(&self) -> Obedient {
        Obedient(Arc::downgrade(&self.0))
    }

    /// Begins to load a model.
    ///
    /// # Errors
    /// Why it is not even begun.
    pub async fn load(&self, wish: &Wish) -> Result<Operation, Objection> {
        let place = self.find(wish, OperationKind::Load)?;
        self.load_at(&place, &wish.model, wish.pull).await
    }

    async fn load_at(&self, place: &Place, model: &str, pull: bool) -> Result<Operation, Objection> {
        match place {
            Place::Here(entry) => self.load_here(entry, model, pull).await,
            Place::There { peer, backend, .. } => {
                let order = Order::Load { model: model.to_owned(), backend: backend.clone(), pull };
                self.operation_of(peer, order).await
            }
        }
    }

    /// Unloads a model, and waits until it is gone.
    ///
    /// # Errors
    /// Why it is not gone.
    pub async fn unload(&self, wish: &Wish) -> Result<Operation, Objection> {
        let place = self.find(wish, OperationKind::Unload)?;
        let begun = self.unload_at(&place, &wish.model, false).await?;
        let ended = self.wait_for(begun, UNLOAD_PATIENCE).await?;
        match &ended.error {
            Some(error) => Err(Objection::new(ObjectionReason::Failed, error.clone())),
            None if ended.has_ended() => Ok(ended),
            None => {
                let seconds = UNLOAD_PATIENCE.as_secs();
                let message = format!("the model is still in memory after {seconds} s: see {}", ended.operation_id);
                Err(Objection::new(ObjectionReason::Failed, message))
            }
        }
    }

    async fn unload_at(&self, place: &Place, model: &str, drain: bool) -> Result<Operation, Objection> {
        match place {
            Place::Here(entry) => self.unload_here(entry, model, drain).await,
            Place::There { peer, backend, .. } => {
                let order = Order::Unload { model: model.to_owned(), backend: backend.clone(), drain };
                self.operation_of(peer, order).await
            }
        }
    }

    /// An operation of any peer, as it is now.
    ///
    /// # Errors
    /// There is none of that id, or its peer does not answer.
    pub async fn operation(&self, id: &str) -> Result<Operation, Objection> {
        if let Some(operation) = self.0.book.get(id) {
            return Ok(operation);
        }
        let unknown = || Objection::new(ObjectionReason::Unknown, format!("there is no operation {}", shown(id)));
        let peer = self.peer_of_operation(id).ok_or_else(unknown)?;
        self.operation_of(&peer, Order::Operation { id: id.to_owned() }).await
    }

    /// What was done lately, here and by every peer that answers, newest first.
    pub async fn operations(&self) -> Vec<Operation> {
        let mut all = self.0.book.list();
        all.extend(self.operations_of_others().await);
        all.sort_by(|one, other| other.started_at.cmp(&one.started_at));
        all.truncate(book::MOST);
        all
    }

    /// The same operation when it has ended, or after `patience`.
    async fn wait_for(&self, begun: Operation, patience: Duration) -> Result<Operation, Objection> {
        let until = tokio::time::Instant::now() + patience;
        let mut operation = begun;
        while !operation.has_ended() && tokio::time::Instant::now() < until {
            if !self.0.book.wait_until(&operation.operation_id, until).await {
                tokio::time::sleep(far::ASK_EVERY).await;
            }
            operation = self.operation(&operation.operation_id).await?;
        }
        Ok(operation)
    }

    /// What this peer is called.
    fn name(&self) -> Arc<str> {
        self.0.mesh.as_ref().map_or_else(|| self.0.name.clone(), Mesh::name)
    }

    /// Follows the order of another peer.
    async fn obey(&self, from: PeerId, order: Order) -> Result<Outcome, Objection> {
        if !self.0.mesh.as_ref().is_some_and(Mesh::is_keyed) {
            return Err(far::no_orders_in_the_open());
        }
        tracing::debug!(peer = %from, ?order, "A peer orders");
        match order {
            Order::Load { model, backend, pull } => {
                self.load_here(&self.own(&backend)?, &model, pull).await.map(Outcome::Operation)
            }
            Order::Unload { model, backend, drain } => {
                self.unload_here(&self.own(&backend)?, &model, drain).await.map(Outcome::Operation)
            }
            Order::Look { model, backend } => {
                let entry = self.own(&backend)?;
                self.look_here(&entry, &model).await.map(Outcome::Standing)
            }
            Order::Operation { id } => {
                let unknown =
                    || Objection::new(ObjectionReason::Unknown, format!("there is no operation {}", shown(&id)));
                self.0.book.get(&id).map(Outcome::Operation).ok_or_else(unknown)
            }
            Order::Operations => Ok(Outcome::Operations(self.0.book.list())),
            Order::Ledger { .. }
            | Order::Keys { .. }
            | Order::Decision { .. }
            | Order::Stats
            | Order::Requests
            | Order::Ended { .. }
            | Order::History
            | Order::Manage(_) => Err(Objection::new(ObjectionReason::Impossible, "that is no matter of models")),
        }
    }
}

/// What somebody else chose, as it stands in a message.
fn shown(name: &str) -> String {
    name.chars().take(128).collect()
}

/// Follows orders for as long as the node lives, and does not keep it alive.
pub struct Obedient(std::sync::Weak<Inner>);

impl crate::exchange::Obey for Obedient {
    fn obey(&self, from: PeerId, order: Order) -> BoxFuture<'_, Result<Outcome, Objection>> {
        Box::pin(async move {
            match self.0.upgrade() {
                Some(inner) => Lifecycle(inner).obey(from, order).await,
                None => Err(Objection::new(ObjectionReason::Failed, "this peer has stopped")),
            }
        })
    }
}

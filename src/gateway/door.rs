//! Where other peers' requests come in: the same story as a client's, told to a peer. What it refuses it says so that the
//! entry can try somebody else.

use futures_util::future::BoxFuture;

use super::Gateway;
use crate::exchange::{Origin, Refusal, Reply, Request, Serve};
use crate::fleet::Load;

impl Serve for Gateway {
    fn serve(&self, request: Request) -> BoxFuture<'_, Result<Reply, Refusal>> {
        Box::pin(async move {
            let edition = self.rulebook.edition();
            let mut answered = self.answer(&request, &edition).await;
            if let (Ok(reply), Some(load)) = (&mut answered, self.load_asked_for(&request)) {
                reply.extensions_mut().insert(load);
            }
            answered.map_err(|(failure, trip)| {
                let mut refusal = failure.refusal(&trip, &self.here());
                refusal.load = self.load_asked_for(&request);
                trip.refuse(&refusal);
                refusal
            })
        })
    }
}

impl Gateway {
    /// How busy the backend is that a peer has in mind, now.
    fn load_asked_for(&self, request: &Request) -> Option<Load> {
        let Origin::Peer(hop) = &request.origin else { return None };
        self.registry.snapshot().get(&hop.backend).map(|entry| entry.load())
    }
}

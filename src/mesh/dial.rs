//! Reaching peers: one attempt at a time for each, every address at once, and no waiting for those who do not answer.
//! Whoever answers is taken in by `endpoint`, which knows who is proven.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::endpoint::{Endpoint, HANDSHAKE};
use super::links::{Attempt, Link};
use super::tls;
use crate::fleet::PeerId;

/// Addresses of one peer that are dialled at once.
const MAX_CANDIDATES: usize = 16;

/// After a failure so recent, whoever wants the peer at once is told so at once.
const FRESH_FAILURE: Duration = Duration::from_secs(1);

/// Gossip that waits for a connection must surely fit its first datagram, in bytes.
const MAX_KEPT: usize = 1_100;

/// Why a peer could not be reached, for people.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("{0}")]
    Failed(String),
    #[error("that is this node itself")]
    Myself,
    #[error("another peer answers there")]
    SomebodyElse,
}

impl Endpoint {
    /// Sees to it that `peer` is being dialled, unless it is connected or was tried too recently.
    pub(super) fn ensure(self: &Arc<Self>, peer: &PeerId, at_once: bool) {
        if *peer == self.me || self.links.get(peer).is_some() {
            return;
        }
        let Attempt::Dial(addresses) = self.links.attempt(peer, at_once) else { return };
        let (endpoint, peer) = (self.clone(), peer.clone());
        self.env.tasks.spawn("mesh-dial", async move {
            let end = AttemptEnd { endpoint: &endpoint, peer: &peer, reached: false };
            let reached = endpoint.dial(addresses, Some(&peer)).await;
            if let Err(error) = &reached {
                tracing::debug!(target: "nexus::mesh", event = "dial_failed", peer = %peer, %error, "cannot reach a peer");
            }
            end.done(reached.is_ok());
        });
    }

    /// A connection to `peer`: the one there is, or a new one within `limit`.
    pub(super) async fn connection(
        self: &Arc<Self>,
        peer: &PeerId,
        limit: Duration,
    ) -> Result<quinn::Connection, String> {
        let mut changed = self.links.changed();
        if let Some(connection) = self.links.get(peer) {
            return Ok(connection);
        }
        if self.links.failed_lately(peer, FRESH_FAILURE) {
            self.ensure(peer, false);
            return Err("it did not answer a moment ago".to_owned());
        }
        self.ensure(peer, true);
        let arrival = async {
            loop {
                if let Some(connection) = self.links.get(peer) {
                    return Ok(connection);
                }
                if self.links.gave_up(peer) {
                    return Err("nobody answers where it was heard of".to_owned());
                }
                let _ = changed.changed().await;
            }
        };
        tokio::time::timeout(limit, arrival).await.unwrap_or_else(|_| {
            self.links.unreachable(peer);
            Err(format!("no connection within {} ms", limit.as_millis()))
        })
    }

    /// Dials every address at once and keeps the first connection whose other end is `wanted`, or anyone if nobody is.
    pub(super) async fn dial(&self, addresses: Vec<SocketAddr>, wanted: Option<&PeerId>) -> Result<Link, DialError> {
        let epoch = self.links.epoch();
        let config = self.client();
        let mut dials: FuturesUnordered<_> = addresses
            .into_iter()
            .take(MAX_CANDIDATES)
            .map(|address| {
                let connecting = self.quinn.connect_with(config.clone(), address, tls::SERVER_NAME);
                async move {
                    let handshake = async { connecting.map_err(|error| error.to_string())?.await.map_err(readable) };
                    let end = tokio::time::timeout(HANDSHAKE, handshake).await;
                    end.unwrap_or_else(|_| Err("no answer".to_owned())).map_err(|error| format!("{address}: {error}"))
                }
            })
            .collect();
        let mut failure = DialError::Failed("it has no address".to_owned());
        while let Some(end) = dials.next().await {
            match end.map_err(DialError::Failed).and_then(|connection| self.take_in(connection, wanted, epoch)) {
                Ok(link) => return Ok(link),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Sends gossip to whoever it is addressed to, without waiting for anything.
    pub(super) fn gossip(self: &Arc<Self>, to: SocketAddr, message: Vec<u8>) -> bool {
        let Some(peer) = self.links.at_gossip_address(to) else { return false };
        let Some(connection) = self.links.get(&peer) else {
            if message.len() <= MAX_KEPT {
                self.links.keep(&peer, message.into());
            }
            self.ensure(&peer, false);
            return false;
        };
        if connection.max_datagram_size().is_some_and(|limit| message.len() <= limit) {
            return connection.send_datagram(message.into()).is_ok();
        }
        let Ok(permit) = self.large.clone().try_acquire_owned() else { return false };
        self.env.tasks.spawn("mesh-gossip-large", async move {
            let _permit = permit;
            let Ok(mut stream) = connection.open_uni().await else { return };
            let _ = stream.write_chunk(message.into()).await;
        });
        true
    }
}

fn readable(error: quinn::ConnectionError) -> String {
    match error {
        quinn::ConnectionError::TransportError(error) if !error.reason.is_empty() => {
            format!("{} (is it the same mesh name and key?)", error.reason)
        }
        quinn::ConnectionError::ConnectionClosed(closed) => {
            format!("it turned this node away: {} (is it the same mesh name and key?)", closed.error_code)
        }
        error => error.to_string(),
    }
}

/// Ends the attempt it stands for, also where the task that made it is dropped.
struct AttemptEnd<'a> {
    endpoint: &'a Endpoint,
    peer: &'a PeerId,
    reached: bool,
}

impl AttemptEnd<'_> {
    fn done(mut self, reached: bool) {
        self.reached = reached;
    }
}

impl Drop for AttemptEnd<'_> {
    fn drop(&mut self) {
        self.endpoint.links.dialled(self.peer, self.reached);
    }
}

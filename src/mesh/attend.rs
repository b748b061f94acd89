//! What is said over one connection, for as long as it lives: gossip in datagrams and one-way streams, forwarded
//! requests in two-way streams.

use std::sync::Arc;

use quinn::{ConnectionError, RecvStream};
use tokio::sync::Semaphore;

use super::accept::Accept;
use super::endpoint::Endpoint;
use super::forward::within;
use super::gossip::Mailbox;
use super::links::{Link, close, gossip_address};
use crate::env::Tasks;

/// Bytes of one message of gossip; chitchat's own limit is below 64 KiB.
const MAX_GOSSIP: usize = 128 * 1024;

/// Messages of gossip that arrive in streams at once. They are repeated anyway.
const MAX_LARGE: usize = 64;

/// A message in a stream must arrive within this.
const LARGE_DEADLINE: std::time::Duration = std::time::Duration::from_secs(5);

/// What is needed to attend to a connection.
pub(super) struct Attendant {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) accept: Arc<Accept>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) tasks: Tasks,
    large: Arc<Semaphore>,
}

impl Attendant {
    pub(super) fn new(endpoint: Arc<Endpoint>, accept: Arc<Accept>, mailbox: Arc<Mailbox>, tasks: Tasks) -> Arc<Self> {
        Arc::new(Attendant { endpoint, accept, mailbox, tasks, large: Arc::new(Semaphore::new(MAX_LARGE)) })
    }

    /// Attends to `link` in the background until it ends.
    pub(super) fn attend(self: &Arc<Self>, link: Link) {
        let attendant = self.clone();
        self.tasks.spawn("mesh-link", async move {
            let end = attendant.listen(&link).await;
            let left = matches!(&end, ConnectionError::ApplicationClosed(close) if close.error_code == close::LEAVING);
            attendant.endpoint.links.remove(&link, left);
            tracing::debug!(target: "nexus::mesh", event = "link_ended", peer = %link.peer, reason = %end, "a connection ended");
        });
    }

    async fn listen(&self, link: &Link) -> ConnectionError {
        let from = gossip_address(&link.peer);
        loop {
            tokio::select! {
                biased;
                stream = link.connection.accept_bi() => match stream {
                    Ok((send, receive)) => {
                        self.tasks.spawn("mesh-serve", self.accept.clone().one(link.peer.clone(), send, receive));
                    }
                    Err(end) => return end,
                },
                message = link.connection.read_datagram() => match message {
                    Ok(message) => self.mailbox.deliver(from, message),
                    Err(end) => return end,
                },
                stream = link.connection.accept_uni() => match stream {
                    Ok(stream) => self.large_message(from, stream),
                    Err(end) => return end,
                },
            }
        }
    }

    fn large_message(&self, from: std::net::SocketAddr, mut stream: RecvStream) {
        let Ok(permit) = self.large.clone().try_acquire_owned() else { return };
        let mailbox = self.mailbox.clone();
        self.tasks.spawn("mesh-gossip-large", async move {
            let _permit = permit;
            if let Some(Ok(message)) = within(LARGE_DEADLINE, stream.read_to_end(MAX_GOSSIP)).await {
                mailbox.deliver(from, message.into());
            }
        });
    }
}

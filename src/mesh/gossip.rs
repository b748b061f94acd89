//! chitchat over our own connections. Its addresses only name peers; packets go wherever the connection to that peer
//! goes. What is gossiped is not known here.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chitchat::transport::{Socket, Transport};
use chitchat::{
    ChitchatConfig, ChitchatHandle, ChitchatId, ChitchatMessage, Deserializable, FailureDetectorConfig, Serializable,
};
use tokio::sync::mpsc;

use super::counters::Counters;
use super::endpoint::Endpoint;
use super::junk::Junk;

/// Messages that wait to be read; more are dropped, and sent again with the next round.
const MAX_WAITING: usize = 256;

/// How long facts of a dead peer are remembered and passed on, and how long a deleted fact is.
const FORGET_PEER_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
const FORGET_DELETION_AFTER: Duration = Duration::from_secs(60 * 60);

/// Messages that have arrived and wait for chitchat.
pub(super) struct Mailbox {
    inbox: Mutex<Option<mpsc::Sender<(SocketAddr, Bytes)>>>,
    counters: Arc<Counters>,
}

impl Mailbox {
    pub(super) fn new(counters: Arc<Counters>) -> Arc<Self> {
        Arc::new(Mailbox { inbox: Mutex::new(None), counters })
    }

    /// Hands over a message of the peer that gossips under `from`.
    pub(super) fn deliver(&self, from: SocketAddr, message: Bytes) {
        self.counters.received(message.len());
        let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        if inbox.as_ref().is_none_or(|inbox| inbox.try_send((from, message)).is_err()) {
            self.counters.gossip_lost();
        }
    }

    fn open(&self) -> mpsc::Receiver<(SocketAddr, Bytes)> {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        *self.inbox.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        receiver
    }
}

/// The way gossip travels.
pub(super) struct Courier {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) counters: Arc<Counters>,
    pub(super) junk: Arc<Junk>,
}

#[async_trait::async_trait]
impl Transport for Courier {
    async fn open(&self, _: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        Ok(Box::new(Post {
            endpoint: self.endpoint.clone(),
            inbox: self.mailbox.open(),
            counters: self.counters.clone(),
            junk: self.junk.clone(),
        }))
    }
}

struct Post {
    endpoint: Arc<Endpoint>,
    inbox: mpsc::Receiver<(SocketAddr, Bytes)>,
    counters: Arc<Counters>,
    junk: Arc<Junk>,
}

#[async_trait::async_trait]
impl Socket for Post {
    async fn send(&mut self, to: SocketAddr, message: ChitchatMessage) -> anyhow::Result<()> {
        let message = message.serialize_to_vec();
        let bytes = message.len();
        if self.endpoint.gossip(to, message) {
            self.counters.sent(bytes);
        }
        Ok(())
    }

    async fn recv(&mut self) -> anyhow::Result<(SocketAddr, ChitchatMessage)> {
        loop {
            let (from, message) = self.inbox.recv().await.ok_or_else(|| anyhow::anyhow!("gossip is closed"))?;
            match ChitchatMessage::deserialize(&mut &message[..]) {
                Ok(message) => return Ok((from, message)),
                Err(error) => self.junk.complain(&from.ip().to_string(), "malformed gossip", &error),
            }
        }
    }
}

/// Starts gossiping as `generation` of this node: every start needs a larger one.
pub(super) async fn start(
    mesh_name: &str,
    interval: Duration,
    generation: u64,
    facts: Vec<(String, String)>,
    courier: &Courier,
) -> anyhow::Result<ChitchatHandle> {
    let address = courier.endpoint.gossip_address();
    let config = ChitchatConfig {
        chitchat_id: ChitchatId::new(courier.endpoint.me.as_str(), generation, address),
        cluster_id: mesh_name.to_owned(),
        gossip_interval: interval,
        listen_addr: address,
        seed_nodes: Vec::new(),
        // It only decides with whom to gossip; who counts as alive is decided by the age of the news.
        failure_detector_config: FailureDetectorConfig {
            phi_threshold: 8.0,
            sampling_window_size: 100,
            max_interval: Duration::from_secs(10),
            initial_interval: interval * 2,
            dead_node_grace_period: FORGET_PEER_AFTER,
        },
        marked_for_deletion_grace_period: FORGET_DELETION_AFTER,
        catchup_callback: None,
        extra_liveness_predicate: None,
    };
    chitchat::spawn_chitchat(config, facts, courier).await
}

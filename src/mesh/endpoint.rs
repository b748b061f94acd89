//! The one UDP port of a node: QUIC connections in and out, each with a proven peer at the other end. What is said over
//! a connection is not known here: every new one is handed to whoever attends to it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use quinn::{ConnectionId, ConnectionIdGenerator};
use rand::Rng;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::identity::Identity;
use super::junk::Junk;
use super::links::{Attempt, Link, Links, close, gossip_address};
use super::tls::{self, Credentials};
use crate::env::{Dice, Env};
use crate::fleet::PeerId;

/// A handshake may take so long, in either direction.
const HANDSHAKE: Duration = Duration::from_secs(2);

/// Handshakes with others at once, in all and per source. From half of it on, sources must prove their address first.
const MAX_HANDSHAKES: usize = 64;
const MAX_HANDSHAKES_PER_SOURCE: usize = 16;

/// Addresses of one peer that are dialled at once.
const MAX_CANDIDATES: usize = 16;

/// After a failure so recent, whoever wants the peer at once is told so at once.
const FRESH_FAILURE: Duration = Duration::from_secs(1);

/// Length of our connection ids, in bytes.
const CONNECTION_ID: usize = 8;

type Attend = Box<dyn Fn(Link) + Send + Sync>;

/// The QUIC endpoint of this node and its links.
pub(super) struct Endpoint {
    pub(super) links: Links,
    pub(super) junk: Arc<Junk>,
    pub(super) me: PeerId,
    quinn: quinn::Endpoint,
    client: Mutex<quinn::ClientConfig>,
    env: Env,
    attend: OnceLock<Attend>,
    handshakes: Arc<Semaphore>,
    sources: Mutex<BTreeMap<IpAddr, usize>>,
}

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
    /// Binds the port. Nothing is accepted before [`Endpoint::run`].
    pub(super) async fn bind(
        listen: SocketAddr,
        identity: &Identity,
        credentials: Credentials,
        junk: Arc<Junk>,
        env: Env,
    ) -> std::io::Result<Arc<Self>> {
        let socket = env.net.udp(listen).await?;
        let reset_key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &identity.derive("stateless reset"));
        let mut config = quinn::EndpointConfig::new(Arc::new(reset_key));
        let ids = Arc::new(Mutex::new(env.seed.fork("connection-ids")));
        config
            .rng_seed(Some(env.seed.bytes("quic")))
            .cid_generator(move || Box::new(RandomIds(ids.clone())) as Box<dyn ConnectionIdGenerator>);
        let runtime = Arc::new(quinn::TokioRuntime);
        let quinn = quinn::Endpoint::new_with_abstract_socket(config, Some(credentials.server), socket, runtime)?;
        Ok(Arc::new(Endpoint {
            links: Links::new(),
            junk,
            me: identity.id().clone(),
            quinn,
            client: Mutex::new(credentials.client),
            env,
            attend: OnceLock::new(),
            handshakes: Arc::new(Semaphore::new(MAX_HANDSHAKES)),
            sources: Mutex::default(),
        }))
    }

    /// Accepts connections from now on, and hands each new link, in either direction, to `attend`.
    pub(super) fn run(self: &Arc<Self>, attend: impl Fn(Link) + Send + Sync + 'static) {
        let _ = self.attend.set(Box::new(attend));
        let endpoint = self.clone();
        self.env.tasks.spawn("mesh-accept", async move {
            while let Some(incoming) = endpoint.quinn.accept().await {
                endpoint.admit(incoming);
            }
        });
    }

    /// Where it listens.
    pub(super) fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.quinn.local_addr()
    }

    /// Belongs to another mesh from now on: every connection of the old one is closed.
    pub(super) fn rejoin(&self, credentials: Credentials) {
        self.quinn.set_server_config(Some(credentials.server));
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = credentials.client;
        self.links.clear(close::REJOINING, "rejoining");
    }

    /// Says goodbye to everyone and waits until that is sent.
    pub(super) async fn leave(&self) {
        self.quinn.close(close::LEAVING, b"leaving");
        self.quinn.wait_idle().await;
    }

    /// Takes a stranger's first packet: turns it away, asks it to prove its address, or begins a handshake.
    fn admit(self: &Arc<Self>, incoming: quinn::Incoming) {
        let source = incoming.remote_address().ip();
        let Some(permit) = self.handshake_permit(source) else {
            self.junk.complain(&source.to_string(), "too many handshakes", &"more than are taken at once");
            return incoming.ignore();
        };
        let busy = self.handshakes.available_permits() < MAX_HANDSHAKES / 2;
        if busy && !incoming.remote_address_validated() && incoming.may_retry() {
            let _ = incoming.retry();
            return;
        }
        let (endpoint, epoch) = (self.clone(), self.links.epoch());
        self.env.tasks.spawn("mesh-handshake", async move {
            let _permit = permit;
            let handshake = async { incoming.accept()?.await };
            match tokio::time::timeout(HANDSHAKE, handshake).await {
                Ok(Ok(connection)) => {
                    let _ = endpoint.take_in(connection, None, epoch);
                }
                Ok(Err(error)) => endpoint.junk.complain(&source.to_string(), "handshake", &error),
                Err(_) => endpoint.junk.complain(&source.to_string(), "handshake", &"it did not end"),
            }
        });
    }

    fn handshake_permit(self: &Arc<Self>, source: IpAddr) -> Option<HandshakePermit> {
        let all = self.handshakes.clone().try_acquire_owned().ok()?;
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let count = sources.entry(source).or_default();
        if *count >= MAX_HANDSHAKES_PER_SOURCE {
            return None;
        }
        *count += 1;
        Some(HandshakePermit { endpoint: self.clone(), source, _all: all })
    }

    /// Makes a link of a connection whose handshake is done.
    fn take_in(&self, connection: quinn::Connection, wanted: Option<&PeerId>, epoch: u64) -> Result<Link, DialError> {
        let turned_away = |connection: quinn::Connection, error| {
            connection.close(close::NOT_WANTED, b"not wanted");
            Err(error)
        };
        let Some(peer) = tls::peer_of(&connection) else {
            return turned_away(connection, DialError::Failed("its certificate has no key".to_owned()));
        };
        if peer == self.me {
            return turned_away(connection, DialError::Myself);
        }
        if wanted.is_some_and(|wanted| *wanted != peer) {
            return turned_away(connection, DialError::SomebodyElse);
        }
        let link = Link { peer, connection };
        let Some(pending) = self.links.add(&link, epoch) else {
            return turned_away(link.connection, DialError::Failed("this node has joined another mesh".to_owned()));
        };
        if let Some(message) = pending {
            let _ = link.connection.send_datagram(message);
        }
        if let Some(attend) = self.attend.get() {
            attend(link.clone());
        }
        Ok(link)
    }

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
                if self.links.failed_lately(peer, FRESH_FAILURE) {
                    return Err("it cannot be reached".to_owned());
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
        let config = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
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
            if connection_limit() >= message.len() {
                self.links.keep(&peer, message.into());
            }
            self.ensure(&peer, false);
            return false;
        };
        if connection.max_datagram_size().is_some_and(|limit| message.len() <= limit) {
            return connection.send_datagram(message.into()).is_ok();
        }
        self.env.tasks.spawn("mesh-gossip-large", async move {
            let Ok(mut stream) = connection.open_uni().await else { return };
            let _ = stream.write_chunk(message.into()).await;
        });
        true
    }

    /// Gossip address of this node.
    pub(super) fn gossip_address(&self) -> SocketAddr {
        gossip_address(&self.me)
    }
}

/// What surely fits a first datagram.
fn connection_limit() -> usize {
    1_100
}

fn readable(error: quinn::ConnectionError) -> String {
    match error {
        quinn::ConnectionError::TransportError(error) => error.reason,
        quinn::ConnectionError::ConnectionClosed(closed) => {
            format!("it turned this node away ({}): is it the same mesh name and key?", closed.error_code)
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

struct HandshakePermit {
    endpoint: Arc<Endpoint>,
    source: IpAddr,
    _all: OwnedSemaphorePermit,
}

impl Drop for HandshakePermit {
    fn drop(&mut self) {
        let mut sources = self.endpoint.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = sources.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                sources.remove(&self.source);
            }
        }
    }
}

/// Connection ids from our own chance. They are not checked on arrival: after a restart a packet for a connection of
/// the old process must get as far as the stateless reset that ends it.
struct RandomIds(Arc<Mutex<Dice>>);

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; CONNECTION_ID];
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut id);
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

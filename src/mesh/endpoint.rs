//! The one UDP port of a node: QUIC connections, each with a proven peer at the other end, and how they come in (`dial`
//! has how they go out). What is said over one is not known here: every new one is handed to whoever attends to it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection_ids::ConnectionIds;
use super::dial::DialError;
use super::identity::Identity;
use super::junk::Junk;
use super::links::{Link, Links, close, gossip_address};
use super::sieve::Sieve;
use super::tls::{self, Credentials};
use crate::env::Env;
use crate::fleet::PeerId;

/// A handshake may take so long, in either direction.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(2);

/// Handshakes with others at once, in all and per source. From half of it on, sources must prove their address first.
const MAX_HANDSHAKES: usize = 64;
const MAX_HANDSHAKES_PER_SOURCE: usize = 16;

/// Messages of gossip too large for a datagram that are under way at once.
const MAX_LARGE: usize = 64;

type Attend = Box<dyn Fn(Link) + Send + Sync>;

/// The QUIC endpoint of this node and its links.
pub(super) struct Endpoint {
    pub(super) links: Arc<Links>,
    pub(super) junk: Arc<Junk>,
    pub(super) me: PeerId,
    pub(super) quinn: quinn::Endpoint,
    pub(super) env: Env,
    pub(super) large: Arc<Semaphore>,
    client: Mutex<quinn::ClientConfig>,
    ids: Arc<ConnectionIds>,
    attend: OnceLock<Attend>,
    handshakes: Arc<Semaphore>,
    sources: Mutex<BTreeMap<IpAddr, usize>>,
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
        let ids = Arc::new(ConnectionIds::new(identity, env.seed.fork("connection-ids")));
        let socket = env.net.udp(listen).await?;
        let links = Arc::new(Links::new());
        let socket = Arc::new(Sieve { socket, junk: junk.clone(), ids: ids.clone(), links: Arc::downgrade(&links) });
        let reset_key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &identity.derive("stateless reset"));
        let mut config = quinn::EndpointConfig::new(Arc::new(reset_key));
        let generated = ids.clone();
        config
            .grease_quic_bit(false)
            .rng_seed(Some(env.seed.bytes("quic")))
            .cid_generator(move || ConnectionIds::generator(&generated));
        let runtime = Arc::new(quinn::TokioRuntime);
        let quinn = quinn::Endpoint::new_with_abstract_socket(config, Some(credentials.server), socket, runtime)?;
        Ok(Arc::new(Endpoint {
            links,
            junk,
            me: identity.id().clone(),
            quinn,
            client: Mutex::new(credentials.client),
            ids,
            env,
            attend: OnceLock::new(),
            handshakes: Arc::new(Semaphore::new(MAX_HANDSHAKES)),
            sources: Mutex::default(),
            large: Arc::new(Semaphore::new(MAX_LARGE)),
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
    pub(super) fn take_in(
        &self,
        connection: quinn::Connection,
        wanted: Option<&PeerId>,
        epoch: u64,
    ) -> Result<Link, DialError> {
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

    /// What a dial is made with.
    pub(super) fn client(&self) -> quinn::ClientConfig {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ids = self.ids.clone();
        client.initial_dst_cid_provider(Arc::new(move || ids.fresh()));
        client
    }

    /// Gossip address of this node.
    pub(super) fn gossip_address(&self) -> SocketAddr {
        gossip_address(&self.me)
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

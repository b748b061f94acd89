//! The mesh: finds the other peers, tells them what this node has, hears what they have, and carries requests to them and
//! from them. It knows no policy and chooses nobody: where a request goes is the gateway's decision.
//!
//! Start reading here, then `endpoint` and `dial` (connections), `round` (gossip), `forward` and `accept` (requests).

mod config;

mod identity;
mod key;
mod membership;
mod tls;
mod token;

mod connection_ids;
mod dial;
mod endpoint;
mod hints;
mod junk;
mod links;
mod sieve;

mod accept;
mod attend;
mod forward;
mod order;
mod wire;

mod facts;
mod gossip;
mod peers;
mod publish;
mod round;
mod view;

mod counters;
mod warnings;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

pub use config::{Config, Configured};
pub use counters::{Counters, Durations, Forwards};
pub use forward::{ADMISSION_DEADLINE, ForwardError};
pub use hints::PeerHint;
pub use identity::{Identity, IdentityError};
pub use key::{KeyError, MeshKey};
pub use membership::{InvalidField, Membership, host_and_port, not_an_address, wrong_fields};
pub use order::OrderError;
pub use peers::{Peer, PeerBackend, Peers};
pub use token::{BrokenToken, Token};
pub use warnings::{Warning, rejected};

use crate::env::{Announcement, Env};
use crate::exchange::{Hop, Obey, Order, Outcome, Reply, Request, Serve};
use crate::fleet::{BackendFacts, LedgerFacts, PEER_SERVICE, PeerId};

/// Asked once per round of gossip for those of our own backends that are for other peers: proven ones (`true`) or
/// whoever comes. It must be quick.
pub type Mine = Arc<dyn Fn(bool) -> Vec<BackendFacts> + Send + Sync>;

/// Asked once per round of gossip for what is told of our ledger. It must be quick.
pub type Ledger = Arc<dyn Fn() -> Option<LedgerFacts> + Send + Sync>;
/// Asked once per round of gossip for a hash of the clients' keys that this node knows. Told in a keyed mesh only.
pub type KeysHash = Arc<dyn Fn() -> Option<Arc<str>> + Send + Sync>;

/// What a mesh is started with.
pub struct Setup {
    /// `[mesh]`.
    pub config: Config,
    /// The UDP address to bind; port 0 for any.
    pub listen: SocketAddr,
    /// Who this node is.
    pub identity: Identity,
    /// The name of this peer for people.
    pub peer_name: String,
    /// Of Nexus.
    pub version: &'static str,
    /// Hash of the policies that this node runs under.
    pub policies: String,
    /// Our own backends, as far as they are for others.
    pub mine: Mine,
    /// Our own ledger, as far as it is for others.
    pub ledger: Ledger,
    /// The clients' keys that we know.
    pub keys: KeysHash,
}

/// This node as other peers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Myself {
    /// Who it is.
    pub id: PeerId,
    /// For people.
    pub name: String,
    /// Where others may dial it, best first.
    pub addresses: Vec<SocketAddr>,
    /// Whether its peers prove that they belong.
    pub keyed: bool,
    /// The name of its mesh.
    pub mesh_name: String,
    /// The UDP address it listens at.
    pub listen: SocketAddr,
    /// Finishes what it has, takes no more.
    pub draining: bool,
}

/// Why there is no mesh. Each is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// `mesh.key` is no key.
    #[error("mesh.key: {0}")]
    Key(#[from] KeyError),
    /// The port cannot be bound.
    #[error(
        "cannot listen on UDP {address} for peers: {error}. Stop whatever uses it, or set `mesh.listen` to another"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// An entry of `mesh.advertise` is no address.
    #[error("mesh.advertise: `{entry}` is not a `host:port` that can be resolved: {reason}")]
    Advertise {
        /// The entry.
        entry: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The TLS library refuses what it was given.
    #[error("cannot set up TLS between peers: {0}")]
    Tls(String),
}

/// The mesh of this node. Cheap to clone.
#[derive(Clone)]
pub struct Mesh(Arc<Inner>);

struct Inner {
    env: Env,
    identity: Identity,
    endpoint: Arc<endpoint::Endpoint>,
    accept: Arc<accept::Accept>,
    hints: Arc<hints::Hints>,
    rounds: Arc<round::Rounds>,
    forward: forward::Forward,
    names: (Arc<str>, Arc<str>),
    membership: ArcSwap<Membership>,
    gossiping: Mutex<CancellationToken>,
    _attendant: Arc<attend::Attendant>,
}

impl Mesh {
    /// Binds the port, begins to gossip, and dials the seeds. Requests of others are refused until [`Mesh::serve_with`].
    ///
    /// # Errors
    /// Where the key is none, an advertised address cannot be resolved, or the port cannot be bound.
    pub async fn start(setup: Setup, env: Env) -> Result<Mesh, StartError> {
        let Setup { config, listen, identity, peer_name, version, policies, mine, keys, ledger } = setup;
        let key = MeshKey::configured(&config.key)?;
        let membership = Membership { name: config.name.clone(), key, seeds: config.seeds.clone() };
        let advertise = resolve(&config.advertise, &env).await?;
        let credentials = credentials(&membership, &identity, &env)?;
        let unbound = |error| StartError::Listen { address: listen, error };
        let junk = Arc::new(junk::Junk::default());
        let endpoint = endpoint::Endpoint::bind(listen, &identity, credentials, junk.clone(), env.clone());
        let endpoint = endpoint.await.map_err(unbound)?;
        let listen = endpoint.local_addr().map_err(unbound)?;

        let counters = Arc::new(Counters::default());
        let accept = Arc::new(accept::Accept::new(identity.id().clone(), junk.clone()));
        let mailbox = gossip::Mailbox::new(counters.clone());
        let courier =
            gossip::Courier { endpoint: endpoint.clone(), mailbox: mailbox.clone(), counters: counters.clone(), junk };
        let started = env.clock.unix_millis();
        let name = presentable(&peer_name, identity.id());
        let names = (name.as_str().into(), peers::distinct(&name, identity.id()).into());
        let configured = ArcSwap::from_pointee(Configured { policies, rejected: String::new() });
        let ours = round::Ours { name, version, configured, started, advertise, listen, mine, keys, ledger };
        let rounds = round::Rounds::new(config, ours, env.clone(), accept.clone(), courier, counters.clone());
        let hints = hints::Hints::new(endpoint.clone(), env.clone());
        hints.restart(&membership.seeds);
        let attendant = attend::Attendant::new(endpoint.clone(), accept.clone(), mailbox, env.tasks.clone());
        let attending = Arc::downgrade(&attendant);
        endpoint.run(move |link| {
            if let Some(attendant) = attending.upgrade() {
                attendant.attend(link);
            }
        });
        env.tasks.spawn("mesh-hints", hints.clone().run());

        let forward = forward::Forward { endpoint: endpoint.clone(), counters };
        let mesh = Mesh(Arc::new(Inner {
            env,
            identity,
            endpoint,
            accept,
            hints,
            rounds: Arc::new(rounds),
            forward,
            names,
            membership: ArcSwap::from_pointee(membership),
            gossiping: Mutex::new(CancellationToken::new()),
            _attendant: attendant,
        }));
        mesh.gossip(&mut *mesh.0.gossiping.lock().await);
        Ok(mesh)
    }

    /// Gossips as a peer of the present membership, and of no other.
    fn gossip(&self, gossiping: &mut CancellationToken) {
        let stop = CancellationToken::new();
        std::mem::replace(gossiping, stop.clone()).cancel();
        let (rounds, membership) = (self.0.rounds.clone(), self.0.membership.load_full());
        self.0.env.tasks.spawn("mesh-gossip", async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = rounds.run(&membership) => {}
            }
        });
    }

    /// Plugs in who answers forwarded requests.
    pub fn serve_with(&self, serve: Arc<dyn Serve>) {
        self.0.accept.serve_with(serve);
    }

    /// Plugs in who follows the orders of other peers.
    pub fn obey_with(&self, obey: Arc<dyn Obey>) {
        self.0.accept.obey_with(obey);
    }

    /// Has `to` follow an order, and gives what it says to it within `deadline`.
    ///
    /// # Errors
    /// It cannot be asked, does not answer, or objects.
    pub async fn order(&self, to: &PeerId, order: Order, deadline: Duration) -> Result<Outcome, OrderError> {
        self.0.forward.order(to, order, deadline).await
    }

    /// This node as other peers see it.
    pub fn myself(&self) -> Myself {
        let (rounds, membership) = (&self.0.rounds, self.0.membership.load());
        Myself {
            id: self.0.identity.id().clone(),
            name: self.name().as_ref().to_owned(),
            addresses: rounds.addresses(),
            keyed: membership.key.is_keyed(),
            mesh_name: membership.name.clone(),
            listen: rounds.ours.listen,
            draining: self.0.accept.is_draining(),
        }
    }

    /// What this node is called by people: with its id behind it while another living peer goes by the same name.
    pub fn name(&self) -> Arc<str> {
        let (plain, distinct) = &self.0.names;
        if self.0.rounds.peers.load().namesake { distinct.clone() } else { plain.clone() }
    }

    /// The other peers, as they were heard of last.
    pub fn peers(&self) -> Arc<Peers> {
        self.0.rounds.peers.load_full()
    }

    /// Marked whenever [`Mesh::peers`] has changed in anything but the age of its news.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.rounds.changed.subscribe()
    }

    /// Tells what has changed of what is ours now, and not with the next round.
    pub fn tell_now(&self) {
        self.0.rounds.now.notify_one();
    }

    /// Takes a hint where a peer might be. It is tried every few seconds while nobody is connected there.
    pub fn hint(&self, hint: PeerHint) {
        self.0.hints.add(hint);
    }

    /// What to announce on the local network.
    pub fn announcement(&self) -> Announcement {
        let myself = self.myself();
        let txt = [
            ("id", myself.id.to_string()),
            ("name", self.0.rounds.ours.name.clone()),
            ("mesh", self.mesh_tag()),
            ("version", self.0.rounds.ours.version.to_owned()),
        ];
        Announcement {
            service: PEER_SERVICE.to_owned(),
            instance: format!("nexus-{}", myself.id.short()),
            port: myself.listen.port(),
            txt: txt.map(|(key, value)| (key.to_owned(), value)).into(),
        }
    }

    /// What tells this mesh from others on the local network; sightings with another tag are not for us.
    pub fn mesh_tag(&self) -> String {
        let membership = self.0.membership.load();
        membership.key.tag(&membership.name)
    }

    /// Which mesh this node belongs to.
    pub fn membership(&self) -> Arc<Membership> {
        self.0.membership.load_full()
    }

    /// Who this node is.
    pub fn id(&self) -> &PeerId {
        self.0.identity.id()
    }

    /// Whether the peers of this mesh prove that they belong.
    pub fn is_keyed(&self) -> bool {
        self.0.membership.load().key.is_keyed()
    }

    /// Forwards a request to one peer, and gives its reply as soon as the head of it is there. `deadline` is how long to
    /// wait for that. The load of the backend, where its owner tells it, is an extension of the reply.
    ///
    /// # Errors
    /// Where there is no reply; the next candidate may be tried in every case.
    pub async fn forward(
        &self,
        to: &PeerId,
        hop: Hop,
        request: &Request,
        deadline: Duration,
    ) -> Result<Reply, ForwardError> {
        self.0.forward.forward(to, &hop, request, deadline).await
    }

    /// Leaves the present mesh and becomes a peer of another, on the same port: connections are closed, requests on them
    /// are lost.
    ///
    /// # Errors
    /// Where the TLS library refuses the key; nothing has changed then.
    pub async fn rejoin(&self, membership: Membership) -> Result<(), StartError> {
        let credentials = credentials(&membership, &self.0.identity, &self.0.env)?;
        let seeds = membership.seeds.clone();
        let mut gossiping = self.0.gossiping.lock().await;
        gossiping.cancel();
        self.0.membership.store(Arc::new(membership));
        self.0.endpoint.rejoin(credentials);
        self.0.rounds.forget();
        self.0.hints.restart(&seeds);
        self.gossip(&mut gossiping);
        Ok(())
    }

    /// This node goes by another configuration from now on, or could not: the others are told.
    pub fn configure(&self, configured: Configured) {
        self.0.rounds.ours.configure(configured);
        self.0.rounds.now.notify_one();
    }

    /// Takes no new requests of others, and says so; or takes them again.
    pub fn set_draining(&self, draining: bool) {
        self.0.accept.set_draining(draining);
        self.0.rounds.now.notify_one();
    }

    /// Says goodbye and closes every connection: first what others have asked for is finished, for at most `grace`.
    pub async fn leave(&self, grace: Duration) {
        let until = Instant::now() + grace;
        self.set_draining(true);
        let round = self.0.rounds.config.gossip_interval();
        while self.0.accept.in_progress() > 0 && Instant::now() + round < until {
            tokio::time::sleep(round.min(Duration::from_millis(20))).await;
        }
        self.0.rounds.set_leaving();
        self.0.rounds.now.notify_one();
        let goodbye = async {
            // One round, so that also those hear of it who are not connected to us.
            tokio::time::sleep(round).await;
            self.0.endpoint.leave().await;
        };
        if timeout(until.saturating_duration_since(Instant::now()), goodbye).await.is_err() {
            let _ = timeout(round, self.0.endpoint.leave()).await;
        }
        self.0.gossiping.lock().await.cancel();
    }

    /// What people should know of their mesh.
    pub fn warnings(&self) -> Vec<Warning> {
        let Inner { identity, rounds, .. } = &*self.0;
        let (name, configured) = (self.name(), rounds.ours.configured.load());
        let ours =
            warnings::Ours { id: identity.id(), version: rounds.ours.version, name: &name, configured: &configured };
        warnings::warnings(&self.peers(), &ours, Instant::now(), &rounds.config)
    }

    /// `[mesh]`, as this node was started with it: the age of news is judged by it.
    pub fn config(&self) -> &Config {
        &self.0.rounds.config
    }

    /// What the mesh counts.
    pub fn counters(&self) -> Arc<Counters> {
        self.0.rounds.counters.clone()
    }

    /// Forwarded requests that this node works on for others.
    pub fn serving(&self) -> usize {
        self.0.accept.in_progress()
    }
}

/// A name that is fit for tables and headers; an id where there is none.
fn presentable(name: &str, id: &PeerId) -> String {
    let name: String = name.trim().chars().filter(|letter| !letter.is_control()).take(64).collect();
    if name.is_empty() { id.short().to_owned() } else { name }
}

fn credentials(membership: &Membership, identity: &Identity, env: &Env) -> Result<tls::Credentials, StartError> {
    tls::Credentials::new(&membership.key, &membership.name, identity, env.clock.clone())
        .map_err(|error| StartError::Tls(error.to_string()))
}

async fn resolve(entries: &[String], env: &Env) -> Result<Vec<SocketAddr>, StartError> {
    let mut addresses = Vec::new();
    for entry in entries {
        let wrong = |reason: String| StartError::Advertise { entry: entry.clone(), reason };
        let place = host_and_port(entry).filter(|(_, port)| *port != 0);
        let (host, port) = place.ok_or_else(|| wrong("it has no host or no port".to_owned()))?;
        let resolved = env.net.resolve(host.to_owned(), port).await.map_err(|error| wrong(error.to_string()))?;
        addresses.extend(resolved);
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests;

//! Nodes for tests: real ones, on loopback, each with a cable that can be pulled. No waiting but for conditions.

use std::cell::RefCell;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::BoxFuture;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

use super::super::*;
use crate::env::{BoxIo, Listener, Net, Network, RealNet, Seed};
use crate::exchange::{self, Endpoint, Origin, Refusal, RequestId};
use crate::fleet::{BackendAbout, Kind, Load, Model, PeerState, Status, Tier, Zone};

/// A node with a cable that can be pulled.
pub(super) struct Node {
    pub(super) mesh: Mesh,
    pub(super) env: Env,
    pub(super) cable: Cable,
    pub(super) directory: tempfile::TempDir,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Cable(Arc<Wire>);

#[derive(Debug, Default)]
struct Wire {
    is_out: AtomicBool,
    sent: Mutex<Vec<Vec<u8>>>,
}

/// How many datagrams are remembered: a handshake and a little more.
const REMEMBERED: usize = 64;

impl Cable {
    pub(super) fn pull(&self) {
        self.0.is_out.store(true, Ordering::SeqCst);
    }

    pub(super) fn plug(&self) {
        self.0.is_out.store(false, Ordering::SeqCst);
    }

    fn is_out(&self) -> bool {
        self.0.is_out.load(Ordering::SeqCst)
    }

    /// The first datagrams that went out here.
    pub(super) fn first_sent(&self) -> Vec<Vec<u8>> {
        self.0.sent.lock().expect("no panic").clone()
    }

    fn remember(&self, transmit: &Transmit<'_>) {
        let mut sent = self.0.sent.lock().expect("no panic");
        for datagram in transmit.contents.chunks(transmit.segment_size.unwrap_or(transmit.contents.len()).max(1)) {
            if sent.len() < REMEMBERED {
                sent.push(datagram.to_vec());
            }
        }
    }
}

pub(super) fn key(number: u64) -> String {
    MeshKey::generate(&Seed::fixed(number)).to_string()
}

pub(super) fn config() -> Config {
    Config { key: key(1), gossip_interval_ms: 50, ..Config::default() }
}

/// A node that seeds on `seeds` and offers the model `model-NAME`.
pub(super) async fn node(name: &str, seeds: &[&Node]) -> Node {
    node_with(name, seeds, config()).await
}

pub(super) async fn node_with(name: &str, seeds: &[&Node], config: Config) -> Node {
    let directory = tempfile::tempdir().expect("a directory");
    let seeds = seeds.iter().map(|seed| seed.mesh.myself().listen.to_string()).collect();
    start(name, Config { seeds, ..config }, directory, "127.0.0.1:0".parse().expect("an address")).await
}

/// A node that refuses every request until it is told how to answer.
pub(super) async fn unserved(name: &str, config: Config) -> Node {
    let directory = tempfile::tempdir().expect("a directory");
    launch(name, config, directory, "127.0.0.1:0".parse().expect("an address")).await
}

/// A node at this address, with whatever is in its directory.
pub(super) async fn start(name: &str, config: Config, directory: tempfile::TempDir, listen: SocketAddr) -> Node {
    let node = launch(name, config, directory, listen).await;
    node.mesh.serve_with(Arc::new(Echo));
    node
}

async fn launch(name: &str, config: Config, directory: tempfile::TempDir, listen: SocketAddr) -> Node {
    let cable = Cable::default();
    let env = Env { net: Arc::new(CableNet(cable.clone())), ..Env::real() };
    let identity = Identity::open(directory.path(), &env).expect("an identity");
    let offer = offer(name);
    let setup = Setup {
        config,
        listen,
        identity,
        peer_name: name.to_owned(),
        version: "0.1.0",
        policies: "none".to_owned(),
        mine: Arc::new(move |_| vec![offer.clone()]),
        keys: Arc::new(|| None),
        ledger: Arc::new(|| None),
    };
    let mesh = Mesh::start(setup, env.clone()).await.expect("a mesh");
    Node { mesh, env, cable, directory }
}

fn offer(name: &str) -> BackendFacts {
    BackendFacts {
        about: BackendAbout {
            name: format!("gpu-{name}"),
            kind: Kind::LlamaCpp,
            zone: Zone::Restricted,
            tier: Tier::default(),
            priority: 50,
            status: Status::Healthy,
            suspect: false,
            endpoint: "127.0.0.1:1".to_owned(),
            near: true,
            machine: format!("machine of {name}"),
        },
        models: vec![Model::named(format!("model-{name}"))],
        load: Load { in_flight: 2, ..Load::default() },
        served: Vec::new(),
        breakers: Vec::new(),
    }
}

impl Node {
    pub(super) fn id(&self) -> PeerId {
        self.mesh.myself().id
    }

    pub(super) fn state_of(&self, other: &PeerId) -> Option<PeerState> {
        let config = &self.mesh.0.rounds.config;
        self.mesh.peers().get(other).map(|peer| peer.state(Instant::now(), config))
    }

    /// Whether this one hears `other` and knows what it offers.
    pub(super) fn sees(&self, other: &Node) -> bool {
        let peers = self.mesh.peers();
        let model = format!("model-{}", other.mesh.myself().name);
        let offered = peers.offering(&model).any(|(peer, _, _)| peer.id == other.id());
        offered && self.state_of(&other.id()) == Some(PeerState::Alive)
    }

    pub(super) async fn ask(&self, to: &Node, request: &Request) -> Result<Reply, ForwardError> {
        let hop = self.hop(to);
        self.mesh.forward(&to.id(), hop, request, Duration::from_secs(5)).await
    }

    pub(super) fn hop(&self, to: &Node) -> Hop {
        Hop {
            from: self.id(),
            asked: "alias".to_owned(),
            by: Vec::new(),
            model: format!("model-{}", to.mesh.myself().name),
            backend: format!("gpu-{}", to.mesh.myself().name),
            hops_left: 0,
            visited: vec![self.id()],
            time_left: Duration::from_secs(5),
            may_queue: false,
            may_wait: Duration::ZERO,
            last_resort: false,
            most: None,
            payer: None,
            zone: Zone::Open,
            tier: None,
        }
    }

    /// Ends the node without a word, as `kill -9` would; its directory and address remain.
    pub(super) async fn kill(self) -> (tempfile::TempDir, SocketAddr) {
        let listen = self.mesh.myself().listen;
        self.cable.pull();
        self.env.tasks.stop(Duration::from_secs(5)).await;
        let Node { mesh, directory, env, .. } = self;
        drop((mesh, env));
        free(listen).await;
        (directory, listen)
    }
}

/// Waits until nobody is bound to an address.
async fn free(address: SocketAddr) {
    within(10, "the port is free", || std::net::UdpSocket::bind(address).is_ok()).await;
}

pub(super) fn request(body: impl Into<bytes::Bytes>) -> Request {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut headers = http::HeaderMap::new();
    headers.insert("content-type", http::HeaderValue::from_static("application/json"));
    headers.insert("authorization", http::HeaderValue::from_static("Bearer client"));
    Request {
        id: RequestId::from_bits(NEXT.fetch_add(1, Ordering::SeqCst).into()),
        endpoint: Endpoint::ChatCompletions,
        model: None,
        headers,
        body: body.into(),
        origin: Origin::Client,
        client: "desk".into(),
        caller: None,
    }
}

/// What is logged on this thread, on which a test runs and all that it starts.
pub(super) struct Log(Page);

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

thread_local! {
    static OPEN: RefCell<Option<Page>> = const { RefCell::new(None) };
}

struct Pen;

impl io::Write for Pen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        OPEN.with_borrow(|page| {
            if let Some(Page(text)) = page {
                text.lock().expect("no panic").extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// From now on. One log for the whole process: what one thread does not care for would else be lost to all.
    pub(super) fn capture() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let log = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_ansi(false);
            tracing::subscriber::set_global_default(log.with_writer(|| Pen).finish()).expect("no other log");
        });
        let page = Page::default();
        OPEN.set(Some(page.clone()));
        Log(page)
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.0.lock().expect("no panic").clone()).expect("text")
    }

    /// How many lines hold this.
    pub(super) fn count(&self, words: &str) -> usize {
        self.text().lines().filter(|line| line.contains(words)).count()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        OPEN.set(None);
    }
}

/// Waits for a condition, for at most `limit` seconds.
pub(super) async fn within(limit: u64, what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(limit), "not within {limit} s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(super) async fn meet(one: &Node, other: &Node) {
    within(10, "they see each other", || one.sees(other) && other.sees(one)).await;
}

/// Answers with the body it was asked with.
pub(super) struct Echo;

impl Serve for Echo {
    fn serve(&self, request: Request) -> BoxFuture<'_, Result<Reply, Refusal>> {
        let mut reply = Reply::new(exchange::full(request.body));
        reply.headers_mut().extend(request.headers);
        Box::pin(async move { Ok(reply) })
    }
}

/// Answers as a test says.
pub(super) struct Script<F>(pub(super) F);

impl<F, T> Serve for Script<F>
where
    F: Fn(Request) -> T + Send + Sync + 'static,
    T: Future<Output = Result<Reply, Refusal>> + Send + 'static,
{
    fn serve(&self, request: Request) -> BoxFuture<'_, Result<Reply, Refusal>> {
        Box::pin((self.0)(request))
    }
}

struct CableNet(Cable);

impl Net for CableNet {
    fn listen(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<Listener>> {
        RealNet.listen(address)
    }

    fn udp(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<Arc<dyn AsyncUdpSocket>>> {
        let cable = self.0.clone();
        Box::pin(async move {
            let socket = RealNet.udp(address).await?;
            Ok(Arc::new(CableSocket { socket, cable }) as Arc<dyn AsyncUdpSocket>)
        })
    }

    fn dial(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<BoxIo>> {
        RealNet.dial(host, port)
    }

    fn resolve(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        RealNet.resolve(host, port)
    }

    fn own_addresses(&self) -> Vec<std::net::IpAddr> {
        RealNet.own_addresses()
    }

    fn inside_networks(&self) -> Vec<Network> {
        RealNet.inside_networks()
    }

    fn machine(&self) -> Option<Arc<str>> {
        RealNet.machine()
    }

    fn host_name(&self) -> String {
        RealNet.host_name()
    }
}

#[derive(Debug)]
struct CableSocket {
    socket: Arc<dyn AsyncUdpSocket>,
    cable: Cable,
}

impl AsyncUdpSocket for CableSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.socket.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit) -> io::Result<()> {
        self.cable.remember(transmit);
        if self.cable.is_out() { Ok(()) } else { self.socket.try_send(transmit) }
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            let count = ready!(self.socket.poll_recv(context, buffers, meta))?;
            if !self.cable.is_out() {
                return Poll::Ready(Ok(count));
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}

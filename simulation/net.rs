//! The network seam over turmoil: listening, dialling, names. Latency, partitions and order are turmoil's; loss of
//! datagrams and hosts that are down are the weather's, so that TCP, which has no retransmission there, is spared.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use nexus::env::{Accept, BoxIo, Dice, Listener, Net, Network, Seed};
use rand::RngExt;
use turmoil::net::{TcpListener, TcpStream};

use crate::udp;

/// The network of one host.
pub(crate) struct SimNet {
    host: String,
    ip: IpAddr,
    weather: Weather,
}

impl SimNet {
    /// Of the host called `host` at `ip`.
    pub(crate) fn new(host: &str, ip: IpAddr, weather: Weather) -> Self {
        SimNet { host: host.to_owned(), ip, weather }
    }
}

impl Net for SimNet {
    fn listen(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<Listener>> {
        Box::pin(async move { Ok(Box::new(SimListener(TcpListener::bind(address).await?)) as Listener) })
    }

    fn udp(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<Arc<dyn quinn::AsyncUdpSocket>>> {
        let (ip, weather) = (self.ip, self.weather.clone());
        Box::pin(async move {
            let socket: Arc<dyn quinn::AsyncUdpSocket> = udp::Socket::bind(ip, address.port(), weather).await?;
            Ok(socket)
        })
    }

    fn dial(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<BoxIo>> {
        let ip = self.weather.address_of(&host);
        let down = self.weather.clone();
        Box::pin(async move {
            let ip = ip?;
            if down.is_down(ip) {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            Ok(Box::new(TcpStream::connect((ip, port)).await?) as BoxIo)
        })
    }

    fn resolve(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let ip = self.weather.address_of(&host);
        Box::pin(async move { Ok(vec![SocketAddr::new(ip?, port)]) })
    }

    fn own_addresses(&self) -> Vec<IpAddr> {
        vec![self.ip]
    }

    fn inside_networks(&self) -> Vec<Network> {
        Vec::new()
    }

    fn machine(&self) -> Option<Arc<str>> {
        Some(self.host.as_str().into())
    }

    fn host_name(&self) -> String {
        self.host.clone()
    }
}

struct SimListener(TcpListener);

impl Accept for SimListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxIo, SocketAddr)>> {
        Box::pin(async {
            let (stream, from) = self.0.accept().await?;
            Ok((Box::new(stream) as BoxIo, from))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// What the whole network has in common: names, who is down, and how much is lost.
#[derive(Clone)]
pub(crate) struct Weather(Arc<Mutex<Sky>>);

struct Sky {
    names: BTreeMap<String, IpAddr>,
    down: BTreeSet<IpAddr>,
    loss: f64,
    dice: Dice,
}

impl Weather {
    /// Fair, with the dice of `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        let dice = Seed::fixed(seed).fork("weather");
        Weather(Arc::new(Mutex::new(Sky { names: BTreeMap::new(), down: BTreeSet::new(), loss: 0.0, dice })))
    }

    /// Makes a host known by name.
    pub(crate) fn name(&self, host: &str, ip: IpAddr) {
        self.sky().names.insert(host.to_owned(), ip);
    }

    /// This share of all datagrams is lost from now on, 0.0 to 1.0.
    pub(crate) fn set_loss(&self, share: f64) {
        self.sky().loss = share;
    }

    /// The process at `ip` has died, or lives again. Nothing reaches a dead one: not even later.
    pub(crate) fn set_down(&self, ip: IpAddr, down: bool) {
        let mut sky = self.sky();
        if down {
            sky.down.insert(ip)
        } else {
            sky.down.remove(&ip)
        };
    }

    /// Whether a datagram to `ip` is lost.
    pub(crate) fn loses(&self, ip: IpAddr) -> bool {
        let mut sky = self.sky();
        let share = sky.loss;
        sky.down.contains(&ip) || (share > 0.0 && sky.dice.random_bool(share))
    }

    fn is_down(&self, ip: IpAddr) -> bool {
        self.sky().down.contains(&ip)
    }

    fn address_of(&self, host: &str) -> io::Result<IpAddr> {
        if host == "localhost" {
            return Ok(Ipv4Addr::LOCALHOST.into());
        }
        let unknown = || io::Error::new(io::ErrorKind::NotFound, format!("no host is called '{host}'"));
        host.parse().ok().or_else(|| self.sky().names.get(host).copied()).ok_or_else(unknown)
    }

    fn sky(&self) -> MutexGuard<'_, Sky> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

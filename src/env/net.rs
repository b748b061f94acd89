//! The network: listening, dialling, datagrams. TCP_NODELAY is set on both sides of every connection: without it the
//! first token of a stream waits 40 ms for an acknowledgement.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use super::place::{self, Network};
use super::udp::RealUdp;

/// A byte stream to somebody.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Any byte stream.
pub type BoxIo = Box<dyn Io>;

/// Something that takes connections in.
pub trait Accept: Send {
    /// The next connection and who made it.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxIo, SocketAddr)>>;

    /// Where it listens.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// Any listener.
pub type Listener = Box<dyn Accept>;

/// The network.
pub trait Net: Send + Sync + 'static {
    /// Listens for TCP connections.
    fn listen(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<Listener>>;

    /// A UDP socket for QUIC.
    fn udp(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<Arc<dyn quinn::AsyncUdpSocket>>>;

    /// A TCP connection to `host:port`; `host` is a name or an address, IPv6 without brackets.
    fn dial(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<BoxIo>>;

    /// Every address that `host:port` stands for.
    fn resolve(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;

    /// The addresses of this host that others might reach, best first. Loopback only where there is nothing else.
    fn own_addresses(&self) -> Vec<std::net::IpAddr>;

    /// The networks that exist on this host only: bridges of containers and virtual machines.
    fn inside_networks(&self) -> Vec<Network>;

    /// What tells this host from every other: the same text for every process that sees the same loopback, another for
    /// all others. It says nothing else about the host. `None` where the system has no such thing.
    fn machine(&self) -> Option<Arc<str>>;

    /// What this host is called by people.
    fn host_name(&self) -> String;
}

/// The sockets of the machine.
#[derive(Debug)]
pub struct RealNet;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// A connection whose other end has acknowledged nothing for so long, and probes of one on which nothing happens. A machine that
/// is switched off says nothing; the system alone would hold its connections for a quarter of an hour, or for ever.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNHEARD: std::time::Duration = std::time::Duration::from_secs(120);
const PROBED_AFTER: std::time::Duration = std::time::Duration::from_secs(60);

/// Room for bursts: gossip and forwarded requests share one UDP socket.
const UDP_BUFFER: usize = 4 << 20;

impl Net for RealNet {
    fn listen(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<Listener>> {
        Box::pin(async move {
            let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            #[cfg(unix)]
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            Ok(Box::new(RealListener(TcpListener::from_std(socket.into())?)) as Listener)
        })
    }

    fn udp(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<Arc<dyn quinn::AsyncUdpSocket>>> {
        Box::pin(async move {
            let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::DGRAM, None)?;
            // The kernel caps these; a smaller buffer is no reason not to start.
            let _ = socket.set_recv_buffer_size(UDP_BUFFER);
            let _ = socket.set_send_buffer_size(UDP_BUFFER);
            socket.bind(&address.into())?;
            Ok(Arc::new(RealUdp::new(socket.into())?) as Arc<dyn quinn::AsyncUdpSocket>)
        })
    }

    fn dial(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<BoxIo>> {
        Box::pin(async move {
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as BoxIo)
        })
    }

    fn resolve(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host.as_str(), port)).await?.collect()) })
    }

    fn own_addresses(&self) -> Vec<std::net::IpAddr> {
        place::addresses()
    }

    fn inside_networks(&self) -> Vec<Network> {
        place::inside()
    }

    fn machine(&self) -> Option<Arc<str>> {
        place::machine()
    }

    fn host_name(&self) -> String {
        gethostname::gethostname().to_string_lossy().into_owned()
    }
}

struct RealListener(TcpListener);

impl Accept for RealListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxIo, SocketAddr)>> {
        Box::pin(async {
            let (stream, from) = self.0.accept().await?;
            stream.set_nodelay(true)?;
            finds_out(&stream);
            Ok((Box::new(stream) as BoxIo, from))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Lets the system find out when the other end is gone without a word. Where it cannot, that is no reason to refuse anybody.
fn finds_out(stream: &TcpStream) {
    let socket = socket2::SockRef::from(stream);
    let _ = socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(PROBED_AFTER));
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = socket.set_tcp_user_timeout(Some(UNHEARD));
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_that_come_in_find_out_when_the_other_end_is_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (_client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (stream, _) = accepted.expect("a connection");
        finds_out(&stream);
        let socket = socket2::SockRef::from(&stream);
        assert_eq!(socket.tcp_user_timeout().expect("it is set"), Some(UNHEARD));
        assert!(socket.keepalive().expect("it is set"));
    }
}

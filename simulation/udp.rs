//! A UDP socket for QUIC over the simulated network. What cannot be sent is lost, as on a real network, and never an
//! error; part of the rest is lost, too, where the weather says so.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

use crate::net::Weather;
use crate::trace;

type Readable = Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>;

/// A bound socket.
pub(crate) struct Socket {
    io: Arc<turmoil::net::UdpSocket>,
    readable: Mutex<Option<Readable>>,
    address: SocketAddr,
    weather: Weather,
}

impl Socket {
    /// Binds `port` on the current host, whose address is `ip`.
    pub(crate) async fn bind(ip: IpAddr, port: u16, weather: Weather) -> io::Result<Arc<Self>> {
        let io = turmoil::net::UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, port)).await?;
        let address = SocketAddr::new(ip, io.local_addr()?.port());
        Ok(Arc::new(Socket { io: Arc::new(io), readable: Mutex::new(None), address, weather }))
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Socket({})", self.address)
    }
}

#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let (to, length) = (transmit.destination, transmit.contents.len());
        let lost = self.weather.loses(to.ip());
        trace::datagram(format_args!("{} > {to} {length}{}", self.address, if lost { " lost" } else { "" }));
        if !lost {
            let _ = self.io.try_send_to(transmit.contents, to);
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut readable = self.readable.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let mut waiting = match readable.take() {
                Some(waiting) => waiting,
                None => {
                    if let Ok((length, from)) = self.io.try_recv_from(&mut buffers[0]) {
                        meta[0] = RecvMeta { addr: from, len: length, stride: length, ecn: None, dst_ip: None };
                        return Poll::Ready(Ok(1));
                    }
                    let io = self.io.clone();
                    Box::pin(async move { io.readable().await })
                }
            };
            if waiting.as_mut().poll(context).is_pending() {
                *readable = Some(waiting);
                return Poll::Pending;
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

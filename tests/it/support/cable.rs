//! A network whose link to other peers can be cut: from one moment on no datagram leaves and none arrives, as when a
//! machine loses its power. TCP is left alone.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use nexus::env::{BoxIo, Listener, Net, Network, RealNet};
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

/// The link of one node.
#[derive(Clone, Default)]
pub(crate) struct Cable {
    is_cut: Arc<AtomicBool>,
    machine: Option<Arc<str>>,
}

impl Cable {
    /// To a node on another machine than this one, which has the same addresses.
    pub(crate) fn to_machine(name: &str) -> Self {
        Cable { machine: Some(name.into()), ..Cable::default() }
    }

    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
    }

    pub(crate) fn mend(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }

    pub(super) fn net(&self) -> Arc<dyn Net> {
        Arc::new(CutNet(self.clone()))
    }
}

struct CutNet(Cable);

impl Net for CutNet {
    fn listen(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<Listener>> {
        RealNet.listen(address)
    }

    fn udp(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<Arc<dyn AsyncUdpSocket>>> {
        let (cut, socket) = (self.0.is_cut.clone(), RealNet.udp(address));
        Box::pin(async move { Ok(Arc::new(CutSocket { cut, inner: socket.await? }) as Arc<dyn AsyncUdpSocket>) })
    }

    fn dial(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<BoxIo>> {
        RealNet.dial(host, port)
    }

    fn resolve(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        RealNet.resolve(host, port)
    }

    fn own_addresses(&self) -> Vec<IpAddr> {
        RealNet.own_addresses()
    }

    fn inside_networks(&self) -> Vec<Network> {
        RealNet.inside_networks()
    }

    fn machine(&self) -> Option<Arc<str>> {
        self.0.machine.clone().or_else(|| RealNet.machine())
    }

    fn host_name(&self) -> String {
        RealNet.host_name()
    }
}

struct CutSocket {
    cut: Arc<AtomicBool>,
    inner: Arc<dyn AsyncUdpSocket>,
}

impl fmt::Debug for CutSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CutSocket")
    }
}

impl AsyncUdpSocket for CutSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.inner.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if self.cut.load(Ordering::SeqCst) { Ok(()) } else { self.inner.try_send(transmit) }
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            let received = self.inner.poll_recv(context, buffers, meta);
            if received.is_pending() || !self.cut.load(Ordering::SeqCst) {
                return received;
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}

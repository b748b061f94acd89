//! The UDP socket of the machine under QUIC. It differs from quinn's own in one thing: a batch that is not full says that
//! nothing was left, so the call in vain that would say it again is spared.

use std::fmt;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio_util::sync::ReusableBoxFuture;

/// A socket of this machine.
#[derive(Debug)]
pub(super) struct RealUdp {
    io: UdpSocket,
    state: UdpSocketState,
}

impl RealUdp {
    /// Takes over a bound socket.
    pub(super) fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let state = UdpSocketState::new((&socket).into())?;
        Ok(RealUdp { io: UdpSocket::from_std(socket)?, state })
    }
}

impl AsyncUdpSocket for RealUdp {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Room { socket: self, waiting: None })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.io.try_io(Interest::WRITABLE, || self.state.send((&self.io).into(), transmit))
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.io.poll_recv_ready(context))?;
            let mut last = None;
            let received = self.io.try_io(Interest::READABLE, || {
                let count = self.state.recv((&self.io).into(), buffers, meta)?;
                if count == buffers.len() {
                    return Ok(count);
                }
                // The socket counts as empty from here on, unless something has come after the call.
                last = Some(count);
                Err(ErrorKind::WouldBlock.into())
            });
            // What went wrong with an earlier datagram is told once, and is no reason to stop.
            if let Some(count) = last.or(received.ok()) {
                return Poll::Ready(Ok(count));
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }
}

/// Waits for room to send: each connection for itself, so that all of them are woken.
struct Room {
    socket: Arc<RealUdp>,
    waiting: Option<ReusableBoxFuture<'static, io::Result<()>>>,
}

impl UdpPoller for Room {
    fn poll_writable(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Room { socket, waiting } = self.get_mut();
        let room = waiting.get_or_insert_with(|| {
            let socket = socket.clone();
            ReusableBoxFuture::new(async move { socket.io.writable().await })
        });
        let result = ready!(room.poll(context));
        *waiting = None;
        Poll::Ready(result)
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Room").field(&self.socket).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Arc<RealUdp>, std::net::UdpSocket) {
        let here = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        let there = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        there.connect(here.local_addr().expect("bound")).expect("loopback");
        (Arc::new(RealUdp::new(here).expect("a socket")), there)
    }

    async fn receive(socket: &RealUdp, at_once: usize) -> Vec<Vec<u8>> {
        let mut memory = vec![[0_u8; 2048]; at_once];
        let mut buffers: Vec<_> = memory.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
        let mut meta = vec![RecvMeta::default(); at_once];
        let count = std::future::poll_fn(|context| socket.poll_recv(context, &mut buffers, &mut meta)).await;
        let count = count.expect("received");
        (0..count).map(|index| buffers[index][..meta[index].len].to_vec()).collect()
    }

    #[tokio::test]
    async fn nothing_is_missed_whether_a_batch_was_full_or_not() {
        let (socket, there) = pair();
        for round in 0..50_u8 {
            for part in 0..3 {
                there.send(&[round, part]).expect("sent");
            }
            let mut heard = Vec::new();
            while heard.len() < 3 {
                heard.extend(receive(&socket, 2).await);
            }
            assert_eq!(heard, [[round, 0], [round, 1], [round, 2]]);
        }
    }

    #[tokio::test]
    async fn what_comes_while_it_is_waited_for_wakes_the_waiter() {
        let (socket, there) = pair();
        for round in 0..50_u8 {
            let send = async { there.send(&[round]).expect("sent") };
            let (heard, _) = tokio::join!(biased; receive(&socket, 32), send);
            assert_eq!(heard, [[round]]);
        }
    }

    #[tokio::test]
    async fn room_to_send_is_found_by_everyone_who_waits_for_it() {
        let (socket, _there) = pair();
        let mut pollers = [socket.clone().create_io_poller(), socket.clone().create_io_poller()];
        for poller in &mut pollers {
            let found = std::future::poll_fn(|context| poller.as_mut().poll_writable(context)).await;
            found.expect("there is room");
        }
    }
}

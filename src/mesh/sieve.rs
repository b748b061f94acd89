//! The UDP socket under QUIC, which sees what QUIC itself throws away without a word. It takes nothing away and changes
//! nothing: what cannot be QUIC, or calls on no connection of ours, is complained about, and handed on to be thrown away
//! as ever.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

use super::connection_ids::ConnectionIds;
use super::junk::Junk;
use super::links::Links;

/// The shortest packet that QUIC knows: a stateless reset. RFC 9000, 10.3.
const SHORTEST: usize = 21;

/// A socket that looks at what it receives.
pub(super) struct Sieve {
    pub(super) socket: Arc<dyn AsyncUdpSocket>,
    pub(super) junk: Arc<Junk>,
    pub(super) ids: Arc<ConnectionIds>,
    /// They hold the connections, which hold this socket.
    pub(super) links: Weak<Links>,
}

impl fmt::Debug for Sieve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sieve").field(&self.socket).finish()
    }
}

/// What a datagram is, by its first bytes. What is encrypted is not looked into.
#[derive(Debug, PartialEq, Eq)]
enum Looks<'a> {
    /// No QUIC that is spoken here.
    Wrong,
    /// QUIC that begins a connection, or is about versions.
    Opening,
    /// QUIC that calls on the connection of this name, if it is not random altogether: a stateless reset looks the same.
    Calling(&'a [u8]),
}

impl<'a> Looks<'a> {
    fn of(datagram: &'a [u8]) -> Self {
        match datagram {
            datagram if datagram.len() < SHORTEST => Looks::Wrong,
            // A long header names its version: negotiation, version 1 and its last drafts.
            &[first, a, b, c, d, ..] if first & 0x80 != 0 => {
                let is_spoken = matches!(u32::from_be_bytes([a, b, c, d]), 0 | 1 | 0xff00_001d..=0xff00_0022);
                if is_spoken { Looks::Opening } else { Looks::Wrong }
            }
            // A short one has the fixed bit set: we do not offer to do without it.
            [first, rest @ ..] if first & 0x40 != 0 => {
                rest.get(..ConnectionIds::LENGTH).map_or(Looks::Wrong, Looks::Calling)
            }
            _ => Looks::Wrong,
        }
    }
}

impl Sieve {
    /// One complaint for each batch at most: whoever floods us is not to be helped by it.
    fn look(&self, buffers: &[IoSliceMut<'_>], meta: &[RecvMeta]) {
        let junk = buffers.iter().zip(meta).find_map(|(buffer, meta)| {
            let received = buffer.get(..meta.len)?;
            let datagram = received.chunks(meta.stride.max(1)).find(|datagram| self.is_junk(datagram, meta.addr))?;
            Some((meta.addr, datagram.len()))
        });
        if let Some((source, length)) = junk {
            let source = source.ip().to_canonical().to_string();
            self.junk.complain(&source, "not QUIC", &format_args!("a datagram of {length} bytes"));
        }
    }

    /// A peer that has lost a connection says so with what looks like a call on no connection at all.
    fn is_junk(&self, datagram: &[u8], source: SocketAddr) -> bool {
        match Looks::of(datagram) {
            Looks::Wrong => true,
            Looks::Opening => false,
            Looks::Calling(id) => !self.ids.may_be_ours(id) && !self.is_from_a_peer(source),
        }
    }

    fn is_from_a_peer(&self, source: SocketAddr) -> bool {
        self.links.upgrade().is_some_and(|links| links.is_known(source))
    }
}

impl AsyncUdpSocket for Sieve {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.socket.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.socket.try_send(transmit)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.socket.poll_recv(context, buffers, meta))?;
        self.look(&buffers[..count], &meta[..count]);
        Poll::Ready(Ok(count))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_quic_is_told_by_its_first_bytes() {
        let datagram = |start: &[u8], length: usize| {
            let mut bytes = start.to_vec();
            bytes.resize(length, 7);
            bytes
        };
        let calling = Looks::Calling(&[7; ConnectionIds::LENGTH]);
        for (start, length, looks) in [
            (&[0xc0, 0, 0, 0, 1][..], 1200, &Looks::Opening),
            (&[0xc0, 0, 0, 0, 0], 30, &Looks::Opening),
            (&[0xc0, 0xff, 0, 0, 29], 1200, &Looks::Opening),
            (&[0xc0, 0, 0, 0, 2], 1200, &Looks::Wrong),
            (&[0xff, 0xff, 0xff, 0xff, 0xff], 1200, &Looks::Wrong),
            (&[0x40], 40, &calling),
            (&[0x40], 21, &calling),
            (&[0x40], 20, &Looks::Wrong),
            (&[0x00], 1200, &Looks::Wrong),
            (b"1234", 40, &Looks::Wrong),
            (&[], 0, &Looks::Wrong),
        ] {
            assert_eq!(Looks::of(&datagram(start, length)), *looks, "{start:?}");
        }
    }
}

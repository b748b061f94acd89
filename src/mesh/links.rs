//! Who we are connected to, where others may be dialled, and who could not be reached. A table and its rules: it opens
//! and accepts nothing itself.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use quinn::{Connection, VarInt};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::fleet::PeerId;

/// Connections to one peer: two that dial each other at once have two. Beyond this the oldest is closed.
const MAX_CONNECTIONS: usize = 4;

/// Peers remembered, connected or not.
const MAX_CONTACTS: usize = 1_024;

/// Addresses tried for one peer.
const MAX_ADDRESSES: usize = 16;

/// Between two attempts to reach a peer that does not answer: doubled each time, from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// Why a connection is closed by us; the other end reads it.
pub(super) mod close {
    use quinn::VarInt;

    /// This node stops, and says so.
    pub(in crate::mesh) const LEAVING: VarInt = VarInt::from_u32(1);
    /// This node belongs to another mesh now.
    pub(in crate::mesh) const REJOINING: VarInt = VarInt::from_u32(2);
    /// There are newer connections.
    pub(in crate::mesh) const SUPERSEDED: VarInt = VarInt::from_u32(3);
    /// Somebody else was dialled.
    pub(in crate::mesh) const NOT_WANTED: VarInt = VarInt::from_u32(4);
    /// Nothing came in time.
    pub(in crate::mesh) const SILENT: VarInt = VarInt::from_u32(5);
}

/// A connection to a peer that has proven its identity.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) peer: PeerId,
    pub(super) connection: Connection,
}

/// How a peer can be reached now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Reach {
    /// Round trip of the connection there is, if there is one.
    pub(super) rtt: Option<Duration>,
    /// The last attempt to reach it failed, and nothing has come of it since.
    pub(super) failing: bool,
    /// It said goodbye.
    pub(super) left: bool,
    /// Where the other end of the connection is.
    pub(super) address: Option<IpAddr>,
}

/// What to do about a peer that should be reached.
#[derive(Debug, PartialEq)]
pub(super) enum Attempt {
    /// Dial these now; the attempt is noted, and must be ended with [`Links::dialled`].
    Dial(Vec<SocketAddr>),
    /// Somebody is dialling already.
    UnderWay,
    /// Not yet: the last attempt failed too recently.
    TooSoon,
    /// Nobody knows where it is.
    NoAddress,
}

#[derive(Default)]
struct Contact {
    connections: Vec<Held>,
    addresses: Vec<SocketAddr>,
    dialling: bool,
    /// When it was spoken of last, in turns of the table.
    used: u64,
    failure: Option<Failure>,
    pending: Option<Bytes>,
    left: bool,
}

struct Held {
    connection: Connection,
    retired: bool,
}

#[derive(Clone, Copy)]
struct Failure {
    at: Instant,
    times: u32,
}

impl Failure {
    fn pause(self) -> Duration {
        FIRST_PAUSE.saturating_mul(1 << self.times.min(8)).min(LAST_PAUSE)
    }
}

impl Contact {
    fn usable(&self) -> Option<&Connection> {
        let alive = |held: &&Held| !held.retired && held.connection.close_reason().is_none();
        self.connections.iter().rev().find(alive).map(|held| &held.connection)
    }

    fn reach(&self) -> Reach {
        let usable = self.usable();
        Reach {
            rtt: usable.map(Connection::rtt),
            failing: self.failure.is_some(),
            left: self.left,
            address: usable.map(|connection| connection.remote_address().ip().to_canonical()),
        }
    }

    fn learn(&mut self, addresses: &[SocketAddr]) {
        let old = std::mem::take(&mut self.addresses);
        for address in addresses.iter().copied().chain(old) {
            if self.addresses.len() < MAX_ADDRESSES && !self.addresses.contains(&address) {
                self.addresses.push(address);
            }
        }
    }
}

#[derive(Default)]
struct Table {
    contacts: BTreeMap<PeerId, Contact>,
    by_gossip_address: BTreeMap<SocketAddr, PeerId>,
    epoch: u64,
    turns: u64,
}

/// The table of links.
pub(super) struct Links {
    table: Mutex<Table>,
    changed: watch::Sender<()>,
}

impl Links {
    pub(super) fn new() -> Self {
        Links { table: Mutex::default(), changed: watch::Sender::new(()) }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marked whenever a link is made or lost, or an attempt to make one ends.
    pub(super) fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The membership that connections are made for: one that was begun for an earlier one is not taken in.
    pub(super) fn epoch(&self) -> u64 {
        self.table().epoch
    }

    /// Takes in a connection made under `epoch`. Gives back gossip that waited for it; `None` where it is not wanted.
    pub(super) fn add(&self, link: &Link, epoch: u64) -> Option<Option<Bytes>> {
        let mut table = self.table();
        if table.epoch != epoch {
            return None;
        }
        let contact = table.contact(&link.peer)?;
        contact.connections.push(Held { connection: link.connection.clone(), retired: false });
        while contact.connections.len() > MAX_CONNECTIONS {
            contact.connections.remove(0).connection.close(close::SUPERSEDED, b"superseded");
        }
        contact.failure = None;
        contact.left = false;
        contact.learn(&[link.connection.remote_address()]);
        let pending = contact.pending.take();
        drop(table);
        self.changed.send_replace(());
        Some(pending)
    }

    /// Forgets a connection that has ended. Says whether another to the same peer remains.
    pub(super) fn remove(&self, link: &Link, left: bool) -> bool {
        let mut table = self.table();
        let Some(contact) = table.contacts.get_mut(&link.peer) else { return false };
        contact.connections.retain(|held| held.connection.stable_id() != link.connection.stable_id());
        contact.left |= left;
        let remains = contact.usable().is_some();
        drop(table);
        self.changed.send_replace(());
        remains
    }

    /// The connection to use, the newest there is.
    pub(super) fn get(&self, peer: &PeerId) -> Option<Connection> {
        self.table().contacts.get(peer)?.usable().cloned()
    }

    /// How everyone can be reached whom anything is known of.
    pub(super) fn reaches(&self) -> BTreeMap<PeerId, Reach> {
        self.table().contacts.iter().map(|(peer, contact)| (peer.clone(), contact.reach())).collect()
    }

    /// Whether an attempt to reach `peer` failed within the last `span`, or is being repeated after a failure.
    pub(super) fn failed_lately(&self, peer: &PeerId, span: Duration) -> bool {
        self.table().contacts.get(peer).is_some_and(|contact| {
            contact.failure.is_some_and(|failure| contact.dialling || failure.at.elapsed() < span)
        })
    }

    /// Whether nobody tries to reach `peer` any more, in vain.
    pub(super) fn gave_up(&self, peer: &PeerId) -> bool {
        let table = self.table();
        table.contacts.get(peer).is_none_or(|contact| !contact.dialling && contact.usable().is_none())
    }

    /// Notes that `peer` did not answer: the connections there are to it are used for nothing new.
    pub(super) fn retire(&self, peer: &PeerId) {
        if let Some(contact) = self.table().contacts.get_mut(peer) {
            contact.connections.iter_mut().for_each(|held| held.retired = true);
            contact.failure = Some(Failure { at: Instant::now(), times: 0 });
        }
    }

    /// Notes that `peer` could not be reached in time, while somebody may still be trying.
    pub(super) fn unreachable(&self, peer: &PeerId) {
        if let Some(contact) = self.table().contact(peer) {
            contact.failure.get_or_insert(Failure { at: Instant::now(), times: 0 });
        }
    }

    /// Learns where `peer` may be dialled, best first. What was known before is tried after it.
    pub(super) fn know(&self, peer: &PeerId, addresses: &[SocketAddr]) {
        let mut table = self.table();
        if let Some(contact) = table.contact(peer) {
            contact.learn(addresses);
        }
    }

    /// Begins an attempt to reach `peer`; `at_once` does not wait out the pause after a failure.
    pub(super) fn attempt(&self, peer: &PeerId, at_once: bool) -> Attempt {
        let mut table = self.table();
        let Some(contact) = table.contact(peer) else { return Attempt::NoAddress };
        if contact.dialling {
            return Attempt::UnderWay;
        }
        if !at_once && contact.failure.is_some_and(|failure| failure.at.elapsed() < failure.pause()) {
            return Attempt::TooSoon;
        }
        if contact.addresses.is_empty() {
            return Attempt::NoAddress;
        }
        contact.dialling = true;
        Attempt::Dial(contact.addresses.clone())
    }

    /// Ends an attempt to reach `peer`.
    pub(super) fn dialled(&self, peer: &PeerId, reached: bool) {
        if let Some(contact) = self.table().contacts.get_mut(peer) {
            contact.dialling = false;
            if !reached && contact.usable().is_none() {
                let times = contact.failure.map_or(0, |failure| failure.times.saturating_add(1));
                contact.failure = Some(Failure { at: Instant::now(), times });
            }
        }
        self.changed.send_replace(());
    }

    /// Keeps one message of gossip for `peer` until there is a connection; a newer one takes its place.
    pub(super) fn keep(&self, peer: &PeerId, message: Bytes) {
        if let Some(contact) = self.table().contact(peer) {
            contact.pending = Some(message);
        }
    }

    /// Who gossips under this address.
    pub(super) fn at_gossip_address(&self, address: SocketAddr) -> Option<PeerId> {
        self.table().by_gossip_address.get(&address).cloned()
    }

    /// Whether some peer was reached at `address`, or may be.
    pub(super) fn is_known(&self, address: SocketAddr) -> bool {
        let canonical = |address: SocketAddr| (address.ip().to_canonical(), address.port());
        let is_it = |known: &SocketAddr| canonical(*known) == canonical(address);
        self.table().contacts.values().any(|contact| contact.addresses.iter().any(is_it))
    }

    /// Everyone there is a connection to.
    pub(super) fn linked(&self) -> Vec<Link> {
        let table = self.table();
        let links = table
            .contacts
            .iter()
            .filter_map(|(peer, contact)| Some(Link { peer: peer.clone(), connection: contact.usable()?.clone() }));
        links.collect()
    }

    /// Closes everything and forgets everyone: a new epoch.
    pub(super) fn clear(&self, code: VarInt, reason: &'static str) {
        let mut table = self.table();
        for held in table.contacts.values().flat_map(|contact| &contact.connections) {
            held.connection.close(code, reason.as_bytes());
        }
        *table = Table { epoch: table.epoch + 1, ..Table::default() };
        drop(table);
        self.changed.send_replace(());
    }
}

impl Table {
    /// The contact of `peer`, made where there is none; `None` where there are too many that matter more.
    fn contact(&mut self, peer: &PeerId) -> Option<&mut Contact> {
        if !self.contacts.contains_key(peer) {
            if self.contacts.len() >= MAX_CONTACTS {
                let idle = |contact: &Contact| contact.connections.is_empty() && !contact.dialling;
                let idle = self.contacts.iter().filter(|(_, contact)| idle(contact));
                let (longest_unused, _) = idle.min_by_key(|(_, contact)| contact.used)?;
                let longest_unused = longest_unused.clone();
                self.contacts.remove(&longest_unused);
                self.by_gossip_address.remove(&gossip_address(&longest_unused));
            }
            self.by_gossip_address.insert(gossip_address(peer), peer.clone());
        }
        self.turns += 1;
        let contact = self.contacts.entry(peer.clone()).or_default();
        contact.used = self.turns;
        Some(contact)
    }
}

/// The address under which a peer takes part in gossip. It only names the peer: packets go where its connection goes.
pub(super) fn gossip_address(peer: &PeerId) -> SocketAddr {
    let hash = blake3::derive_key("nexus gossip address v1", peer.as_str().as_bytes());
    let mut octets = [0; 16];
    octets.copy_from_slice(&hash[..16]);
    octets[0] = 0xfd;
    SocketAddr::new(IpAddr::V6(Ipv6Addr::from(octets)), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: usize) -> PeerId {
        PeerId::of_public_key(&number.to_be_bytes())
    }

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_one_at_a_time_and_slow_down_while_they_fail() {
        let (links, peer) = (Links::new(), peer(1));
        assert_eq!(links.attempt(&peer, false), Attempt::NoAddress);
        links.know(&peer, &[address(1)]);
        let mut waited = Vec::new();
        for _ in 0..6 {
            let start = Instant::now();
            while links.attempt(&peer, false) == Attempt::TooSoon {
                tokio::time::advance(Duration::from_millis(50)).await;
            }
            waited.push(start.elapsed().as_millis());
            assert_eq!(links.attempt(&peer, true), Attempt::UnderWay);
            links.dialled(&peer, false);
        }
        assert_eq!(waited, [0, 250, 500, 1_000, 2_000, 2_000]);
        assert!(links.reaches()[&peer].failing && links.failed_lately(&peer, Duration::from_secs(1)));
        assert_eq!(links.attempt(&peer, true), Attempt::Dial(vec![address(1)]));
    }

    #[tokio::test(start_paused = true)]
    async fn newer_addresses_are_tried_first_and_there_are_not_too_many() {
        let (links, peer) = (Links::new(), peer(1));
        links.know(&peer, &[address(1), address(2)]);
        links.know(&peer, &[address(2), address(3)]);
        links.know(&peer, &(10..100).map(address).collect::<Vec<_>>());
        links.know(&peer, &[address(3)]);
        let Attempt::Dial(addresses) = links.attempt(&peer, false) else { panic!("it has addresses") };
        assert_eq!((addresses[0], addresses.len()), (address(3), MAX_ADDRESSES));
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_do_not_push_out_who_is_being_reached() {
        let links = Links::new();
        links.know(&peer(0), &[address(1)]);
        assert!(matches!(links.attempt(&peer(0), false), Attempt::Dial(_)));
        for number in 1..3 * MAX_CONTACTS {
            links.know(&peer(number), &[address(2)]);
        }
        assert_eq!(links.table().contacts.len(), MAX_CONTACTS);
        assert_eq!(links.table().by_gossip_address.len(), MAX_CONTACTS);
        assert_eq!(links.attempt(&peer(0), false), Attempt::UnderWay);
        assert_eq!(links.at_gossip_address(gossip_address(&peer(0))), Some(peer(0)));
    }

    /// The lowest id once had to go, however lately it was used.
    #[tokio::test(start_paused = true)]
    async fn where_there_are_too_many_the_longest_unused_goes() {
        let links = Links::new();
        let mut peers: Vec<PeerId> = (0..MAX_CONTACTS).map(peer).collect();
        peers.sort();
        for peer in &peers {
            links.know(peer, &[address(1)]);
        }
        links.know(&peers[0], &[address(2)]);
        for stranger in [peer(MAX_CONTACTS), peer(MAX_CONTACTS + 1)] {
            links.know(&stranger, &[address(3)]);
            assert!(matches!(links.attempt(&stranger, false), Attempt::Dial(_)), "the newest stays");
        }
        let known: Vec<bool> = peers[..4].iter().map(|peer| links.table().contacts.contains_key(peer)).collect();
        assert_eq!(known, [true, false, false, true]);
        assert_eq!(links.table().by_gossip_address.len(), MAX_CONTACTS);
    }

    #[test]
    fn a_new_membership_takes_in_nothing_of_the_old() {
        let links = Links::new();
        let before = links.epoch();
        links.know(&peer(1), &[address(1)]);
        links.clear(close::REJOINING, "rejoining");
        assert_ne!(links.epoch(), before);
        assert_eq!(links.attempt(&peer(1), true), Attempt::NoAddress);
    }
}

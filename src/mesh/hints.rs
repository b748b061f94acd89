//! Where peers might be: addresses from multicast, seeds and tokens. Each is tried every few seconds for as long as nobody
//! is connected there; whether anybody lives is what a connection says.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::dial::DialError;
use super::endpoint::Endpoint;
use super::membership::host_and_port;
use crate::env::Env;
use crate::fleet::PeerId;

/// Hints remembered; a new one takes the place of the oldest that came from the network.
const MAX_HINTS: usize = 256;
const MAX_ADDRESSES: usize = 16;

/// Hints are gone through so often.
const ROUND: Duration = Duration::from_secs(1);

/// Of two peers that see each other at once, one waits for the other to dial.
const POLITENESS: Duration = Duration::from_millis(300);

/// An address that turned out to be our own is looked at again after this: a name may come to stand for another machine.
const OWN_ADDRESS_PAUSE: Duration = Duration::from_secs(60);

/// An address where a peer might be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerHint {
    /// Who, where that is known.
    pub id: Option<PeerId>,
    /// Where, best first.
    pub addresses: Vec<SocketAddr>,
}

#[derive(Clone)]
struct Hint {
    place: Place,
    /// Who answered there last.
    found: Option<PeerId>,
    not_before: Instant,
    trying: bool,
}

#[derive(Clone, PartialEq)]
enum Place {
    Peer(PeerId, Vec<SocketAddr>),
    Addresses(Vec<SocketAddr>),
    /// `host:port` of the configuration: kept whatever comes from the network.
    Seed(String),
}

/// The hints of a node.
pub(super) struct Hints {
    list: Mutex<Vec<Hint>>,
    wake: Notify,
    endpoint: Arc<Endpoint>,
    env: Env,
}

impl Hints {
    pub(super) fn new(endpoint: Arc<Endpoint>, env: Env) -> Arc<Self> {
        Arc::new(Hints { list: Mutex::default(), wake: Notify::new(), endpoint, env })
    }

    fn list(&self) -> MutexGuard<'_, Vec<Hint>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a hint in; one about a peer that is known already replaces what was known.
    pub(super) fn add(&self, hint: PeerHint) {
        let PeerHint { id, mut addresses } = hint;
        addresses.truncate(MAX_ADDRESSES);
        if addresses.is_empty() || id.as_ref() == Some(&self.endpoint.me) {
            return;
        }
        let polite = id.as_ref().is_some_and(|id| *id < self.endpoint.me);
        let place = id.map_or(Place::Addresses(addresses.clone()), |id| Place::Peer(id, addresses));
        self.put(place, if polite { POLITENESS } else { Duration::ZERO });
    }

    /// Replaces every hint by these seeds, each `host:port`.
    pub(super) fn restart(&self, seeds: &[String]) {
        self.list().clear();
        for seed in seeds.iter().take(MAX_HINTS) {
            self.put(Place::Seed(seed.trim().to_owned()), Duration::ZERO);
        }
    }

    fn put(&self, place: Place, pause: Duration) {
        let mut list = self.list();
        let same = |hint: &&mut Hint| match (&hint.place, &place) {
            (Place::Peer(known, _), Place::Peer(id, _)) => known == id,
            (known, place) => known == place,
        };
        if let Some(known) = list.iter_mut().find(same) {
            known.place = place;
        } else {
            if list.len() >= MAX_HINTS {
                let Some(oldest) = list.iter().position(|hint| !matches!(hint.place, Place::Seed(_))) else { return };
                list.remove(oldest);
            }
            list.push(Hint { place, found: None, not_before: Instant::now() + pause, trying: false });
        }
        drop(list);
        self.wake.notify_one();
    }

    /// Tries what needs to be tried, for as long as the node runs.
    pub(super) async fn run(self: Arc<Self>) {
        loop {
            let next = self.round();
            tokio::select! {
                biased;
                () = self.wake.notified() => {}
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    /// Goes through all hints once. Says when to do so again.
    fn round(self: &Arc<Self>) -> Instant {
        let linked: BTreeSet<PeerId> = self.endpoint.links.linked().into_iter().map(|link| link.peer).collect();
        let (due, next) = self.due(&linked, Instant::now());
        for place in due {
            if let Place::Peer(id, addresses) = &place {
                self.endpoint.links.know(id, addresses);
                self.endpoint.ensure(id, false);
            } else {
                let hints = self.clone();
                self.env.tasks.spawn("mesh-seed", async move { hints.visit(place).await });
            }
        }
        next
    }

    /// Where to try now, and when to ask again. Nothing is done here: no other lock is taken under that of the list.
    fn due(&self, linked: &BTreeSet<PeerId>, now: Instant) -> (Vec<Place>, Instant) {
        let (mut due, mut next) = (Vec::new(), now + ROUND);
        for hint in self.list().iter_mut().filter(|hint| !hint.trying) {
            let there = match &hint.place {
                Place::Peer(id, _) => Some(id),
                _ => hint.found.as_ref(),
            };
            if hint.not_before > now {
                next = next.min(hint.not_before);
            } else if there.is_none_or(|id| !linked.contains(id)) {
                hint.trying = !matches!(hint.place, Place::Peer(..));
                due.push(hint.place.clone());
            }
        }
        (due, next)
    }

    /// Finds out who is at a place that has no id.
    async fn visit(&self, place: Place) {
        let end = match self.addresses(&place).await {
            Ok(addresses) => self.meet(addresses).await,
            Err(error) => Err(DialError::Failed(error)),
        };
        if let (Err(error @ DialError::Failed(_)), Place::Seed(seed)) = (&end, &place) {
            self.endpoint.junk.complain(seed, "seed not reached", error);
        }
        let mut list = self.list();
        if let Some(hint) = list.iter_mut().find(|hint| hint.place == place) {
            hint.trying = false;
            let pause = if matches!(end, Err(DialError::Myself)) { OWN_ADDRESS_PAUSE } else { ROUND };
            hint.not_before = Instant::now() + pause;
            hint.found = end.ok();
        }
    }

    async fn addresses(&self, place: &Place) -> Result<Vec<SocketAddr>, String> {
        match place {
            Place::Peer(_, addresses) | Place::Addresses(addresses) => Ok(addresses.clone()),
            Place::Seed(seed) => {
                let (host, port) = host_and_port(seed).ok_or_else(|| "it is not `host:port`".to_owned())?;
                let mut addresses =
                    self.env.net.resolve(host.to_owned(), port).await.map_err(|error| error.to_string())?;
                addresses.sort_by_key(|address| (address.is_ipv6(), *address));
                addresses.dedup();
                addresses.truncate(MAX_ADDRESSES);
                Ok(addresses)
            }
        }
    }

    /// Whoever is connected from one of these addresses, or else answers at one.
    async fn meet(&self, addresses: Vec<SocketAddr>) -> Result<PeerId, DialError> {
        let here = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        let links = self.endpoint.links.linked();
        if let Some(link) = links.into_iter().find(|link| addresses.contains(&here(link.connection.remote_address()))) {
            return Ok(link.peer);
        }
        self.endpoint.dial(addresses, None).await.map(|link| link.peer)
    }
}

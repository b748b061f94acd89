//! Clients' keys between peers: what is made or revoked here is handed to every peer at once; a peer whose gossip shows that
//! it knows other keys is asked for them. Both sides of such a visit end up with all that either had. Only in a keyed mesh.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info};

use crate::access::Ring;
use crate::budget::Treasury;
use crate::exchange::{Objection, ObjectionReason, Order, Outcome};
use crate::fleet::{KeyRecord, PeerId, PeerState};
use crate::mesh::{Mesh, OrderError};

/// A peer is not visited again within this, unless something new was made here.
const PAUSE: Duration = Duration::from_secs(1);

/// How long one frame of a visit, and a whole visit, may take.
const DEADLINE: Duration = Duration::from_secs(3);
const WHOLE_DEADLINE: Duration = Duration::from_secs(20);

/// Frames of one visit. It takes no more to hand over as many keys as are kept.
const MOST_FRAMES: usize = 256;

/// What could not be kept on disk is tried again after this.
const KEEP_AGAIN: Duration = Duration::from_secs(5);

/// The keys of this node, and the peers that should know them.
pub(super) struct Sharing {
    pub(super) ring: Arc<Ring>,
    pub(super) mesh: Mesh,
    pub(super) treasury: Weak<Treasury>,
}

/// How we are with one peer.
#[derive(Default)]
struct Terms {
    /// Since when it has told of other keys than ours.
    differs: Option<Instant>,
    /// When it was visited last.
    visited: Option<Instant>,
    under_way: bool,
    /// When it is to be handed what was made here, or what the last visit has not brought.
    owed: Option<Instant>,
}

impl Sharing {
    /// Keeps all peers at the same keys, for as long as it is polled.
    pub(super) async fn run(self: Arc<Self>) {
        let (mut news, mut made) = (self.mesh.changed(), self.ring.made_here());
        let mut book: BTreeMap<PeerId, Terms> = BTreeMap::new();
        let mut visits = FuturesUnordered::new();
        let mut keep_at = None;
        loop {
            if self.ring.awaits_mesh() && self.treasury.upgrade().is_some_and(|treasury| treasury.is_founder()) {
                self.ring.settle();
            }
            let (due, next) = self.due(&mut book, Instant::now());
            visits.extend(due.into_iter().map(|peer| self.visit(peer)));
            let now = Instant::now();
            if keep_at.is_none_or(|at| at <= now) {
                keep_at = (!self.ring.keep()).then(|| now + KEEP_AGAIN);
            }
            let look_at = self.ring.awaits_mesh().then(|| now + self.mesh.config().gossip_interval());
            let next = next.into_iter().chain(keep_at).chain(look_at).min();
            tokio::select! {
                biased;
                changed = made.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.mesh.tell_now();
                    for (peer, _) in self.living() {
                        book.entry(peer).or_default().owed = Some(Instant::now());
                    }
                }
                Some((peer, came_through)) = visits.next(), if !visits.is_empty() => {
                    let terms: &mut Terms = book.entry(peer).or_default();
                    terms.under_way = false;
                    if !came_through {
                        terms.owed = terms.owed.or(Some(Instant::now() + PAUSE));
                    }
                }
                changed = news.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
        }
    }

    /// Every peer that is not dead, and the hash of the keys that it knows. Nobody where nobody is proven.
    fn living(&self) -> Vec<(PeerId, Option<Arc<str>>)> {
        if !self.mesh.is_keyed() {
            return Vec::new();
        }
        let (peers, now, config) = (self.mesh.peers(), Instant::now(), self.mesh.config());
        let living = peers.list.iter().filter(|peer| peer.state(now, config) != PeerState::Dead);
        living.map(|peer| (peer.id.clone(), peer.keys.clone())).collect()
    }

    /// Who is to be visited now, and when to look again.
    fn due(&self, book: &mut BTreeMap<PeerId, Terms>, now: Instant) -> (Vec<PeerId>, Option<Instant>) {
        let (living, ours) = (self.living(), self.ring.hash());
        book.retain(|peer, terms| terms.under_way || living.iter().any(|(living, _)| living == peer));
        // What was handed over a moment ago is not in its gossip yet. Who knows nothing was handed nothing.
        let patience = if ours.is_none() { Duration::ZERO } else { 2 * self.mesh.config().gossip_interval() };
        let (mut due, mut next): (Vec<PeerId>, Option<Instant>) = (Vec::new(), None);
        for (peer, theirs) in living {
            let terms = book.entry(peer.clone()).or_default();
            let differs = theirs.is_some() && theirs != ours;
            terms.differs = differs.then(|| terms.differs.unwrap_or(now));
            if terms.under_way {
                continue;
            }
            let rested = terms.visited.map_or(now, |visited| visited + PAUSE);
            let asked_for = terms.differs.map(|since| rested.max(since + patience));
            let Some(at) = terms.owed.into_iter().chain(asked_for).min() else { continue };
            if at <= now {
                (terms.under_way, terms.owed, terms.visited) = (true, None, Some(now));
                due.push(peer);
            } else {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        (due, next)
    }

    /// Hands a peer what we know and takes what it knows. Says whether that was done.
    async fn visit(&self, peer: PeerId) -> (PeerId, bool) {
        let whole = timeout(WHOLE_DEADLINE, self.hand_over(&peer)).await;
        let outcome = whole.unwrap_or_else(|_| Err("it takes too long".to_owned()));
        if let Err(error) = &outcome {
            debug!(peer = peer.short(), error, "Client keys not exchanged");
        }
        (peer, outcome.is_ok())
    }

    async fn hand_over(&self, peer: &PeerId) -> Result<(), String> {
        let knows_all = self.living().iter().any(|(living, hash)| living == peer && hash.is_some());
        let (mut ours, mut theirs) = (String::new(), String::new());
        for _ in 0..MOST_FRAMES {
            let (records, we_have_more) = self.ring.page(&ours);
            ours = records.last().map_or(ours, |last| last.id.clone());
            let order = Order::Keys { records, after: theirs.clone() };
            let (records, more) = match self.mesh.order(peer, order, DEADLINE).await {
                Ok(Outcome::Keys { records, more }) => (records, more),
                Ok(_) => return Err("it answered something else".to_owned()),
                // It will not learn them, however often it is told.
                Err(OrderError::Unknown) => return Ok(()),
                Err(error) => return Err(error.to_string()),
            };
            let last = records.last().map(|last| last.id.clone()).filter(|last| *last > theirs);
            let goes_on = more && last.is_some();
            theirs = last.unwrap_or(theirs);
            self.take(peer, records)?;
            if !we_have_more && !goes_on {
                if knows_all {
                    self.ring.settle();
                }
                return Ok(());
            }
        }
        Err("it has no end of keys".to_owned())
    }

    /// The other side of a visit.
    pub(super) fn answer(&self, from: &PeerId, records: Vec<KeyRecord>, after: &str) -> Result<Outcome, Objection> {
        self.take(from, records).map_err(|why| Objection::new(ObjectionReason::Forbidden, why))?;
        let (records, more) = self.ring.page(after);
        Ok(Outcome::Keys { records, more })
    }

    fn take(&self, from: &PeerId, records: Vec<KeyRecord>) -> Result<(), String> {
        if !self.mesh.is_keyed() {
            return Err("Peers of an open mesh tell each other of no client keys".to_owned());
        }
        if self.ring.merge(records) {
            info!(peer = from.short(), "Client keys learned from a peer");
            self.mesh.tell_now();
        }
        Ok(())
    }
}

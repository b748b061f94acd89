//! What this peer itself knows of the backends of others: the requests that it has there, and the load that their owner
//! told it last. Gossip takes a second or more; what is known here is put over it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::fleet::{Load, PeerId};

/// Nobody's news is older: what ended before is in it.
const OLDEST_NEWS: Duration = Duration::from_secs(10);

/// Ended requests that are remembered, for each backend.
const MOST_ENDED: usize = 256;

/// The backends of others, as seen from here.
#[derive(Default)]
pub struct Abroad(Mutex<BTreeMap<Place, Seen>>);

type Place = (PeerId, Arc<str>);

#[derive(Default)]
struct Seen {
    /// When each of the requests that are there now was sent.
    running: Vec<Instant>,
    /// When those that have ended lately were sent, and when they ended; in the order in which they did.
    ended: VecDeque<(Instant, Instant)>,
    told: Option<(Load, Instant)>,
}

/// A request that is at a backend of another peer; counted until dropped.
pub struct Away {
    abroad: Arc<Abroad>,
    place: Place,
    since: Instant,
}

impl Abroad {
    /// A request goes there now.
    pub fn begin(self: &Arc<Self>, peer: &PeerId, backend: &Arc<str>) -> Away {
        let (place, since) = ((peer.clone(), backend.clone()), Instant::now());
        self.seen().entry(place.clone()).or_default().running.push(since);
        Away { abroad: self.clone(), place, since }
    }

    /// The owner has just told this load.
    pub fn told(&self, peer: &PeerId, backend: &Arc<str>, load: Load) {
        let now = Instant::now();
        self.seen().entry((peer.clone(), backend.clone())).or_default().told = Some((load, now));
    }

    /// How busy a backend is, of which gossip said `load` at `heard_at`: the newest that the owner has said, and what we
    /// have sent it and got back since.
    pub fn corrected(&self, peer: &PeerId, backend: &Arc<str>, load: Load, heard_at: Instant) -> Load {
        let mut all = self.seen();
        let Some(seen) = all.get_mut(&(peer.clone(), backend.clone())) else { return load };
        let (mut load, since) = match seen.told {
            // Averages and slots change slowly, and are not always told.
            Some((told, at)) if at > heard_at => (Load { total: load.total, ..told }, at),
            _ => (load, heard_at),
        };
        let sent = seen.running.iter().filter(|began| **began > since).count();
        let ended = seen.ended.iter().rev().take_while(|(_, ended)| *ended > since);
        let back = ended.filter(|(began, _)| *began <= since).count();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let here = load.in_flight.saturating_add(load.queued).saturating_add(count(sent)).saturating_sub(count(back));
        let room = load.concurrency.map_or(u32::MAX, |slots| slots.saturating_sub(load.foreign));
        (load.in_flight, load.queued) = (here.min(room), here.saturating_sub(room));
        load
    }

    /// How many of our requests are there.
    pub fn running(&self, peer: &PeerId, backend: &Arc<str>) -> usize {
        self.seen().get(&(peer.clone(), backend.clone())).map_or(0, |seen| seen.running.len())
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<Place, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        let mut all = self.abroad.seen();
        let now = Instant::now();
        let is_old = |at: Instant| now.saturating_duration_since(at) >= OLDEST_NEWS;
        let Some(seen) = all.get_mut(&self.place) else { return };
        if let Some(at) = seen.running.iter().position(|began| *began == self.since) {
            seen.running.swap_remove(at);
        }
        seen.ended.push_back((self.since, now));
        while seen.ended.len() > MOST_ENDED || seen.ended.front().is_some_and(|(_, ended)| is_old(*ended)) {
            seen.ended.pop_front();
        }
        // A backend that is used no more is forgotten with the last request that comes back late.
        all.retain(|_, seen| {
            !seen.running.is_empty()
                || seen.ended.back().is_some_and(|(_, ended)| !is_old(*ended))
                || seen.told.is_some_and(|(_, at)| !is_old(at))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn load(in_flight: u32, queued: u32) -> Load {
        Load { in_flight, queued, concurrency: Some(4), ..Load::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_sent_and_came_back_since_the_news_counts() {
        let (abroad, peer, backend) = (Arc::new(Abroad::default()), PeerId::from_text("p"), Arc::from("gpu"));
        let busy = |heard_at| {
            let load = abroad.corrected(&peer, &backend, load(1, 0), heard_at);
            (load.in_flight, load.queued)
        };
        let start = Instant::now();
        assert_eq!(busy(start), (1, 0), "nothing is known here");
        let before = abroad.begin(&peer, &backend);
        tokio::time::advance(SECOND).await;
        let heard_at = Instant::now();
        tokio::time::advance(SECOND).await;
        let since: Vec<Away> = (0..5).map(|_| abroad.begin(&peer, &backend)).collect();
        assert_eq!(busy(heard_at), (4, 2), "five more, and four slots");
        drop(before);
        assert_eq!(busy(heard_at), (4, 1), "what the news counted is back");
        drop(since);
        assert_eq!(busy(heard_at), (0, 0));
        assert_eq!(busy(Instant::now()), (1, 0), "news that is newer knows it all");
        tokio::time::advance(OLDEST_NEWS).await;
        drop(abroad.begin(&PeerId::from_text("other"), &backend));
        assert_eq!(abroad.seen().len(), 1, "what is used no more is forgotten");
    }

    /// The owner's count once lost one for each request that it had refused.
    #[tokio::test(start_paused = true)]
    async fn what_was_refused_is_back_before_the_word_of_its_owner() {
        let (abroad, peer, backend) = (Arc::new(Abroad::default()), PeerId::from_text("p"), Arc::from("gpu"));
        let heard_at = Instant::now();
        tokio::time::advance(SECOND).await;
        let refused = abroad.begin(&peer, &backend);
        tokio::time::advance(SECOND).await;
        drop(refused);
        tokio::time::advance(Duration::from_nanos(1)).await;
        abroad.told(&peer, &backend, load(4, 3));
        let known = abroad.corrected(&peer, &backend, load(0, 0), heard_at);
        assert_eq!((known.in_flight, known.queued), (4, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_owner_told_last_goes_before_older_gossip() {
        let (abroad, peer, backend) = (Arc::new(Abroad::default()), PeerId::from_text("p"), Arc::from("gpu"));
        let heard_at = Instant::now();
        tokio::time::advance(SECOND).await;
        abroad.told(&peer, &backend, load(4, 3));
        let known = abroad.corrected(&peer, &backend, load(0, 0), heard_at);
        assert_eq!((known.in_flight, known.queued), (4, 3));
        tokio::time::advance(SECOND).await;
        let newer = abroad.corrected(&peer, &backend, load(2, 0), Instant::now());
        assert_eq!((newer.in_flight, newer.queued), (2, 0));
    }
}

//! The book of requests: those that are under way at this peer, and the last that have ended, each with how it was decided.
//! A request writes one page; what people read is made of it when somebody asks. No content, no key, no address.

mod page;
mod told;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, broadcast};

pub(super) use page::End;
pub use page::{Ended, Page, State, Tried};
pub use told::{History, Names, Way};

/// Pages that are kept of clients' requests, and of other peers': neither pushes the other out.
const MOST_ENDED: usize = 256;

/// Pages that a slow follower may be behind before it misses some.
const MOST_BEHIND: usize = 1_024;

/// Every request of this peer, lately.
pub struct Book {
    pages: Mutex<Pages>,
    ended: broadcast::Sender<Arc<Page>>,
    many_ended: Notify,
}

#[derive(Default)]
struct Pages {
    next: u64,
    closed: u64,
    live: BTreeMap<u64, Arc<Page>>,
    clients: VecDeque<Arc<Page>>,
    peers: VecDeque<Arc<Page>>,
}

impl Default for Book {
    fn default() -> Self {
        Book { pages: Mutex::default(), ended: broadcast::Sender::new(MOST_BEHIND), many_ended: Notify::new() }
    }
}

impl Book {
    /// After so many ends who follows has something to do: none is missed then.
    pub const MANY: u64 = 256;

    /// A request has come.
    pub(super) fn open(&self, page: impl FnOnce(u64) -> Page) -> Arc<Page> {
        let mut pages = self.lock();
        let number = pages.next;
        pages.next += 1;
        let page = Arc::new(page(number));
        pages.live.insert(number, page.clone());
        page
    }

    /// It has ended: its page is kept until others push it out.
    pub(super) fn close(&self, page: &Arc<Page>) {
        let mut pages = self.lock();
        pages.live.remove(&page.number);
        pages.closed += 1;
        page.close_as(pages.closed);
        let is_followed = self.ended.receiver_count() > 0;
        if is_followed {
            // With the lock, so that who follows hears of them in their order.
            let _ = self.ended.send(page.clone());
        }
        let are_many = is_followed && pages.closed.is_multiple_of(Self::MANY);
        let ended = if page.is_from_peer() { &mut pages.peers } else { &mut pages.clients };
        ended.push_back(page.clone());
        let pushed_out = if ended.len() > MOST_ENDED { ended.pop_front() } else { None };
        drop(pages);
        if are_many {
            self.many_ended.notify_one();
        }
        // Taken apart without the lock: there may be a whole plan in it.
        drop(pushed_out);
    }

    /// Every request that ends from now on, and the [`Page::ordinal`] of the last that had ended.
    pub fn follow(&self) -> (u64, broadcast::Receiver<Arc<Page>>) {
        let pages = self.lock();
        (pages.closed, self.ended.subscribe())
    }

    /// Waits until [`Book::MANY`] have ended, for the one who follows: time to hear of them.
    pub async fn many_ended(&self) {
        self.many_ended.notified().await;
    }

    /// The [`Page::ordinal`] of the last that has ended; 0 where none has.
    pub fn last_ended(&self) -> u64 {
        self.lock().closed
    }

    /// Those that ended after the one with this [`Page::ordinal`], as far as they are kept, in the order in which they ended.
    pub fn ended_since(&self, ordinal: u64) -> Vec<Arc<Page>> {
        let mut since: Vec<Arc<Page>> = {
            let pages = self.lock();
            let is_later = |page: &&Arc<Page>| page.ordinal() > ordinal;
            let of_clients = pages.clients.iter().rev().take_while(is_later);
            of_clients.chain(pages.peers.iter().rev().take_while(is_later)).cloned().collect()
        };
        since.sort_by_key(|page| page.ordinal());
        since
    }

    /// Those that are under way, newest first.
    pub fn live(&self) -> Vec<Arc<Page>> {
        self.lock().live.values().rev().cloned().collect()
    }

    /// Those that have ended, of clients and of peers, newest first.
    pub fn ended(&self) -> Vec<Arc<Page>> {
        let mut all: Vec<Arc<Page>> = {
            let pages = self.lock();
            pages.clients.iter().chain(&pages.peers).cloned().collect()
        };
        all.sort_by_cached_key(|page| std::cmp::Reverse((page.ended_at(), page.number)));
        all
    }

    /// The last `most` requests of clients that have ended, oldest first.
    pub fn of_clients(&self, most: usize) -> Vec<Arc<Page>> {
        let pages = self.lock();
        pages.clients.iter().skip(pages.clients.len().saturating_sub(most)).cloned().collect()
    }

    /// The newest request of this id.
    pub fn find(&self, id: &str) -> Option<Arc<Page>> {
        let pages = self.lock();
        let live = pages.live.values().rev();
        let all = live.chain(pages.clients.iter().rev()).chain(pages.peers.iter().rev());
        all.filter(|page| page.id.as_str() == id).max_by_key(|page| page.number).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;

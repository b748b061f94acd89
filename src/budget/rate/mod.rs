//! Requests and tokens in a minute, over the whole mesh: what passes between peers is shares of a limit, by the same ledger
//! as money; what is in a bucket is known to its peer alone.

mod alone;
mod bucket;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::Treasury;
use super::treasury::Spare;
use crate::fleet::Account;
pub use alone::Alone;
use bucket::{Bucket, Short};

/// The buckets of this peer.
pub struct Rates {
    treasury: Arc<Treasury>,
    buckets: Mutex<BTreeMap<Arc<str>, Known>>,
}

#[derive(Clone, Copy)]
struct Known {
    per_minute: f64,
    bucket: Bucket,
    /// Others were asked in vain; they are left alone until then.
    asked_until: Option<Instant>,
}

/// How long others are left alone that had nothing to give.
const PAUSE: Duration = Duration::from_secs(1);

/// How long it takes at least until somebody who has no share may try again.
const RETRY: Duration = Duration::from_secs(1);

/// Buckets that are kept. Of more the first by name is forgotten, and is full when it is wanted again.
const MOST: usize = 10_000;

/// A limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// In how long it may be tried again.
    pub retry_after: Duration,
    /// There is no share of the limit here, and none can be had.
    pub no_share: bool,
}

impl Rates {
    /// Over the shares that `treasury` keeps.
    pub fn new(treasury: Arc<Treasury>) -> Arc<Self> {
        let rates = Arc::new(Rates { treasury: treasury.clone(), buckets: Mutex::default() });
        treasury.spare_with(Arc::new(Spares(Arc::downgrade(&rates))));
        rates
    }

    /// Takes `cost` of an account that is limited to so much in a minute. Where this peer's share is too small for that,
    /// others are asked for theirs, for at most `patience`.
    ///
    /// # Errors
    /// The limit is reached.
    pub async fn take(&self, account: &Account, per_minute: f64, cost: f64, patience: Duration) -> Result<(), Limited> {
        let until = Instant::now() + patience;
        loop {
            let share = self.treasury.share_of(account);
            let now = Instant::now();
            let needed = {
                let mut buckets = self.lock();
                let known = known(&mut buckets, account, per_minute, share, now);
                match known.bucket.take(per_minute, share, cost, now) {
                    Ok(()) => return Ok(()),
                    Err(Short::Wait(wait)) if known.asked_until.is_some_and(|until| now < until) => {
                        return Err(Limited { retry_after: wait, no_share: false });
                    }
                    Err(Short::Share(_)) if known.asked_until.is_some_and(|until| now < until) => {
                        return Err(Limited { retry_after: RETRY, no_share: true });
                    }
                    // Somebody else may have what is not used there.
                    Err(Short::Wait(_)) => 1,
                    Err(Short::Share(parts)) => parts.saturating_sub(share).max(1),
                }
            };
            let got = self.treasury.gather(account, per_minute, needed, until).await;
            // Never with the buckets in hand: the treasury asks for them with its own ledger in hand.
            let share = self.treasury.share_of(account);
            let mut buckets = self.lock();
            let known = known(&mut buckets, account, per_minute, share, Instant::now());
            known.asked_until = Some(Instant::now() + PAUSE);
            if let Some(level) = got {
                known.bucket.add(level);
            }
        }
    }

    /// What was taken of an account was more than was thought, or less.
    pub fn correct(&self, account: &str, more: f64) {
        if let Some(known) = self.lock().get_mut(account) {
            known.bucket.correct(more);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Known>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn known<'b>(
    buckets: &'b mut BTreeMap<Arc<str>, Known>,
    account: &Account,
    per_minute: f64,
    share: u64,
    now: Instant,
) -> &'b mut Known {
    if buckets.len() >= MOST && !buckets.contains_key(&account.name) {
        buckets.pop_first();
    }
    let known = buckets.entry(account.name.clone()).or_insert_with(|| Known {
        per_minute,
        bucket: Bucket::begun(per_minute, share, now),
        asked_until: None,
    });
    known.per_minute = per_minute;
    known
}

/// What the treasury asks before it gives rights of a limit away.
struct Spares(Weak<Rates>);

impl Spare for Spares {
    fn give(&self, account: &Account, per_minute: f64, share: u64, parts: u64) -> Option<f64> {
        let (rates, now) = (self.0.upgrade()?, Instant::now());
        let mut buckets = rates.lock();
        let known = known(&mut buckets, account, per_minute, share, now);
        known.bucket.give(per_minute, share, parts, now)
    }
}

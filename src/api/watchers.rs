//! Room for those who follow what happens: each holds a connection for as long as it likes, so there is a most of them, of
//! every address, and of all other machines: whoever sits at this one can always look.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::serve::Source;
use crate::dialect::Fault;

/// Connections that follow, of all kinds.
pub(super) const MOST: usize = 256;

/// Those of them that one other machine may have.
const MOST_OF_ONE: usize = 32;

/// Those of them that are kept for this machine.
const KEPT: usize = 32;

/// Who follows.
pub(super) struct Watchers {
    taken: Arc<Mutex<Taken>>,
    /// Cancelled when this node stops: nobody is followed any longer.
    pub(super) closing: CancellationToken,
}

#[derive(Default)]
struct Taken {
    here: usize,
    elsewhere: usize,
    /// Of other machines.
    by: BTreeMap<IpAddr, usize>,
}

impl Watchers {
    /// Nobody follows yet.
    pub(super) fn new(closing: CancellationToken) -> Self {
        Watchers { taken: Arc::default(), closing }
    }

    /// A place for whoever comes from `source`, for as long as it is kept.
    ///
    /// # Errors
    /// All are taken, those of this address are, or this node is stopping.
    pub(super) fn place(&self, source: Option<Source>) -> Result<Place, Fault> {
        if self.closing.is_cancelled() {
            return Err(Fault::draining());
        }
        let from = machine(source);
        lock(&self.taken).add(from)?;
        Ok(Place { taken: self.taken.clone(), from })
    }
}

impl Taken {
    fn add(&mut self, from: Option<IpAddr>) -> Result<(), Fault> {
        let Some(from) = from else {
            if self.here + self.elsewhere >= MOST {
                return Err(Fault::too_many_watchers(MOST));
            }
            self.here += 1;
            return Ok(());
        };
        if self.by.get(&from).is_some_and(|taken| *taken >= MOST_OF_ONE) {
            return Err(Fault::too_many_watchers_of_one(MOST_OF_ONE));
        }
        if self.elsewhere >= MOST - KEPT || self.here + self.elsewhere >= MOST {
            return Err(Fault::too_many_watchers(self.here + self.elsewhere));
        }
        self.elsewhere += 1;
        *self.by.entry(from).or_default() += 1;
        Ok(())
    }

    fn remove(&mut self, from: Option<IpAddr>) {
        let Some(from) = from else {
            self.here = self.here.saturating_sub(1);
            return;
        };
        self.elsewhere = self.elsewhere.saturating_sub(1);
        if let Some(taken) = self.by.get_mut(&from) {
            *taken = taken.saturating_sub(1);
            if *taken == 0 {
                self.by.remove(&from);
            }
        }
    }
}

/// A place of one that follows, free again when dropped.
pub(super) struct Place {
    taken: Arc<Mutex<Taken>>,
    from: Option<IpAddr>,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.taken).remove(self.from);
    }
}

/// Another machine; `None` for this one. A machine has all addresses of a network of IPv6 if it likes, so those count as one.
fn machine(source: Option<Source>) -> Option<IpAddr> {
    const NETWORK: u128 = !(u64::MAX as u128);
    // A connection that nobody can name is another machine's.
    let from = source.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |Source(address)| address.ip().to_canonical());
    match from {
        from if from.is_loopback() => None,
        IpAddr::V6(from) => Some(Ipv6Addr::from_bits(from.to_bits() & NETWORK).into()),
        from @ IpAddr::V4(_) => Some(from),
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> Option<Source> {
        Some(Source(format!("{address}:1").parse().expect("an address")))
    }

    /// As many places as there are for `sources`, one after another, and the status of each refusal.
    fn taken(watchers: &Watchers, sources: impl Iterator<Item = String>) -> (Vec<Place>, Vec<u16>) {
        let (mut places, mut refused) = (Vec::new(), Vec::new());
        for source in sources {
            match watchers.place(from(&source)) {
                Ok(place) => places.push(place),
                Err(fault) => refused.push(fault.status.as_u16()),
            }
        }
        (places, refused)
    }

    /// One address could once take all of them.
    #[test]
    fn nobody_takes_the_places_of_all_others() {
        let watchers = Watchers::new(CancellationToken::new());
        let (greedy, refused) = taken(&watchers, (0..1_000).map(|_| "192.0.2.7".to_owned()));
        assert_eq!((greedy.len(), refused), (MOST_OF_ONE, vec![429; 1_000 - MOST_OF_ONE]));
        let (same, refused) = taken(&watchers, (0..1_000).map(|at| format!("[2001:db8::{at:x}]")));
        assert_eq!((same.len(), refused[0]), (MOST_OF_ONE, 429), "one network of IPv6 is one machine");
        let (mapped, _) = taken(&watchers, std::iter::once("[::ffff:192.0.2.7]".to_owned()));
        assert!(mapped.is_empty(), "the same address, written otherwise");

        let (crowd, refused) = taken(&watchers, (0..1_000).map(|at| format!("10.0.{}.{}", at / 200, at % 200)));
        assert_eq!((crowd.len() + greedy.len() + same.len(), refused[0]), (MOST - KEPT, 503));
        let (here, refused) = taken(&watchers, (0..100).map(|_| "127.0.0.1".to_owned()));
        assert_eq!((here.len(), refused[0]), (KEPT, 503), "there is room for this machine");
        drop((crowd, greedy));
        assert_eq!(
            taken(&watchers, (0..40).map(|_| "192.0.2.7".to_owned())).0.len(),
            MOST_OF_ONE,
            "who leaves makes room"
        );
        drop((here, same));
        let taken = lock(&watchers.taken);
        assert!((taken.here, taken.elsewhere) == (0, 0) && taken.by.is_empty(), "nothing stays behind");
    }

    #[test]
    fn this_machine_may_have_them_all() {
        let watchers = Watchers::new(CancellationToken::new());
        let (here, refused) = taken(&watchers, (0..300).map(|_| "[::1]".to_owned()));
        assert_eq!((here.len(), refused), (MOST, vec![503; 300 - MOST]));
        assert_eq!(taken(&watchers, std::iter::once("192.0.2.7".to_owned())).1, [503]);
    }
}

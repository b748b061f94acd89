//! The names that QUIC calls our connections by. They are made by chance and carry a tag, by which a datagram that calls
//! on a connection can be told from junk before anybody looks the connection up.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quinn::{ConnectionId, ConnectionIdGenerator};
use rand::Rng;

use super::identity::Identity;
use crate::env::Dice;

/// Bytes of chance, and of the tag that follows: 12 in all, of the 20 that QUIC allows.
const CHANCE: usize = 8;
const TAG: usize = 4;

/// Our connection ids: those to come, and whether one may be ours.
pub(super) struct ConnectionIds {
    key: [u8; 32],
    dice: Mutex<Dice>,
}

impl ConnectionIds {
    /// Bytes of each.
    pub(super) const LENGTH: usize = CHANCE + TAG;

    /// The key outlives this process, with the identity: what a peer still sends to a connection of the old process must
    /// get as far as the stateless reset that ends it.
    pub(super) fn new(identity: &Identity, dice: Dice) -> Self {
        ConnectionIds { key: identity.derive("connection ids"), dice: Mutex::new(dice) }
    }

    /// One that was never used.
    pub(super) fn fresh(&self) -> ConnectionId {
        let mut id = [0; Self::LENGTH];
        self.dice.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut id[..CHANCE]);
        let tag = self.tag(&id[..CHANCE]);
        id[CHANCE..].copy_from_slice(&tag);
        ConnectionId::new(&id)
    }

    /// Whether `id` was made here, by this process or an earlier one. Junk passes once in four thousand million times.
    pub(super) fn may_be_ours(&self, id: &[u8]) -> bool {
        id.split_at_checked(CHANCE).is_some_and(|(chance, tag)| *tag == self.tag(chance))
    }

    /// For QUIC. What passes here is its own to look up.
    pub(super) fn generator(this: &Arc<Self>) -> Box<dyn ConnectionIdGenerator> {
        Box::new(Generator(this.clone()))
    }

    fn tag(&self, chance: &[u8]) -> [u8; TAG] {
        let hash = blake3::keyed_hash(&self.key, chance);
        let mut tag = [0; TAG];
        tag.copy_from_slice(&hash.as_bytes()[..TAG]);
        tag
    }
}

struct Generator(Arc<ConnectionIds>);

impl ConnectionIdGenerator for Generator {
    fn generate_cid(&mut self) -> ConnectionId {
        self.0.fresh()
    }

    fn cid_len(&self) -> usize {
        ConnectionIds::LENGTH
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{Env, Seed};

    #[test]
    fn ours_are_told_from_chance_after_a_restart_too() {
        let directories = [0; 2].map(|_| tempfile::tempdir().expect("a temporary directory"));
        let [us, other] =
            [0, 1].map(|at: usize| Identity::open(directories[at].path(), &Env::real()).expect("a start"));
        let ids = |identity: &Identity, chance| ConnectionIds::new(identity, Seed::fixed(chance).fork("ids"));
        let (before, after, others) = (ids(&us, 1), ids(&us, 2), ids(&other, 1));
        for _ in 0..1_000 {
            let id = before.fresh();
            assert!(after.may_be_ours(&id));
            assert!(!others.may_be_ours(&id) && !after.may_be_ours(&others.fresh()));
            assert!(!after.may_be_ours(&id[1..]) && !after.may_be_ours(&[]));
        }
    }
}

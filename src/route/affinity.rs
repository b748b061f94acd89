//! Where a prompt belongs that nobody has read yet: weighted rendezvous hashing over the backends that would serve it as
//! soon. Every entry finds the same place, asking nobody (Thaler, Ravishankar, "Using name-based mappings to increase hit
//! rates", 1998; weights as in Schindelhauer, Schomaker, "Weighted distributed hash tables", 2005).

use twox_hash::XxHash3_64;

use super::world::Candidate;
use crate::fleet::PeerId;

/// More than this times the mean of requests at work is too many for one place.
const MOST_OVER_MEAN: f64 = 1.25;

/// What a backend is in rendezvous hashing: the same number at every entry.
pub fn seat(owner: Option<&PeerId>, backend: &str) -> u64 {
    let mut text = owner.map_or("", PeerId::as_str).as_bytes().to_vec();
    text.push(0);
    text.extend_from_slice(backend.as_bytes());
    XxHash3_64::oneshot(&text)
}

/// What a model is called in rendezvous hashing, for requests that have no prompt to hold on to.
pub(super) fn key_of_model(model: &str) -> u64 {
    XxHash3_64::oneshot(model.as_bytes())
}

/// How much `candidate` is wanted for `key`: the highest has it. It is weighed by its slots and by its speed, in powers of
/// two, so that entries whose news differ a little still agree.
pub(super) fn wanted(key: u64, candidate: &Candidate, tokens_per_second: f64) -> f64 {
    let slots = f64::from(candidate.load.concurrency.unwrap_or(1).max(1));
    let weight = (slots * tokens_per_second.max(f64::MIN_POSITIVE)).log2().round().exp2();
    -weight / unit(key, candidate.seat).ln()
}

/// A number between 0 and 1, neither of them, that key and seat decide.
fn unit(key: u64, seat: u64) -> f64 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&key.to_le_bytes());
    bytes[8..].copy_from_slice(&seat.to_le_bytes());
    // The 53 bits that a float holds exactly, and half a step, so that neither end is met.
    ((XxHash3_64::oneshot(&bytes) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

/// Whether so many at work are too many, where `total` are at work at `places` like it: consistent hashing with bounded
/// loads (Mirrokni, Thorup, Zadimoghaddam, 2016). One more than nobody is never too many: news of it may well be old.
pub(super) fn is_over(at_work: u32, total: u32, places: usize) -> bool {
    let mean = (f64::from(total) + 1.0) / places.max(1) as f64;
    f64::from(at_work) + 1.0 > (MOST_OVER_MEAN * mean).ceil().max(2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Load, Zone};
    use crate::route::testing::candidate;

    fn place(name: &str, slots: u32, speed: f64) -> (Candidate, f64) {
        let load = Load { concurrency: Some(slots), ..Load::default() };
        (Candidate { load, seat: seat(None, name), ..candidate(name, Zone::Restricted, 1) }, speed)
    }

    fn first(key: u64, places: &[(Candidate, f64)]) -> usize {
        let of = |at: &usize| wanted(key, &places[*at].0, places[*at].1);
        (0..places.len()).max_by(|a, b| of(a).total_cmp(&of(b))).expect("somebody")
    }

    #[test]
    fn whoever_leaves_moves_its_own_keys_only() {
        let all: Vec<_> = (0..5).map(|number| place(&format!("b{number}"), 2, 30.0)).collect();
        let (mut moved, keys) = (0, 10_000);
        let mut counts = [0; 5];
        for key in 0..keys {
            let before = first(key, &all);
            counts[before] += 1;
            let after = first(key, &all[..4]);
            assert!(before == 4 || before == after, "a key moved that need not");
            moved += usize::from(before != after);
        }
        assert!(moved as f64 <= keys as f64 * (0.2 + 0.02), "{moved}");
        assert!(counts.iter().all(|count| (1_800..2_200).contains(count)), "{counts:?}");
    }

    #[test]
    fn shares_follow_the_weights_and_small_differences_change_nothing() {
        let places = [place("slow", 1, 30.0), place("fast", 4, 30.0)];
        let nearly = [place("slow", 1, 28.0), place("fast", 4, 33.0)];
        let slow = (0..10_000).filter(|key| first(*key, &places) == 0).count();
        assert!((1_800..2_200).contains(&slow), "{slow}");
        assert!((0..10_000).all(|key| first(key, &places) == first(key, &nearly)));
    }

    #[test]
    fn nobody_has_much_more_than_the_others() {
        assert!(!is_over(0, 0, 4));
        assert!(!is_over(1, 1, 4), "the one that is there may have ended");
        assert!(!is_over(1, 4, 4), "2 of 5 at 4 places: 1.25 x 1.25, rounded up");
        assert!(is_over(2, 4, 4));
        assert!(!is_over(3, 3, 1), "there is no other");
    }
}

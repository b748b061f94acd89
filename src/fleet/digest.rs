//! What prompts a backend has read lately, as a small set of hashes: kept by its owner, gossiped as text, asked by every
//! entry. It knows nothing of what was hashed.

use std::collections::VecDeque;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

/// The most hashes that are kept for one backend: about 2.7 kB as text.
pub const MAX_HASHES: usize = 256;

const HASH_BYTES: usize = size_of::<u64>();

/// A small set of hashes. As text it is URL-safe base64 of eight bytes for each, little endian, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(Vec<u64>);

/// Text that is no digest.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDigest {
    /// It is not made of hashes.
    #[error("a digest is URL-safe base64 of eight bytes for each hash")]
    NotHashes,
    /// It is too long.
    #[error("a digest holds at most {MAX_HASHES} hashes")]
    TooMany,
}

impl Digest {
    /// The first [`MAX_HASHES`] of `hashes`.
    pub fn of(hashes: impl IntoIterator<Item = u64>) -> Self {
        let mut kept: Vec<u64> = hashes.into_iter().take(MAX_HASHES).collect();
        kept.sort_unstable();
        kept.dedup();
        Digest(kept)
    }

    /// Whether `hash` is in it.
    pub fn contains(&self, hash: u64) -> bool {
        self.0.binary_search(&hash).is_ok()
    }

    /// How many hashes it holds.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > BASE64URL_NOPAD.encode_len(MAX_HASHES * HASH_BYTES) {
            return Err(InvalidDigest::TooMany);
        }
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| InvalidDigest::NotHashes)?;
        let (hashes, rest) = bytes.as_chunks::<HASH_BYTES>();
        if !rest.is_empty() {
            return Err(InvalidDigest::NotHashes);
        }
        Ok(Digest::of(hashes.iter().map(|hash| u64::from_le_bytes(*hash))))
    }
}

impl TryFrom<String> for Digest {
    type Error = InvalidDigest;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        let bytes: Vec<u8> = digest.0.into_iter().flat_map(u64::to_le_bytes).collect();
        BASE64URL_NOPAD.encode(&bytes)
    }
}

/// The hashes that were used last, at most [`MAX_HASHES`]; of more, what was not used for longest goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recent(VecDeque<u64>);

impl Recent {
    /// These are used now; the first of them is the last to go.
    pub fn note(&mut self, hashes: &[u64]) {
        for hash in hashes.iter().take(MAX_HASHES).rev() {
            if let Some(place) = self.0.iter().position(|kept| kept == hash) {
                self.0.remove(place);
            }
            self.0.push_front(*hash);
        }
        self.0.truncate(MAX_HASHES);
    }

    /// What others are told.
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.iter().copied())
    }

    /// Forgets everything: what was read is gone, or not to be gone by.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_text_is_what_the_format_says() {
        let digest = Digest::of([0x0807_0605_0403_0201, 0]);
        assert_eq!(String::from(digest.clone()), "AAAAAAAAAAABAgMEBQYHCA");
        assert_eq!("AAAAAAAAAAABAgMEBQYHCA".parse(), Ok(digest.clone()));
        assert_eq!(serde_json::to_string(&digest).expect("JSON"), "\"AAAAAAAAAAABAgMEBQYHCA\"");
        assert_eq!("".parse(), Ok(Digest::default()));
        let backwards: Digest = "AQIDBAUGBwgAAAAAAAAAAA".parse().expect("any order");
        assert!(backwards.contains(0) && backwards.contains(0x0807_0605_0403_0201) && !backwards.contains(1));
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        for text in
            ["A", "AAAA", "AAAAAAAAAAAA", "AAAAAAAAAAA=", "AAAAAAAAAAB", "AAAAAAAAAA+", "AAAA AAAAAAA", "ÄÄÄÄÄÄ"]
        {
            assert_eq!(text.parse::<Digest>(), Err(InvalidDigest::NotHashes), "{text}");
        }
        let full = String::from(Digest::of(0..MAX_HASHES as u64));
        assert_eq!(full.parse::<Digest>().map(|digest| digest.len()), Ok(MAX_HASHES));
        assert_eq!(format!("{full}AAAAAAAAAAA").parse::<Digest>(), Err(InvalidDigest::TooMany));
        assert_eq!("A".repeat(1 << 20).parse::<Digest>(), Err(InvalidDigest::TooMany));
        assert!(serde_json::from_str::<Digest>("[1,2]").is_err());
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let mut recent = Recent::default();
        recent.note(&(0..MAX_HASHES as u64).collect::<Vec<_>>());
        recent.note(&[1000, 255]);
        let digest = recent.digest();
        assert_eq!(digest.len(), MAX_HASHES);
        assert!(digest.contains(1000) && digest.contains(255), "255 was the oldest and is used again");
        assert!(!digest.contains(254), "then this one was");
        recent.clear();
        assert!(recent.digest().is_empty());
    }

    #[test]
    fn more_than_fit_are_noted_by_their_order() {
        let mut recent = Recent::default();
        recent.note(&(0..1000).collect::<Vec<_>>());
        assert_eq!(recent.digest(), Digest::of(0..MAX_HASHES as u64));
    }

    proptest! {
        #[test]
        fn any_set_comes_back_from_its_text(hashes in proptest::collection::vec(any::<u64>(), 0..300)) {
            let digest = Digest::of(hashes.iter().copied());
            prop_assert!(digest.len() <= MAX_HASHES);
            prop_assert!(hashes.iter().take(MAX_HASHES).all(|hash| digest.contains(*hash)));
            prop_assert_eq!(String::from(digest.clone()).parse(), Ok(digest));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[A-Za-z0-9_=-]{0,40}|\\PC{0,40}") {
            let _ = text.parse::<Digest>();
        }

        #[test]
        fn recent_holds_each_hash_once_and_never_too_many(notes in proptest::collection::vec(proptest::collection::vec(0_u64..600, 0..40), 0..40)) {
            let mut recent = Recent::default();
            for note in &notes {
                recent.note(note);
                prop_assert!(recent.0.len() <= MAX_HASHES);
                prop_assert_eq!(recent.digest().len(), recent.0.len());
                prop_assert!(note.iter().all(|hash| recent.0.contains(hash)));
            }
        }
    }
}

//! The hash that prompts are known by. Peers compare its values, so it never changes without [`VERSION`]: XXH3 with its
//! own secret, words as little-endian bytes.

use twox_hash::XxHash3_64;

/// Which canonical text and which chain this is. Peers of different versions find nothing of each other's, rather than
/// the wrong thing: it is counted up with every change of what is hashed and how.
pub(super) const VERSION: u64 = 1;

/// What a hash is of, so that things of different kinds never look alike.
#[derive(Clone, Copy)]
pub(in crate::dialect) enum Tag {
    Chain = 1,
    Session = 2,
    Speaker = 3,
    Calls = 4,
    Media = 5,
    Tool = 6,
    Tools = 7,
    Null = 16,
    Bool = 17,
    Number = 18,
    String = 19,
    Array = 20,
    Object = 21,
    Field = 22,
}

/// The hash of a text.
pub(in crate::dialect) fn hash(bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot(bytes)
}

/// The hash of what is hashed already.
pub(in crate::dialect) fn mix<const WORDS: usize>(tag: Tag, words: [u64; WORDS]) -> u64 {
    let mut bytes = [[0; 8]; 8];
    bytes[0] = (tag as u64).to_le_bytes();
    for (to, word) in bytes[1..].iter_mut().zip(words) {
        *to = word.to_le_bytes();
    }
    hash(bytes[..=WORDS].as_flattened())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_every_other_implementation() {
        assert_eq!(hash(b""), 0x2d06_8005_38d3_94c2, "as in the reference implementation's own checks");
    }

    #[test]
    fn tags_tell_things_apart() {
        assert_ne!(mix(Tag::Null, [1]), mix(Tag::Bool, [1]));
        assert_ne!(mix(Tag::Null, [1]), mix(Tag::Null, [1, 0]));
        assert_ne!(mix(Tag::Null, [1, 2]), mix(Tag::Null, [2, 1]));
    }
}

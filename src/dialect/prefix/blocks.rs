//! Cutting canonical text into blocks of 1 KiB, each hashed on its own, so that it does not matter how the text came: in
//! one piece or in many, before or after what stands in front of it in a prompt.

use super::hash::{Tag, hash, mix};

/// Bytes of text in a block.
pub(super) const BLOCK: usize = 1024;

/// What a picture or a sound counts for, in bytes of text: about a thousand tokens, as most models make of one.
const MEDIA_BYTES: u64 = 4096;

/// A stretch of canonical text that is hashed as one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::dialect) struct Block {
    pub(in crate::dialect) hash: u64,
    /// Bytes of canonical text.
    pub(in crate::dialect) bytes: u64,
}

/// The blocks of a text that comes bit by bit.
#[derive(Default)]
pub(in crate::dialect) struct Blocks {
    whole: Vec<Block>,
    /// Text that fills no block yet.
    rest: Vec<u8>,
}

impl Blocks {
    /// The next of the text.
    pub(in crate::dialect) fn push(&mut self, mut text: &[u8]) {
        if !self.rest.is_empty() {
            let (missing, beyond) = text.split_at(text.len().min(BLOCK - self.rest.len()));
            self.rest.extend_from_slice(missing);
            text = beyond;
            if self.rest.len() == BLOCK {
                self.end();
            }
        }
        let (blocks, rest) = text.as_chunks::<BLOCK>();
        self.whole.extend(blocks.iter().map(|block| block_of(block)));
        self.rest.extend_from_slice(rest);
    }

    /// Something that is no text, known by `hash`.
    pub(super) fn media(&mut self, hash: u64) {
        self.end();
        self.whole.push(Block { hash: mix(Tag::Media, [hash]), bytes: MEDIA_BYTES });
    }

    /// Something that was hashed already.
    pub(super) fn value(&mut self, block: Block) {
        self.end();
        self.whole.push(block);
    }

    /// The text ends here; what comes next is another.
    pub(super) fn end(&mut self) {
        if !self.rest.is_empty() {
            self.whole.push(block_of(&self.rest));
            self.rest.clear();
        }
    }

    /// How many blocks have ended.
    pub(super) fn len(&self) -> usize {
        self.whole.len()
    }

    /// Forgets what came after the first `len` blocks.
    pub(super) fn truncate(&mut self, len: usize) {
        self.whole.truncate(len);
        self.rest.clear();
    }

    /// All of them, in order.
    pub(super) fn all(&self) -> &[Block] {
        &self.whole
    }
}

fn block_of(text: &[u8]) -> Block {
    Block { hash: hash(text), bytes: text.len() as u64 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(pieces: &[&[u8]]) -> Vec<Block> {
        let mut blocks = Blocks::default();
        pieces.iter().for_each(|piece| blocks.push(piece));
        blocks.end();
        blocks.all().to_vec()
    }

    #[test]
    fn a_block_is_full_or_the_last() {
        let lengths = |len: usize| cut(&[&vec![b'a'; len]]).iter().map(|block| block.bytes).collect::<Vec<_>>();
        assert_eq!(lengths(0), [] as [u64; 0]);
        assert_eq!(lengths(1), [1]);
        assert_eq!(lengths(BLOCK), [1024]);
        assert_eq!(lengths(2 * BLOCK + 3), [1024, 1024, 3]);
    }

    #[test]
    fn a_picture_ends_the_text_before_it() {
        let mut blocks = Blocks::default();
        blocks.push(b"see");
        blocks.media(7);
        blocks.push(b"that");
        blocks.end();
        let bytes: Vec<u64> = blocks.all().iter().map(|block| block.bytes).collect();
        assert_eq!(bytes, [3, MEDIA_BYTES, 4]);
    }

    proptest! {
        #[test]
        fn how_the_text_came_does_not_matter(text in proptest::collection::vec(any::<u8>(), 0..5000), cuts in proptest::collection::vec(0_usize..5000, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            prop_assert_eq!(cut(&pieces), cut(&[&text]));
        }
    }
}

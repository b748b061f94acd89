//! Words: what a prompt counts for and what is answered to it. One word is one token, and the same prompt always gets
//! the same words.

/// What the replies are made of; nothing here needs escaping in JSON.
const WORDS: [&str; 64] = [
    "amber", "anchor", "apple", "arrow", "autumn", "basin", "birch", "bright", "bridge", "candle", "canyon", "cedar",
    "circle", "cloud", "copper", "coral", "dawn", "delta", "ember", "falcon", "feather", "field", "forest", "garden",
    "glass", "granite", "harbor", "hazel", "hollow", "island", "ivory", "jasper", "kettle", "lantern", "lilac",
    "maple", "marble", "meadow", "mirror", "morning", "north", "ocean", "olive", "orchard", "pebble", "pine", "quartz",
    "quiet", "rain", "raven", "river", "saddle", "silver", "sparrow", "spring", "stone", "summer", "thistle", "timber",
    "valley", "velvet", "willow", "winter", "yonder",
];

/// What is kept of a prompt: how long it is and what its answer hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Prompt {
    /// Tokens: words between ASCII white space, or the numbers of a prompt that is already tokens.
    pub(super) tokens: u64,
    /// Stands for everything that was said.
    pub(super) digest: u64,
}

/// Reads a prompt piece by piece.
#[derive(Default)]
pub(super) struct Reader {
    hasher: blake3::Hasher,
    tokens: u64,
}

impl Reader {
    /// A word of structure, such as a role: it changes the answer and counts for nothing.
    pub(super) fn mark(&mut self, mark: &str) {
        self.hasher.update(&[0xff]).update(mark.as_bytes()).update(&[0xff]);
    }

    /// A piece of text.
    pub(super) fn text(&mut self, text: &str) {
        self.hasher.update(text.as_bytes());
        self.tokens += count(text);
    }

    /// A prompt that comes as numbers.
    pub(super) fn numbers(&mut self, numbers: &[u32]) {
        for number in numbers {
            self.hasher.update(&number.to_le_bytes());
        }
        self.tokens += numbers.len() as u64;
    }

    pub(super) fn done(self) -> Prompt {
        let bytes = *self.hasher.finalize().as_bytes();
        let digest = u64::from_le_bytes(*bytes.first_chunk().expect("a digest has 32 bytes"));
        Prompt { tokens: self.tokens, digest }
    }
}

impl Prompt {
    /// A single text.
    pub(super) fn of(text: &str) -> Self {
        let mut reader = Reader::default();
        reader.text(text);
        reader.done()
    }

    /// The `index`-th word of the answer.
    pub(super) fn word(&self, index: u64) -> &'static str {
        WORDS[(self.number(index) % WORDS.len() as u64) as usize]
    }

    /// The `index`-th of the numbers that this prompt leads to (SplitMix64).
    pub(super) fn number(&self, index: u64) -> u64 {
        let mut mixed = self.digest.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn count(text: &str) -> u64 {
    let mut between = true;
    let mut words = 0;
    for byte in text.bytes() {
        let space = byte.is_ascii_whitespace();
        words += u64::from(between && !space);
        between = space;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_between_white_space() {
        for (text, words) in [("", 0), ("  \n", 0), ("one", 1), (" one  two\tthree\n", 3), ("é à", 2)] {
            assert_eq!(Prompt::of(text).tokens, words, "{text:?}");
        }
    }

    #[test]
    fn the_same_prompt_gets_the_same_words_and_another_gets_others() {
        let said = |text: &str| (0..8).map(|index| Prompt::of(text).word(index)).collect::<Vec<_>>();
        assert_eq!(said("hello"), said("hello"));
        assert_ne!(said("hello"), said("hello there"));
    }

    #[test]
    fn no_word_needs_escaping_or_counts_for_more_than_one_token() {
        for word in WORDS {
            assert!(word.bytes().all(|byte| byte.is_ascii_lowercase()), "{word}");
        }
    }
}

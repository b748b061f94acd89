//! What the beginning of a prompt is known by: a chain of hashes, each of which commits to all that stands before it, so
//! that peers can tell how much of a prompt a backend has read without showing it to each other. Plain data; the chain is
//! made where bodies are read, and what follows from it is for routing to say.

/// The most that is remembered of one request.
pub const MAX_LANDMARKS: usize = 16;

/// How many messages' ends are among it, from the last backwards.
const LATEST: usize = 6;

/// The beginning of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// What a place is chosen by: the same over all turns of a conversation, another for the next conversation even
    /// where both begin alike.
    pub key: u64,
    /// The client named the conversation, and the key is the hash of that name.
    pub explicit: bool,
    /// The chain over the canonical text, shortest first.
    pub marks: Vec<Mark>,
}

/// A point in the canonical text of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Commits to all that stands before.
    pub hash: u64,
    /// How much that is, in bytes of canonical text.
    pub bytes: u64,
    /// What ends here.
    pub kind: Piece,
}

/// What ends at a [`Mark`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A block of about 1 KiB; the piece that it is part of goes on.
    Block,
    /// The tools.
    Tools,
    /// A system or developer message before the first other one.
    System,
    /// Any other message.
    Message,
    /// A raw prompt.
    Prompt,
}

impl Prefix {
    /// How long the whole prompt is, in bytes of canonical text.
    pub fn bytes(&self) -> u64 {
        self.marks.last().map_or(0, |mark| mark.bytes)
    }

    /// How much of it a backend has that holds certain landmarks, in bytes of canonical text. A mark commits to what is
    /// before it, so the longest one that is held is enough.
    ///
    /// A session that is held while nothing of its text is was rewritten, or its name is shared by many: all that can be
    /// presumed then is what stands before the first message.
    pub fn held(&self, holds: impl Fn(u64) -> bool) -> u64 {
        if let Some(mark) = self.marks.iter().rev().find(|mark| holds(mark.hash)) {
            return mark.bytes;
        }
        if self.explicit && holds(self.key) { self.preamble() } else { 0 }
    }

    /// Whether a backend that holds certain landmarks has had this conversation, and not only one that begins with the same
    /// tools and system text.
    pub fn is_known(&self, holds: impl Fn(u64) -> bool) -> bool {
        if self.explicit {
            return holds(self.key);
        }
        let is_opening = |mark: &&Mark| matches!(mark.kind, Piece::Message | Piece::Prompt);
        let opening = self.marks.iter().find(is_opening).map_or(u64::MAX, |mark| mark.bytes);
        self.marks.iter().rev().take_while(|mark| mark.bytes >= opening).any(|mark| holds(mark.hash))
    }

    /// Where tools and system text end; of a prompt without them, the first mark.
    fn preamble(&self) -> u64 {
        let is_preamble = |mark: &&Mark| matches!(mark.kind, Piece::Tools | Piece::System);
        let end = self.marks.iter().rev().find(is_preamble).or(self.marks.first());
        end.map_or(0, |mark| mark.bytes)
    }

    /// What the owner of a backend remembers of a request that was served, longest first: enough for the next turn, an
    /// answer made anew, a fork some messages back and another conversation that begins alike to find what they share.
    /// The name of a session goes before all.
    pub fn landmarks(&self) -> Vec<u64> {
        let room = MAX_LANDMARKS - usize::from(self.explicit);
        let mut chosen: Vec<usize> =
            self.ends(|kind| matches!(kind, Piece::Message | Piece::Prompt)).take(LATEST).collect();
        let first = self.marks.iter().position(|mark| mark.kind == Piece::Message);
        chosen.extend(first.filter(|first| chosen.last().is_some_and(|last| first < last)));
        chosen.extend(self.ends(|kind| kind == Piece::System).take(1));
        chosen.extend(self.ends(|kind| kind == Piece::Tools).take(1));
        chosen.extend(self.cuts().into_iter().take(room - chosen.len()));
        chosen.sort_unstable_by(|one, other| other.cmp(one));
        let named = self.explicit.then_some(self.key);
        named.into_iter().chain(chosen.into_iter().map(|index| self.marks[index].hash)).collect()
    }

    /// The marks of these kinds, last first.
    fn ends(&self, wanted: impl Fn(Piece) -> bool) -> impl Iterator<Item = usize> {
        (0..self.marks.len()).rev().filter(move |&index| wanted(self.marks[index].kind))
    }

    /// Places inside the longest piece that a conversation opens with, the most useful first: there a prompt parts from
    /// others that begin alike. The last two, then those at powers of two, the longest first.
    fn cuts(&self) -> Vec<usize> {
        let (first, last) = self.longest_opening();
        let blocks = last - first;
        let latest = (1..=blocks.min(2)).map(|back| last - back);
        let powers = (0..usize::BITS).rev().map(|bit| 1_usize << bit).filter(|&power| power + 2 <= blocks);
        latest.chain(powers.map(|power| first + power - 1)).collect()
    }

    /// First and last mark of the longest piece up to the first message.
    fn longest_opening(&self) -> (usize, usize) {
        let (mut longest, mut first) = ((0, 0), 0);
        for (index, mark) in self.marks.iter().enumerate() {
            if mark.kind == Piece::Block {
                continue;
            }
            if index - first > longest.1 - longest.0 {
                longest = (first, index);
            }
            if matches!(mark.kind, Piece::Message | Piece::Prompt) {
                break;
            }
            first = index + 1;
        }
        longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Marks of these kinds, 1 KiB each, hashed by their place.
    fn prefix(kinds: &[Piece]) -> Prefix {
        let mark = |(index, kind): (usize, &Piece)| Mark {
            hash: index as u64 + 1,
            bytes: (index as u64 + 1) * 1024,
            kind: *kind,
        };
        Prefix { key: 1000, explicit: false, marks: kinds.iter().enumerate().map(mark).collect() }
    }

    fn chat(blocks: usize, messages: usize) -> Prefix {
        let mut kinds = vec![Piece::Tools];
        kinds.extend(vec![Piece::Block; blocks]);
        kinds.push(Piece::System);
        kinds.extend(vec![Piece::Message; messages]);
        prefix(&kinds)
    }

    #[test]
    fn the_longest_mark_that_is_held_counts() {
        let chat = chat(2, 3);
        assert_eq!(chat.held(|_| false), 0);
        assert_eq!(chat.held(|hash| hash == 1), 1024, "tools alone");
        assert_eq!(chat.held(|hash| hash == 6), 6 * 1024, "what is before it need not be held by itself");
        assert_eq!(chat.held(|_| true), chat.bytes());
        assert_eq!(prefix(&[]).held(|_| true), 0);
    }

    #[test]
    fn a_session_without_its_text_vouches_for_tools_and_system_text_only() {
        let named = |prefix: Prefix| Prefix { explicit: true, ..prefix };
        let only_the_name = |hash| hash == 1000;
        assert_eq!(named(chat(2, 3)).held(only_the_name), 4 * 1024);
        assert_eq!(named(chat(2, 3)).held(|hash| hash == 1000 || hash == 6), 6 * 1024, "the text tells more");
        assert_eq!(named(prefix(&[Piece::Message; 5])).held(only_the_name), 1024);
        assert_eq!(named(prefix(&[])).held(only_the_name), 0);
        assert_eq!(chat(2, 3).held(only_the_name), 0, "nobody named it");
    }

    #[test]
    fn a_conversation_is_known_by_its_messages_or_by_its_name() {
        let chat = chat(2, 3);
        assert!(!chat.is_known(|hash| hash <= 4), "tools and system text are everybody's");
        assert!(chat.is_known(|hash| hash == 5) && chat.is_known(|hash| hash == 7));
        let named = Prefix { explicit: true, ..chat };
        assert!(named.is_known(|hash| hash == 1000) && !named.is_known(|hash| hash < 1000));
        assert!(!prefix(&[]).is_known(|_| true));
    }

    #[test]
    fn what_is_remembered_of_a_chat() {
        assert_eq!(chat(0, 1).landmarks(), [3, 2, 1]);
        assert_eq!(chat(0, 3).landmarks(), [5, 4, 3, 2, 1]);
        // Tools are 1, blocks of system text 2 to 21, its end 22, and messages 23 to 52.
        assert_eq!(chat(20, 30).landmarks(), [52, 51, 50, 49, 48, 47, 23, 22, 21, 20, 17, 9, 5, 3, 2, 1]);
        let named = Prefix { explicit: true, ..chat(200, 30) }.landmarks();
        assert_eq!(named.len(), MAX_LANDMARKS);
        assert_eq!(named[0], 1000, "the name goes first");
    }

    #[test]
    fn what_is_remembered_of_a_raw_prompt() {
        let raw = |blocks: usize| prefix(&[vec![Piece::Block; blocks], vec![Piece::Prompt]].concat()).landmarks();
        assert_eq!(raw(0), [1]);
        assert_eq!(raw(1), [2, 1]);
        assert_eq!(raw(2), [3, 2, 1]);
        assert_eq!(raw(3), [4, 3, 2, 1]);
        assert_eq!(raw(100), [101, 100, 99, 64, 32, 16, 8, 4, 2, 1]);
        assert_eq!(raw(1 << 20).len(), MAX_LANDMARKS);
        assert!(prefix(&[]).landmarks().is_empty());
    }

    #[test]
    fn the_longest_piece_that_a_conversation_opens_with_is_the_one_that_is_cut() {
        use Piece::{Block, Message, System};
        let document = prefix(&[System, Block, Block, Block, Message, Block, Block, Block, Block, Block, Message]);
        assert_eq!(document.landmarks(), [11, 5, 4, 3, 2, 1], "not what comes later");
    }

    #[test]
    fn each_turn_finds_the_one_before() {
        for turn in 1..40 {
            let (before, now) = (chat(5, turn), chat(5, turn + 2));
            let remembered = before.landmarks();
            assert_eq!(now.held(|hash| remembered.contains(&hash)), before.bytes());
        }
    }
}

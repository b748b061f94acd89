//! Chaining what was hashed on its own: tools, system text, messages, in the order in which models read them and not in
//! that of the fields of a body.

use std::ops::Range;

use super::blocks::{Block, Blocks};
use super::hash::{Tag, VERSION, mix};
use super::volatile::sift;
use crate::fleet::{Mark, Piece, Prefix};

/// How many blocks of the first user message count for the key. Long ones begin with what many conversations share, and
/// hold the same for as long as this one lasts.
const KEY_BLOCKS: usize = 4;

/// The messages of a chat as they are read.
#[derive(Default)]
pub(in crate::dialect) struct Transcript {
    blocks: Blocks,
    messages: Vec<Message>,
    /// Something volatile was left out of this message.
    is_sifted: bool,
    /// There is nothing but white space in it.
    is_blank: bool,
}

struct Message {
    speaker: Speaker,
    /// Its content.
    blocks: Range<usize>,
    calls: Option<Block>,
}

/// Who speaks, and to what: all of a message but its content and its calls.
#[derive(Clone, Copy)]
pub(in crate::dialect) struct Speaker {
    pub(in crate::dialect) role: Role,
    pub(in crate::dialect) head: Block,
}

/// The roles that mean something here.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::dialect) enum Role {
    /// `system` or `developer`.
    System,
    User,
    #[default]
    Another,
}

impl Transcript {
    /// The content of a message begins. If it has begun already, what came of it is void.
    pub(in crate::dialect) fn begin(&mut self) {
        self.blocks.truncate(self.start());
        (self.is_sifted, self.is_blank) = (false, true);
    }

    /// The next text of the content.
    pub(in crate::dialect) fn text(&mut self, text: &str) {
        let (blocks, is_blank) = (&mut self.blocks, &mut self.is_blank);
        self.is_sifted |= sift(text, |kept| {
            *is_blank = *is_blank && kept.trim_ascii().is_empty();
            blocks.push(kept.as_bytes());
        });
    }

    /// A picture or a sound in the content, known by `hash`.
    pub(in crate::dialect) fn media(&mut self, hash: u64) {
        self.is_blank = false;
        self.blocks.media(hash);
    }

    /// Something in the content that is said in another way than as text.
    pub(in crate::dialect) fn value(&mut self, block: Block) {
        self.is_blank = false;
        self.blocks.value(block);
    }

    /// The message ends. One that held nothing but what is volatile was never there.
    pub(in crate::dialect) fn end(&mut self, speaker: Speaker, calls: Option<Block>) {
        if self.is_sifted && self.is_blank && calls.is_none() {
            self.begin();
            return;
        }
        let start = self.start();
        self.blocks.end();
        self.messages.push(Message { speaker, blocks: start..self.blocks.len(), calls });
    }

    /// Where the content of the message begins that is being read.
    fn start(&self) -> usize {
        self.messages.last().map_or(0, |message| message.blocks.end)
    }

    /// The chain over tools, the instructions that stand apart, and the messages.
    pub(in crate::dialect) fn chain(&self, tools: Option<Block>, apart: Option<&Transcript>) -> Option<Prefix> {
        let mut chain = Chain::default();
        if let Some(tools) = tools {
            chain.link(tools);
            chain.end(Piece::Tools);
        }
        let apart = apart.into_iter().flat_map(|apart| apart.messages.iter().map(move |message| (apart, message)));
        let mut is_preamble = true;
        for (transcript, message) in apart.chain(self.messages.iter().map(|message| (self, message))) {
            is_preamble &= message.speaker.role == Role::System;
            transcript.link(message, &mut chain);
            chain.end(if is_preamble { Piece::System } else { Piece::Message });
            if message.speaker.role == Role::User {
                chain.key_here();
            }
        }
        chain.prefix()
    }

    fn link(&self, message: &Message, chain: &mut Chain) {
        chain.link(message.speaker.head);
        for (index, block) in self.blocks.all()[message.blocks.clone()].iter().enumerate() {
            chain.block(*block);
            if message.speaker.role == Role::User && index + 1 == KEY_BLOCKS {
                chain.key_here();
            }
        }
        if let Some(calls) = message.calls {
            chain.link(calls);
        }
    }
}

/// The chain over a raw prompt. It may grow from turn to turn, so its key is that of whole blocks, and changes seldom.
pub(in crate::dialect) fn of_prompt(mut blocks: Blocks) -> Option<Prefix> {
    let whole = blocks.len();
    blocks.end();
    let count = if whole == 0 { blocks.len() } else { 1 << whole.min(KEY_BLOCKS).ilog2() };
    let mut chain = Chain::default();
    for (index, block) in blocks.all().iter().enumerate() {
        chain.block(*block);
        if index + 1 == count {
            chain.key_here();
        }
    }
    if blocks.len() > 0 {
        chain.end(Piece::Prompt);
    }
    chain.prefix()
}

struct Chain {
    hash: u64,
    bytes: u64,
    marks: Vec<Mark>,
    key: Option<u64>,
}

impl Default for Chain {
    fn default() -> Self {
        Chain { hash: mix(Tag::Chain, [VERSION]), bytes: 0, marks: Vec::new(), key: None }
    }
}

impl Chain {
    fn link(&mut self, block: Block) {
        self.hash = mix(Tag::Chain, [self.hash, block.hash, block.bytes]);
        self.bytes = self.bytes.saturating_add(block.bytes);
    }

    fn block(&mut self, block: Block) {
        self.link(block);
        self.mark(Piece::Block);
    }

    /// A piece ends: with its last block, or with what came after that.
    fn end(&mut self, kind: Piece) {
        match self.marks.last_mut() {
            Some(last) if last.hash == self.hash => last.kind = kind,
            _ => self.mark(kind),
        }
    }

    fn mark(&mut self, kind: Piece) {
        self.marks.push(Mark { hash: self.hash, bytes: self.bytes, kind });
    }

    /// Where the key is not known yet, it is what is known by now.
    fn key_here(&mut self) {
        self.key.get_or_insert(self.hash);
    }

    fn prefix(self) -> Option<Prefix> {
        let last = self.marks.last()?.hash;
        Some(Prefix { key: self.key.unwrap_or(last), explicit: false, marks: self.marks })
    }
}

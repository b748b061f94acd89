//! What completions and embeddings are made of: how many inputs, how much text in the longest, and what the first is
//! known by.

use serde::de::{IgnoredAny, SeqAccess};

use super::glance::{Read, Reader, Shape};
use crate::dialect::prefix::Blocks;

/// How much a token that is given as a number counts for, in bytes of text.
const TOKEN_BYTES: u64 = 4;

/// `prompt` or `input`: a string, an array of strings, an array of tokens, or an array of such arrays.
pub(super) struct Prompt {
    pub(super) shape: Shape,
    /// How many inputs it holds. Tokens side by side are one.
    pub(super) inputs: u64,
    /// Bytes of the longest of them: each is read on its own, so together they need not fit into one context.
    pub(super) bytes: u64,
    /// The text of the first, if it is asked for.
    pub(super) blocks: Option<Blocks>,
}

impl Prompt {
    pub(super) fn new(for_prefix: bool) -> Self {
        Prompt { shape: Shape::Null, inputs: 1, bytes: 0, blocks: for_prefix.then(Blocks::default) }
    }
}

impl Reader for Prompt {
    fn shape(&mut self, shape: Shape) {
        self.shape = shape;
    }

    fn text(&mut self, text: &str) {
        self.shape = Shape::String;
        (self.inputs, self.bytes) = (u64::from(!text.is_empty()), text.len() as u64);
        if let Some(blocks) = &mut self.blocks {
            blocks.push(text.as_bytes());
        }
    }

    fn array<'de, A: SeqAccess<'de>>(&mut self, mut items: A) -> Result<(), A::Error> {
        (self.shape, self.inputs) = (Shape::Array, 0);
        let (mut any_token, mut only_tokens) = (false, true);
        let mut sum = 0_u64;
        loop {
            let is_of_first = self.inputs == 0 || only_tokens;
            let mut item = Item { token: false, bytes: 0, blocks: self.blocks.as_mut().filter(|_| is_of_first) };
            if items.next_element_seed(Read(&mut item))?.is_none() {
                break;
            }
            any_token |= item.token;
            only_tokens &= item.token;
            sum = sum.saturating_add(item.bytes);
            self.bytes = self.bytes.max(item.bytes);
            self.inputs += 1;
        }
        if any_token {
            (self.inputs, self.bytes) = (1, sum);
        }
        Ok(())
    }
}

/// An entry of a `prompt` or `input` array: a string, a token, or an array of tokens.
struct Item<'b> {
    token: bool,
    bytes: u64,
    blocks: Option<&'b mut Blocks>,
}

impl Reader for Item<'_> {
    fn shape(&mut self, shape: Shape) {
        if let Shape::Number(number) = shape {
            (self.token, self.bytes) = (true, TOKEN_BYTES);
            if let Some(blocks) = &mut self.blocks {
                blocks.push(&(number as u32).to_le_bytes());
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes = text.len() as u64;
        if let Some(blocks) = &mut self.blocks {
            blocks.push(text.as_bytes());
        }
    }

    fn array<'de, A: SeqAccess<'de>>(&mut self, mut items: A) -> Result<(), A::Error> {
        while self.next(&mut items)? {
            self.bytes = self.bytes.saturating_add(TOKEN_BYTES);
        }
        Ok(())
    }
}

impl Item<'_> {
    /// Passes one entry of an array of tokens, if there is another.
    fn next<'de, A: SeqAccess<'de>>(&mut self, items: &mut A) -> Result<bool, A::Error> {
        match self.blocks.as_deref_mut() {
            Some(blocks) => Ok(items.next_element_seed(Read(&mut Token(blocks)))?.is_some()),
            None => Ok(items.next_element::<IgnoredAny>()?.is_some()),
        }
    }
}

struct Token<'b>(&'b mut Blocks);

impl Reader for Token<'_> {
    fn shape(&mut self, shape: Shape) {
        if let Shape::Number(number) = shape {
            self.0.push(&(number as u32).to_le_bytes());
        }
    }
}

//! What a backend still holds of the prompts it has read: whoever comes back with the same beginning need not have it read
//! again. A prefix cache of an engine, in messages instead of tokens.

use serde_json::Value;

/// The conversations that are held, the one used last at the end.
pub(super) struct Memory {
    most: usize,
    held: Vec<Vec<Value>>,
}

impl Memory {
    /// Room for so many conversations.
    pub(super) fn new(most: usize) -> Self {
        Memory { most, held: Vec::new() }
    }

    /// Tokens at the beginning of `messages` that are held.
    pub(super) fn recall(&self, messages: &[Value]) -> u64 {
        let common = |held: &Vec<Value>| held.iter().zip(messages).take_while(|(one, other)| one == other).count();
        let longest = self.held.iter().map(common).max().unwrap_or_default();
        tokens(&messages[..longest])
    }

    /// Holds a conversation, and drops of it what it goes on from, and what was not used for longest.
    pub(super) fn keep(&mut self, messages: Vec<Value>) {
        self.held.retain(|held| !messages.starts_with(held));
        self.held.push(messages);
        let over = self.held.len().saturating_sub(self.most);
        self.held.drain(..over);
    }
}

/// Four bytes of text to a token.
pub(super) fn tokens(messages: &[Value]) -> u64 {
    messages.iter().map(|message| message["content"].as_str().map_or(0, |text| text.len() as u64 / 4)).sum()
}

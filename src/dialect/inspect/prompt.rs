//! What completions and embeddings are made of: how many inputs, and how much text in the longest.

use serde::de::{IgnoredAny, SeqAccess};

use super::glance::{Glance, Seen, Shape};

/// How much a token that is given as a number counts for, in bytes of text.
const TOKEN_BYTES: u64 = 4;

/// `prompt` or `input`: a string, an array of strings, an array of tokens, or an array of such arrays.
pub(super) struct Prompt {
    pub(super) shape: Shape,
    /// How many inputs it holds. Tokens side by side are one.
    pub(super) inputs: u64,
    /// Bytes of the longest of them: each is read on its own, so together they need not fit into one context.
    pub(super) bytes: u64,
}

impl Glance for Prompt {
    fn of(shape: Shape) -> Self {
        Prompt { shape, inputs: 1, bytes: 0 }
    }

    fn text(text: &str) -> Self {
        Prompt { shape: Shape::String, inputs: u64::from(!text.is_empty()), bytes: text.len() as u64 }
    }

    fn array<'de, A: SeqAccess<'de>>(mut items: A) -> Result<Self, A::Error> {
        let mut all = Prompt { shape: Shape::Array, inputs: 0, bytes: 0 };
        let mut tokens = false;
        let mut sum = 0_u64;
        while let Some(Seen(item)) = items.next_element::<Seen<PromptItem>>()? {
            tokens |= item.token;
            sum = sum.saturating_add(item.bytes);
            all.inputs += 1;
            all.bytes = all.bytes.max(item.bytes);
        }
        Ok(if tokens { Prompt { inputs: 1, bytes: sum, ..all } } else { all })
    }
}

/// An entry of a `prompt` or `input` array: a string, a token, or an array of tokens.
struct PromptItem {
    token: bool,
    bytes: u64,
}

impl Glance for PromptItem {
    fn of(shape: Shape) -> Self {
        let token = matches!(shape, Shape::Number(_));
        PromptItem { token, bytes: if token { TOKEN_BYTES } else { 0 } }
    }

    fn text(text: &str) -> Self {
        PromptItem { token: false, bytes: text.len() as u64 }
    }

    fn array<'de, A: SeqAccess<'de>>(mut items: A) -> Result<Self, A::Error> {
        let mut bytes = 0_u64;
        while items.next_element::<IgnoredAny>()?.is_some() {
            bytes = bytes.saturating_add(TOKEN_BYTES);
        }
        Ok(PromptItem { token: false, bytes })
    }
}

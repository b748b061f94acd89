//! What the beginning of a prompt is known by, made so that every peer makes the same of the same: see
//! [`crate::fleet::Prefix`]. No tokenizer, and no byte of a body is changed; what is volatile in it is only passed over.

mod blocks;
mod chain;
mod hash;
#[cfg(test)]
mod tests;
mod volatile;

use http::HeaderMap;

pub(in crate::dialect) use self::blocks::{Block, Blocks};
pub(in crate::dialect) use self::chain::{Role, Speaker, Transcript, of_prompt};
pub(in crate::dialect) use self::hash::{Tag, hash, mix};
use super::Inspection;
use crate::fleet::Prefix;

/// Headers in which clients name a conversation, the first that is fit wins.
const SESSION_HEADERS: [&str; 2] = ["x-session-affinity", "x-claude-code-session-id"];

/// The longest name of a conversation, in bytes. What is longer is none.
const LONGEST_NAME: usize = 256;

/// Names of a conversation that stand in a body, as hashes: the names themselves are nobody's business.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// `prompt_cache_key`.
    pub cache_key: Option<u64>,
    /// `user`.
    pub user: Option<u64>,
}

/// What the prompt of a request begins with, under the name that its client gave the conversation, if it did: in a
/// header, in `prompt_cache_key`, or, with `by_user`, in `user`. `None` where there is nothing that a backend could have
/// read before.
pub fn prefix_of(asked: &Inspection, headers: &HeaderMap, by_user: bool) -> Option<Prefix> {
    let prefix = asked.prefix.clone()?;
    let in_headers = SESSION_HEADERS.iter().find_map(|name| session(headers.get(*name)?.as_bytes()));
    let user = asked.named.user.filter(|_| by_user);
    Some(match in_headers.or(asked.named.cache_key).or(user) {
        Some(key) => Prefix { key, explicit: true, ..prefix },
        None => prefix,
    })
}

/// The hash of the name of a conversation; `None` where it is unfit to be one.
pub(in crate::dialect) fn session(name: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(name).ok().filter(|text| text.len() <= LONGEST_NAME)?;
    let is_fit = !text.trim().is_empty() && !text.contains(char::is_control);
    is_fit.then(|| mix(Tag::Session, [hash::VERSION, hash(name)]))
}

//! What peers gossip: one key and one JSON value per fact, one file per kind of fact. Each peer writes only its own
//! keys, so there is nothing to merge. Fields of a later version are skipped; whole facts of a later version, and facts
//! that make no sense, are told apart here and dropped by the reader. The form is written down in `docs/gossip-facts.md`.

pub(super) mod backend;
pub(super) mod breaker;
pub(super) mod keys;
pub(super) mod ledger;
pub(super) mod load;
pub(super) mod model;
pub(super) mod pace;
pub(super) mod peer;
pub(super) mod sees;
pub(super) mod warm;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::fleet::{BackendAbout, Breaker, Digest, Load, Model, Pace, PeerId, Row};
use peer::PeerFact;

/// The version that is written. Readers take any that they can parse.
const VERSION: u32 = 1;

/// A value longer than this is neither written nor read. Gossip cannot carry more than 64 KB in one piece.
pub(super) const MAX_VALUE: usize = 16 * 1024;

/// A name or a model id longer than this is neither written nor read.
pub(super) const MAX_NAME: usize = 256;

/// Backends of one peer that are told and heard of.
pub(super) const MAX_BACKENDS: usize = 256;

/// Models of one backend that are told and heard of.
pub(super) const MAX_MODELS: usize = 2_000;

/// Breakers of one backend that are told and heard of. Of more it matters little which.
pub(super) const MAX_BREAKERS: usize = 64;

/// Any fact, as it was heard.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fact {
    /// Who a peer is.
    Peer(PeerFact),
    /// Which peers it hears of.
    Sees(Vec<PeerId>),
    /// Which clients' keys it knows, as a hash of them.
    Keys(Arc<str>),
    /// What one of its backends is and how it is.
    Backend(BackendAbout),
    /// A model that the named backend offers.
    Model(String, Model),
    /// How busy the named backend is.
    Load(String, Load),
    /// How fast the named backend serves the named model.
    Pace(String, String, Pace),
    /// What the named backend has read lately with the named model.
    Warm(String, String, Arc<Digest>),
    /// A breaker of the named backend that is not closed.
    Breaker(String, Breaker),
    /// Its ledger as a whole.
    Ledger(ledger::LedgerFact),
    /// What a holder of rights says of itself in one account.
    Row(Arc<Row>),
}

/// Why a fact is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    /// A kind of a later version.
    Unknown,
    /// Not the JSON it should be, or not about what its key says.
    Malformed,
    /// A name or a value beyond all reason.
    TooLong,
}

impl Dropped {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Dropped::Unknown => "unknown kind",
            Dropped::Malformed => "malformed",
            Dropped::TooLong => "too long",
        }
    }
}

/// Reads one key and its value.
pub(super) fn decode(key: &str, value: &str) -> Result<Fact, Dropped> {
    if value.len() > MAX_VALUE || key.len() > 4 * MAX_NAME {
        return Err(Dropped::TooLong);
    }
    let (kind, rest) = key.split_once('/').map_or((key, None), |(kind, rest)| (kind, Some(rest)));
    match (kind, rest) {
        (peer::KEY, None) => peer::decode(value).map(Fact::Peer),
        (ledger::KEY, None) => ledger::decode(value).map(Fact::Ledger),
        (ledger::ROW, Some(rest)) => ledger::decode_row(rest, value).map(|row| Fact::Row(Arc::new(row))),
        (sees::KEY, None) => sees::decode(value).map(Fact::Sees),
        (keys::KEY, None) => keys::decode(value).map(Fact::Keys),
        (backend::KIND, Some(rest)) => backend::decode(rest, value).map(Fact::Backend),
        (model::KIND, Some(rest)) => model::decode(rest, value).map(|(backend, model)| Fact::Model(backend, model)),
        (breaker::KIND, Some(rest)) => {
            breaker::decode(rest, value).map(|(backend, breaker)| Fact::Breaker(backend, breaker))
        }
        (load::KIND, Some(rest)) => load::decode(rest, value).map(|(backend, load)| Fact::Load(backend, load)),
        (pace::KIND, Some(rest)) => {
            pace::decode(rest, value).map(|(backend, model, pace)| Fact::Pace(backend, model, pace))
        }
        (warm::KIND, Some(rest)) => {
            warm::decode(rest, value).map(|(backend, model, digest)| Fact::Warm(backend, model, Arc::new(digest)))
        }
        _ => Err(Dropped::Unknown),
    }
}

#[derive(Serialize)]
struct Versioned<'a, T> {
    v: u32,
    #[serde(flatten)]
    fact: &'a T,
}

/// The value of a fact, or `None` where it would be too long to gossip.
fn write<T: Serialize>(fact: &T) -> Option<String> {
    let text = serde_json::to_string(&Versioned { v: VERSION, fact }).ok()?;
    (text.len() <= MAX_VALUE).then_some(text)
}

fn read<T: DeserializeOwned>(value: &str) -> Result<T, Dropped> {
    serde_json::from_str(value).map_err(|_| Dropped::Malformed)
}

/// A name that is fit for tables, logs and headers.
fn checked_name(name: &str) -> Result<(), Dropped> {
    match name {
        "" => Err(Dropped::Malformed),
        name if name.len() > MAX_NAME => Err(Dropped::TooLong),
        name if name.chars().any(char::is_control) => Err(Dropped::Malformed),
        _ => Ok(()),
    }
}

/// Backend and model of a key about both.
fn of_model(rest: &str) -> Result<(String, String), Dropped> {
    let (backend, model) = rest.split_once('/').ok_or(Dropped::Malformed)?;
    if backend.len() > 3 * MAX_NAME {
        return Err(Dropped::TooLong);
    }
    let backend = unescape(backend);
    checked_name(&backend)?;
    checked_name(model)?;
    Ok((backend, model.to_owned()))
}

/// A backend's name as one part of a key: `/` and `%` are written `%2f` and `%25`.
fn escape(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2f")
}

fn unescape(part: &str) -> String {
    part.replace("%2f", "/").replace("%25", "%")
}

/// A value without its floating tail: two significant digits.
fn two_digits(value: u64) -> u64 {
    let mut unit = 1;
    while value / unit >= 100 {
        unit *= 10;
    }
    value / unit * unit
}

/// A list that is read entry by entry: one that cannot be read is skipped, not the whole.
fn lenient<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: DeserializeOwned,
{
    let entries = Vec::<serde_json::Value>::deserialize(deserializer)?;
    Ok(entries.into_iter().filter_map(|entry| serde_json::from_value(entry).ok()).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn kinds_of_a_later_version_are_told_apart_from_nonsense() {
        assert_eq!(decode("budget", "{}"), Err(Dropped::Unknown));
        assert_eq!(decode("mood/gpu/llama", "{}"), Err(Dropped::Unknown));
        assert_eq!(decode("peer/extra", "{}"), Err(Dropped::Unknown));
        assert_eq!(decode("peer", "not json"), Err(Dropped::Malformed));
        assert_eq!(decode("sees", &format!("\"{}\"", "x".repeat(MAX_VALUE))), Err(Dropped::TooLong));
    }

    #[test]
    fn two_digits_stay() {
        for (value, rounded) in
            [(0, 0), (99, 99), (100, 100), (129, 120), (98_765, 98_000), (u64::MAX, 18 * 10u64.pow(18))]
        {
            assert_eq!(two_digits(value), rounded);
        }
    }

    proptest! {
        #[test]
        fn any_backend_name_is_one_part_of_a_key(name in ".*") {
            let part = escape(&name);
            prop_assert!(!part.contains('/'));
            prop_assert_eq!(unescape(&part), name);
        }

        #[test]
        fn nothing_that_is_heard_panics(key in ".*", kind in 0usize..8, value in ".*") {
            let kind = ["peer", "sees", "keys", "backend/", "model/", "load/", "pace/", "warm/"][kind];
            let _ = decode(&format!("{kind}{key}"), &value);
            let _ = decode(kind, &value);
        }
    }
}

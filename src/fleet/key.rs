//! A client's key as peers hand it each other: all that is known of it but the key itself, of which only a hash is kept.
//! Two accounts of one key merge into one, in whatever order they come. Who believes what is decided elsewhere.

use std::fmt;

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use serde::{Deserialize, Deserializer, Serialize};

use super::is_fit_name;

/// Globs of models that one key may name, and bytes of them together.
pub const KEY_GLOBS_LIMIT: usize = 64;
/// Bytes of all globs of one key.
pub const KEY_GLOBS_BYTES: usize = 4096;

/// The longest name of a peer, or id of a holder, that is believed.
const LONGEST_ID: usize = 256;

/// SHA-256 of a key.
pub fn key_digest(key: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, key.as_bytes()).as_ref());
    bytes
}

/// `letter` and 16 characters that name the key of this hash in logs, ledgers and commands.
pub fn key_id(letter: char, sha256: &[u8; 32]) -> String {
    format!("{letter}{}", BASE32_NOPAD.encode(&sha256[..10]).to_ascii_lowercase())
}

/// What one key may use, where that is limited.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KeyLimits {
    /// The most it may spend in a month, in USD.
    pub monthly_limit_usd: Option<f64>,
    /// Requests it may make in a minute.
    pub requests_per_minute: Option<u32>,
    /// Tokens it may use in a minute.
    pub tokens_per_minute: Option<u64>,
}

impl KeyLimits {
    /// Whether anything is limited, which only a ledger can keep.
    pub fn is_any(&self) -> bool {
        self.monthly_limit_usd.is_some() || self.requests_per_minute.is_some() || self.tokens_per_minute.is_some()
    }
}

/// What is known of one key. Of a key that was revoked it is kept for good: whoever forgot it would believe the next
/// peer that has not heard of its end.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyRecord {
    /// `k` and 16 characters of its hash.
    pub id: String,
    /// Whose it is, for people. No two that are good bear the same, except where a split mesh has made both.
    pub name: String,
    /// SHA-256 of the key, in hex.
    pub sha256: String,
    /// Globs of the models it may use; `None`: all.
    pub models: Option<Vec<String>>,
    /// The most it may spend in a month, in USD.
    pub monthly_limit_usd: Option<f64>,
    /// Requests it may make in a minute.
    pub requests_per_minute: Option<u32>,
    /// Tokens it may use in a minute.
    pub tokens_per_minute: Option<u64>,
    /// When it was made, in seconds since 1970.
    pub made_at: u64,
    /// The name of the peer that made it, for people.
    pub made_by: String,
    /// Who holds the rights of its limits at first.
    pub holder: String,
    /// When it was revoked, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<u64>,
}

impl KeyRecord {
    /// Whether it was not revoked.
    pub fn is_active(&self) -> bool {
        self.revoked_at.is_none()
    }

    /// What it may use.
    pub fn limits(&self) -> KeyLimits {
        KeyLimits {
            monthly_limit_usd: self.monthly_limit_usd,
            requests_per_minute: self.requests_per_minute,
            tokens_per_minute: self.tokens_per_minute,
        }
    }

    /// The hash of the key, as bytes.
    pub fn digest(&self) -> Option<[u8; 32]> {
        HEXLOWER.decode(self.sha256.as_bytes()).ok()?.try_into().ok()
    }

    /// Whether it has the form that every peer gives it. Whether its globs are any is not asked.
    pub fn is_sound(&self) -> bool {
        let short = |text: &str| text.len() <= LONGEST_ID && !text.chars().any(char::is_control);
        let limits_are_some = self.monthly_limit_usd.is_none_or(|limit| limit.is_finite() && limit > 0.0)
            && self.requests_per_minute != Some(0)
            && self.tokens_per_minute != Some(0);
        let globs = self.models.as_deref().unwrap_or_default();
        self.digest().is_some_and(|digest| self.id == key_id('k', &digest))
            && is_fit_name(&self.name)
            && short(&self.made_by)
            && short(&self.holder)
            && limits_are_some
            && globs.len() <= KEY_GLOBS_LIMIT
            && globs.iter().map(String::len).sum::<usize>() <= KEY_GLOBS_BYTES
    }

    /// Takes in what another account of the same key says: once revoked is revoked for good, at the earlier time. The
    /// rest never differs unless somebody has meddled; then all peers choose the same of the two.
    pub fn absorb(&mut self, other: &KeyRecord) {
        let revoked_at = match (self.revoked_at, other.revoked_at) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        if other.essence() < self.essence() {
            *self = other.clone();
        }
        self.revoked_at = revoked_at;
    }

    /// All of it but its end, in one order for all peers.
    fn essence(&self) -> String {
        serde_json::to_string(&KeyRecord { revoked_at: None, ..self.clone() }).unwrap_or_default()
    }
}

/// Without the hash: it belongs in no log.
impl fmt::Debug for KeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRecord")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("revoked_at", &self.revoked_at)
            .finish_non_exhaustive()
    }
}

/// Reads a list of records. One that cannot be read stands in it as one that is not sound, so that it is counted.
///
/// # Errors
/// It is no list.
pub fn read_records<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<KeyRecord>, D::Error> {
    let entries = Vec::<serde_json::Value>::deserialize(deserializer)?;
    Ok(entries.into_iter().map(|entry| serde_json::from_value(entry).unwrap_or_default()).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(key: &str) -> KeyRecord {
        let digest = key_digest(key);
        let (id, sha256) = (key_id('k', &digest), HEXLOWER.encode(&digest));
        KeyRecord { id, sha256, name: "laptop".to_owned(), ..KeyRecord::default() }
    }

    #[test]
    fn a_record_reads_back_and_hides_its_hash() {
        let record = KeyRecord {
            models: Some(vec!["llama*".to_owned()]),
            monthly_limit_usd: Some(0.1 + 0.2),
            requests_per_minute: Some(60),
            tokens_per_minute: Some(20_000),
            revoked_at: Some(7),
            ..record("nxk_a")
        };
        let text = serde_json::to_string(&record).expect("plain data");
        assert_eq!(serde_json::from_str::<KeyRecord>(&text).ok().as_ref(), Some(&record));
        assert!(!format!("{record:?}").contains(&record.sha256));
        assert!(record.is_sound() && record.id.len() == 17);
    }

    #[test]
    fn what_no_peer_would_write_is_not_sound() {
        let good = record("nxk_a");
        for bad in [
            KeyRecord::default(),
            KeyRecord { id: "kaaaaaaaaaaaaaaaa".to_owned(), ..good.clone() },
            KeyRecord { sha256: good.sha256.to_uppercase(), ..good.clone() },
            KeyRecord { name: "a\u{1b}[2J".to_owned(), ..good.clone() },
            KeyRecord { made_by: "x".repeat(300), ..good.clone() },
            KeyRecord { holder: "a\nb".to_owned(), ..good.clone() },
            KeyRecord { monthly_limit_usd: Some(f64::NAN), ..good.clone() },
            KeyRecord { monthly_limit_usd: Some(-1.0), ..good.clone() },
            KeyRecord { requests_per_minute: Some(0), ..good.clone() },
            KeyRecord { models: Some(vec!["x".repeat(5000)]), ..good.clone() },
            KeyRecord { models: Some(vec![String::new(); 65]), ..good.clone() },
        ] {
            assert!(!bad.is_sound(), "{bad:?}");
        }
        assert!(good.is_sound());
    }

    #[test]
    fn what_cannot_be_read_does_not_take_the_rest_with_it() {
        #[derive(Deserialize)]
        struct Listed(#[serde(deserialize_with = "read_records")] Vec<KeyRecord>);
        let good = serde_json::to_value(record("nxk_a")).expect("plain data");
        let list = serde_json::json!([7, {"id": 3}, good, {"made_at": "now"}]);
        let Listed(read) = serde_json::from_value(list).expect("a list");
        assert_eq!(read.iter().map(KeyRecord::is_sound).collect::<Vec<_>>(), [false, false, true, false]);
    }

    fn account() -> impl Strategy<Value = KeyRecord> {
        (0u64..3, proptest::option::of(0u64..5), proptest::option::of(0.5..2.0f64)).prop_map(
            |(made_at, revoked_at, monthly_limit_usd)| KeyRecord {
                made_at,
                revoked_at,
                monthly_limit_usd,
                ..record("nxk_a")
            },
        )
    }

    fn merged(one: &KeyRecord, other: &KeyRecord) -> KeyRecord {
        let mut merged = one.clone();
        merged.absorb(other);
        merged
    }

    proptest! {
        #[test]
        fn accounts_merge_in_any_order_and_an_end_is_for_good(a in account(), b in account(), c in account()) {
            prop_assert_eq!(merged(&a, &b), merged(&b, &a));
            prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
            prop_assert_eq!(merged(&a, &a), a.clone());
            prop_assert_eq!(merged(&a, &b).is_active(), a.is_active() && b.is_active());
        }
    }
}

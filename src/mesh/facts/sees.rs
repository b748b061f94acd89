//! `sees`: which peers this one hears of. Others compare it with their own view and tell people where they differ.

use serde::{Deserialize, Serialize};

use super::{Dropped, lenient, read, write};
use crate::fleet::PeerId;

pub(in crate::mesh) const KEY: &str = "sees";

/// Peers named in one fact.
const MAX_PEERS: usize = 256;

#[derive(Serialize, Deserialize)]
struct Sees {
    #[serde(deserialize_with = "lenient")]
    peers: Vec<PeerId>,
}

/// The first of `peers`, which are sorted.
pub(in crate::mesh) fn encode(peers: impl Iterator<Item = PeerId>) -> Option<String> {
    write(&Sees { peers: peers.take(MAX_PEERS).collect() })
}

pub(super) fn decode(value: &str) -> Result<Vec<PeerId>, Dropped> {
    let Sees { mut peers } = read(value)?;
    peers.retain(|id| id.as_str().len() <= 64);
    peers.truncate(MAX_PEERS);
    Ok(peers)
}

#[cfg(test)]
mod tests {
    use super::super::{Fact, decode};
    use super::*;

    #[test]
    fn reads_back_as_written_and_skips_what_is_no_id() {
        let peers: Vec<PeerId> = ["aa", "bb"].map(PeerId::from_text).into();
        let value = encode(peers.iter().cloned()).expect("short");
        assert_eq!(decode(KEY, &value), Ok(Fact::Sees(peers.clone())));
        assert_eq!(decode(KEY, r#"{"v":2,"peers":["aa",{"id":"x"},"bb"],"since":1}"#), Ok(Fact::Sees(peers)));
        assert_eq!(decode(KEY, "{}"), Err(Dropped::Malformed));
    }

    #[test]
    fn the_largest_fact_can_be_gossiped() {
        let id = PeerId::of_public_key(b"anybody");
        assert!(encode(std::iter::repeat_n(id, 10_000)).is_some());
    }
}

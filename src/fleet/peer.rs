//! Peers: other Nexus nodes.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The multicast service under which peers announce themselves.
pub const PEER_SERVICE: &str = "_nexus-peer._udp.local.";

/// Who a peer is: base32 of the BLAKE3 hash of its certificate's public key. Names are for people; this is for machines.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PeerId(Arc<str>);

impl PeerId {
    /// The id of the holder of this public key (its DER `SubjectPublicKeyInfo`).
    pub fn of_public_key(spki: &[u8]) -> Self {
        let hash = blake3::hash(spki);
        let text = data_encoding::BASE32_NOPAD.encode(&hash.as_bytes()[..20]).to_ascii_lowercase();
        PeerId(text.into())
    }

    /// An id as it was read from somewhere.
    pub fn from_text(text: impl Into<Arc<str>>) -> Self {
        PeerId(text.into())
    }

    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Enough of it for people to tell peers apart.
    pub fn short(&self) -> &str {
        self.0.get(..8).unwrap_or(&self.0)
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

/// How a peer is, by the age of its news.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PeerState {
    /// This one.
    #[serde(rename = "self")]
    Myself,
    /// Heard of lately.
    Alive,
    /// Not heard of for a while: not preferred any more.
    Suspect,
    /// Not heard of for long: not a candidate.
    Dead,
    /// Finishes what it has and takes no more.
    Draining,
}

impl PeerState {
    /// The word of tables, JSON and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            PeerState::Myself => "self",
            PeerState::Alive => "alive",
            PeerState::Suspect => "suspect",
            PeerState::Dead => "dead",
            PeerState::Draining => "draining",
        }
    }
}

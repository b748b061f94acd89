//! The mesh key: the one secret that every peer of a mesh holds, and what is derived from it. A derived value depends
//! on the name of the mesh as well, so that another name is another mesh. It never appears in `Debug` output or logs.

use std::fmt;

use data_encoding::{BASE32_NOPAD, HEXLOWER_PERMISSIVE};
use ring::hkdf;

use crate::env::Seed;

/// The shared secret of a mesh: 32 random bytes, written as 52 characters of lower-case base32.
#[derive(Clone, PartialEq, Eq)]
pub struct MeshKey {
    bytes: [u8; 32],
    open: bool,
}

/// A mesh key that cannot be read. The text itself is not repeated.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Neither 52 characters of base32 nor 64 of hex.
    #[error(
        "the mesh key must be 52 characters of base32 or 64 of hex, as `nexus mesh invite` prints it; this has {0}"
    )]
    Length(usize),
    /// The length is right, the alphabet is not.
    #[error("the mesh key contains a character that is neither base32 nor hex: copy it again from `nexus mesh invite`")]
    Alphabet,
}

impl MeshKey {
    /// The key of every mesh that has none: it encrypts, and authenticates nobody.
    pub fn open() -> Self {
        MeshKey { bytes: *blake3::hash(b"nexus open mesh v1").as_bytes(), open: true }
    }

    /// A fresh key: the same for the same seed, so that a process makes one.
    pub fn generate(seed: &Seed) -> Self {
        MeshKey { bytes: seed.bytes("mesh-key"), open: false }
    }

    /// A key as it was printed or made by hand; spaces around it are ignored.
    ///
    /// # Errors
    /// Where the text is not 32 bytes in base32 or hex.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let decoded = match text.len() {
            52 => BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()),
            64 => HEXLOWER_PERMISSIVE.decode(text.as_bytes()),
            other => return Err(KeyError::Length(other)),
        };
        let bytes = decoded.ok().and_then(|bytes| bytes.try_into().ok()).ok_or(KeyError::Alphabet)?;
        Ok(MeshKey { bytes, open: false })
    }

    /// The key of a configuration: [`MeshKey::open`] where it is empty.
    ///
    /// # Errors
    /// As [`MeshKey::parse`].
    pub fn configured(text: &str) -> Result<Self, KeyError> {
        if text.trim().is_empty() { Ok(Self::open()) } else { Self::parse(text) }
    }

    /// Whether two texts are the same key, as [`MeshKey::configured`] reads them: one has several spellings.
    pub fn are_same(one: &str, other: &str) -> bool {
        one == other || matches!((Self::configured(one), Self::configured(other)), (Ok(one), Ok(other)) if one == other)
    }

    /// Whether holding this key proves anything.
    pub fn is_keyed(&self) -> bool {
        !self.open
    }

    /// What strangers on the local network may see of it: peers of one mesh show the same tag, others another.
    pub fn tag(&self, mesh_name: &str) -> String {
        BASE32_NOPAD.encode(&self.derive("tag", mesh_name)[..8]).to_ascii_lowercase()
    }

    /// 32 bytes for `purpose` in the mesh called `mesh_name`.
    pub(super) fn derive(&self, purpose: &str, mesh_name: &str) -> [u8; 32] {
        let mut out = [0; 32];
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"nexus-mesh-v1")
            .extract(&self.bytes)
            .expand(&[purpose.as_bytes(), b"\0", mesh_name.as_bytes()], hkdf::HKDF_SHA256)
            .and_then(|output| output.fill(&mut out))
            .expect("32 bytes is one block of HKDF-SHA256");
        out
    }
}

/// The key itself, for the token that invites a peer.
impl fmt::Display for MeshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE32_NOPAD.encode(&self.bytes).to_ascii_lowercase())
    }
}

impl fmt::Debug for MeshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.open { "MeshKey(open)" } else { "MeshKey(secret)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_as_written() {
        let key = MeshKey::generate(&Seed::fixed(1));
        let text = key.to_string();
        assert_eq!(text.len(), 52);
        assert_eq!(MeshKey::parse(&format!("  {text}\n")), Ok(key.clone()));
        assert_eq!(MeshKey::parse(&text.to_uppercase()), Ok(key.clone()));
        assert_eq!(MeshKey::parse(&data_encoding::HEXLOWER.encode(&key.bytes)), Ok(key));
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        assert_eq!(MeshKey::parse("hunter2"), Err(KeyError::Length(7)));
        assert_eq!(MeshKey::parse(&"!".repeat(52)), Err(KeyError::Alphabet));
        assert_eq!(MeshKey::parse(&"z".repeat(64)), Err(KeyError::Alphabet));
        assert_eq!(MeshKey::parse(&"é".repeat(26)), Err(KeyError::Alphabet));
        assert!(!MeshKey::configured(" ").expect("an open mesh").is_keyed());
    }

    #[test]
    fn a_key_is_never_shown_by_accident() {
        let key = MeshKey::generate(&Seed::fixed(1));
        assert_eq!(format!("{key:?}"), "MeshKey(secret)");
    }

    #[test]
    fn every_name_and_every_key_is_another_mesh() {
        let (one, other) = (MeshKey::generate(&Seed::fixed(1)), MeshKey::generate(&Seed::fixed(2)));
        assert_eq!(one.tag("a"), one.tag("a"));
        assert_ne!(one.tag("a"), one.tag("b"));
        assert_ne!(one.tag("a"), other.tag("a"));
        assert_ne!(one.derive("tag", "a"), one.derive("ca", "a"));
    }
}

//! Who this node is: an Ed25519 key in the data directory, made at the first start. It does not depend on any mesh; a
//! node without peers has one as well. A file that cannot be read is reported and left as it is.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{KeyPair, PublicKeyData};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::env::Env;
use crate::fleet::PeerId;

/// The file of the data directory that holds the key.
const FILE: &str = "identity.pem";

/// What comes before the 32 bytes of an Ed25519 key in PKCS#8, version 1.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// This node's key, and its claim on the data directory for as long as a clone of this lives.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    id: PeerId,
    key: KeyPair,
    _claim: Box<dyn Send + Sync>,
}

/// Why there is no identity. Each is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The data directory cannot be made, read or written.
    #[error("cannot use the data directory {}: {error}. Make it writable, or set `data_dir` to another", directory.display())]
    Directory {
        /// The data directory.
        directory: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Another process has it.
    #[error("the data directory {} is in use by another nexus. Stop that one, or set `data_dir` to another", .0.display())]
    InUse(PathBuf),
    /// The file holds no Ed25519 key.
    #[error("the identity file {} is damaged: it holds no Ed25519 private key. Restore it from a backup, or delete it to give this node a new identity", .0.display())]
    Damaged(PathBuf),
}

impl Identity {
    /// Prepares and claims the data directory, and reads the key, or makes it where there is none.
    ///
    /// # Errors
    /// Where the directory is unusable or taken, or the key file damaged; nothing is changed then.
    pub fn open(data_dir: &Path, env: &Env) -> Result<Self, IdentityError> {
        let unusable = |error| IdentityError::Directory { directory: data_dir.to_owned(), error };
        env.disk.prepare(data_dir).map_err(unusable)?;
        let claim = env.disk.claim(data_dir).map_err(unusable)?;
        let claim = claim.ok_or_else(|| IdentityError::InUse(data_dir.to_owned()))?;
        let path = data_dir.join(FILE);
        let key = match env.disk.read(&path).map_err(unusable)? {
            Some(content) => read_key(&content).ok_or(IdentityError::Damaged(path))?,
            None => {
                let key = key_pair(&env.seed.bytes("identity"));
                env.disk.replace(&path, key.serialize_pem().as_bytes()).map_err(unusable)?;
                key
            }
        };
        let id = PeerId::of_public_key(&key.subject_public_key_info());
        Ok(Identity(Arc::new(Inner { id, key, _claim: claim })))
    }

    /// This node's id.
    pub fn id(&self) -> &PeerId {
        &self.0.id
    }

    pub(super) fn key(&self) -> &KeyPair {
        &self.0.key
    }

    /// 32 bytes for `purpose`, the same after every restart.
    pub(super) fn derive(&self, purpose: &str) -> [u8; 32] {
        let context = format!("nexus identity v1 {purpose}");
        blake3::derive_key(&context, self.0.key.serialized_der())
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Identity").field(&self.0.id).finish()
    }
}

/// The Ed25519 key made of these 32 bytes.
pub(super) fn key_pair(bytes: &[u8; 32]) -> KeyPair {
    let mut der = PKCS8_PREFIX.to_vec();
    der.extend_from_slice(bytes);
    KeyPair::try_from(&PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der))).expect("any 32 bytes are an Ed25519 key")
}

fn read_key(content: &[u8]) -> Option<KeyPair> {
    let key = KeyPair::from_pem(std::str::from_utf8(content).ok()?).ok()?;
    key.is_compatible(&rcgen::PKCS_ED25519).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_outlives_a_restart_and_is_private() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let env = Env::real();
        let first = Identity::open(directory.path(), &env).expect("a first start");
        let (id, derived) = (first.id().clone(), first.derive("reset"));
        drop(first);
        let second = Identity::open(directory.path(), &env).expect("a second start");
        assert_eq!((second.id(), second.derive("reset")), (&id, derived));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(directory.path().join(FILE)).expect("the file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn two_nodes_cannot_be_one() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let _first = Identity::open(directory.path(), &Env::real()).expect("a first start");
        let second = Identity::open(directory.path(), &Env::real());
        assert!(matches!(second, Err(IdentityError::InUse(_))), "{second:?}");
    }

    #[test]
    fn a_damaged_file_is_named_and_left_alone() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join(FILE);
        for content in [&b"-----BEGIN PRIVATE KEY-----\ngarbage"[..], b"", b"\xff\xfe"] {
            std::fs::write(&path, content).expect("write");
            let error = Identity::open(directory.path(), &Env::real()).expect_err("it is damaged").to_string();
            assert!(error.contains(FILE) && !error.contains('\n'), "{error}");
            assert_eq!(std::fs::read(&path).expect("still there"), content);
        }
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("file");
        std::fs::write(&file, b"").expect("write");
        let error = Identity::open(&file.join("data"), &Env::real()).expect_err("a file is in the way");
        assert!(matches!(error, IdentityError::Directory { .. }), "{error}");
    }
}

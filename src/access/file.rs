//! The ring on disk: one file of the data directory, replaced whole. One that cannot be read is reported and left as it is:
//! a node that forgot its keys would let in those that were revoked, or everybody.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::Error;
use super::shown::Shown;
use crate::env::Disk;
use crate::fleet::KeyRecord;

/// The file of the data directory that holds the ring.
const FILE: &str = "keys.json";

/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;

/// Why the ring cannot be had. Each is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system does not let us.
    #[error("cannot read the client keys in {}: {error}. Make the file readable, or set `data_dir` to another", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It is not what was written.
    #[error(
        "the client keys in {} are damaged ({reason}): restore the file from a backup, or copy that of another peer of this \
         mesh. Without the file this node learns the keys from its peers, and lets everybody in until then",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

#[derive(Deserialize)]
struct Content {
    v: u32,
    keys: Vec<KeyRecord>,
    /// Whether a mesh has been met that knows no others.
    #[serde(default = "yes")]
    settled: bool,
}

fn yes() -> bool {
    true
}

/// What is kept.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) keys: Vec<KeyRecord>,
    pub(super) settled: bool,
}

/// Where the ring is kept.
pub(super) struct KeyFile {
    directory: PathBuf,
    disk: Arc<dyn Disk>,
    claim: Claim,
}

/// Whose the directory is.
enum Claim {
    /// This process's, by a claim that is held elsewhere.
    Elsewhere,
    /// Nobody's yet.
    None,
    /// This process's, for as long as this lives.
    Held { _claim: Box<dyn Send + Sync> },
}

impl KeyFile {
    pub(super) fn new(directory: &Path, claimed: bool, disk: Arc<dyn Disk>) -> Self {
        let claim = if claimed { Claim::Elsewhere } else { Claim::None };
        KeyFile { directory: directory.to_owned(), disk, claim }
    }

    fn path(&self) -> PathBuf {
        self.directory.join(FILE)
    }

    pub(super) fn damaged(&self, reason: String) -> OpenError {
        OpenError::Damaged { path: self.path(), reason }
    }

    /// What is kept; nothing where there is no file.
    pub(super) fn read(&self) -> Result<Kept, OpenError> {
        let unreadable = |error| OpenError::Unreadable { path: self.path(), error };
        let Some(content) = self.disk.read(&self.path()).map_err(unreadable)? else { return Ok(Kept::default()) };
        let content: Content = serde_json::from_slice(&content).map_err(|error| self.damaged(error.to_string()))?;
        if content.v != VERSION {
            return Err(self.damaged(format!("version {}, this is for {VERSION}", content.v)));
        }
        Ok(Kept { keys: content.keys, settled: content.settled })
    }

    /// Claims the directory where that has not been done, and gives what is kept there now.
    pub(super) fn claim(&mut self) -> Result<Option<Kept>, Error> {
        if !matches!(self.claim, Claim::None) {
            return Ok(None);
        }
        let unusable = |error: io::Error| self.unusable(&error);
        if self.directory.starts_with("~") {
            return Err(self.unusable(&io::Error::other("HOME is not set")));
        }
        self.disk.prepare(&self.directory).map_err(unusable)?;
        let claim = self.disk.claim(&self.directory).map_err(unusable)?;
        let taken = || self.unusable(&io::Error::other("another nexus uses it: stop that one"));
        let claim = claim.ok_or_else(taken)?;
        let kept = self.read().map_err(|error| Error::Disk(error.to_string()))?;
        self.claim = Claim::Held { _claim: claim };
        Ok(Some(kept))
    }

    /// Keeps these keys, and no others.
    pub(super) fn write(&self, shown: &Shown) -> Result<(), Error> {
        let mut content = format!("{{\"v\":{VERSION},\"settled\":{},\"keys\":[", shown.is_settled());
        for (at, one) in shown.known.values().enumerate() {
            content.push_str(if at == 0 { "\n" } else { ",\n" });
            content.push_str(&one.text);
        }
        content.push_str("\n]}\n");
        self.disk.replace(&self.path(), content.as_bytes()).map_err(|error| self.unusable(&error))
    }

    fn unusable(&self, error: &io::Error) -> Error {
        let directory = self.directory.display();
        Error::Disk(format!(
            "cannot keep client keys in the data directory {directory}: {error}. Make it writable, or set `data_dir` to another"
        ))
    }
}

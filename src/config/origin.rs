//! Where the configuration of a running node came from, so that it can be read again: the same file under the same flags and
//! variables. It reads no file itself: whoever watches hands it the text.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Table;

use super::load::load_text;
use super::{DEFAULT_FILE, LoadError, Loaded, Lookup};

/// How variables are looked up by whoever outlives the start.
pub type Variables = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The file, the flags and the variables that a node was started with.
#[derive(Clone)]
pub struct Origin {
    path: PathBuf,
    text: Option<String>,
    flags: Table,
    variables: Variables,
}

impl Origin {
    /// Of what was loaded with these flags and variables. Without a file it is the usual one, which may come yet.
    pub fn new(loaded: &Loaded, flags: Table, variables: Variables) -> Self {
        let path = loaded.file.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
        Origin { path, text: loaded.text.clone(), flags, variables }
    }

    /// The file as the node was started with it; `None` where there was none.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The variables.
    pub fn lookup(&self) -> &Lookup<'_> {
        &*self.variables
    }

    /// What the configuration is where the file says `text`.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(&self, text: String) -> Result<Loaded, LoadError> {
        load_text(&self.path, text, self.lookup(), self.flags.clone())
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").field("path", &self.path).finish_non_exhaustive()
    }
}

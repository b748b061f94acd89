//! Where the configuration of a running node came from, so that it can be read again: the same file under the same flags and
//! variables. It reads no file itself: whoever watches hands it the text.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use toml::Table;

use super::environment::Environment;
use super::load::load_text;
use super::{Config, DEFAULT_FILE, LoadError, Loaded, Lookup};
use crate::mesh::{Membership, MeshKey};

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

    /// The variables that lead a node elsewhere at its next start than `wanted`, whatever its file says then.
    pub fn overruling(&self, wanted: &Membership) -> Vec<&'static str> {
        let Environment { table, origins, .. } = Environment::read(self.lookup());
        let mesh = Config::deserialize(table).unwrap_or_default().mesh;
        let of = |key: &str, is_other: bool| origins.get(key).copied().filter(|_| is_other);
        let key = MeshKey::configured(&mesh.key).ok();
        let variables = [
            of("mesh.name", mesh.name != wanted.name),
            of("mesh.key", key.as_ref() != Some(&wanted.key)),
            of("mesh.seeds", mesh.seeds != wanted.seeds),
        ];
        variables.into_iter().flatten().collect()
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overruling(variables: &[(&'static str, &'static str)], wanted: &Membership) -> Vec<&'static str> {
        let variables = variables.to_vec();
        let look = move |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let (path, flags) = (PathBuf::from(DEFAULT_FILE), Table::new());
        Origin { path, text: None, flags, variables: Arc::new(look) }.overruling(wanted)
    }

    #[test]
    fn a_variable_that_says_the_same_overrules_nothing() {
        const KEY: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";
        let wanted = Membership::read("home", KEY, &["desk:8001".to_owned()]).expect("a membership");
        assert_ne!(wanted.key.to_string(), KEY, "one key can be written in two ways");
        let same = [("NEXUS_MESH_NAME", "home"), ("NEXUS_MESH_KEY", KEY), ("NEXUS_MESH_SEEDS", "desk:8001")];
        assert!(overruling(&same, &wanted).is_empty());
        let other = [("NEXUS_MESH_NAME", "attic"), ("NEXUS_MESH_KEY", "x"), ("NEXUS_MESH_SEEDS", "desk:1")];
        let variables = ["NEXUS_MESH_NAME", "NEXUS_MESH_KEY", "NEXUS_MESH_SEEDS"];
        assert_eq!(overruling(&other, &wanted), variables);
        assert!(overruling(&[("NEXUS_PEER_NAME", "desk"), ("NEXUS_MESH_NAME", " ")], &wanted).is_empty());
    }
}

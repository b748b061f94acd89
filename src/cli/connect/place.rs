//! Where tools keep their settings on this machine, by their own rules. It reads no file.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::config::Lookup;

/// The directories that the environment names.
#[derive(Debug)]
pub(super) struct Places {
    home: PathBuf,
    config: PathBuf,
    claude: PathBuf,
    codex: PathBuf,
}

impl Places {
    /// # Errors
    /// There is no home.
    pub(super) fn new(lookup: &Lookup<'_>) -> anyhow::Result<Self> {
        let named = |name: &str| lookup(name).map(PathBuf::from);
        let home =
            named("HOME").or_else(|| named("USERPROFILE")).context("HOME is not set: where are your settings?")?;
        let config = named("XDG_CONFIG_HOME").filter(|path| path.is_absolute()).unwrap_or_else(|| home.join(".config"));
        let claude = named("CLAUDE_CONFIG_DIR").unwrap_or_else(|| home.join(".claude"));
        let codex = named("CODEX_HOME").unwrap_or_else(|| home.join(".codex"));
        Ok(Places { home, config, claude, codex })
    }

    /// Below the home directory.
    pub(super) fn home(&self, path: &str) -> PathBuf {
        join(&self.home, path)
    }

    /// Below the directory for settings.
    pub(super) fn config(&self, path: &str) -> PathBuf {
        join(&self.config, path)
    }

    /// Below Claude Code's directory.
    pub(super) fn claude(&self, path: &str) -> PathBuf {
        join(&self.claude, path)
    }

    /// Below Codex's directory.
    pub(super) fn codex(&self, path: &str) -> PathBuf {
        join(&self.codex, path)
    }
}

fn join(directory: &Path, path: &str) -> PathBuf {
    directory.join(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_where() {
        let of = |variables: &[(&str, &str)]| {
            let lookup =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            Places::new(&lookup)
        };
        let usual = of(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "relative")]).expect("a home");
        assert_eq!(usual.config("zed/settings.json"), Path::new("/h/.config/zed/settings.json"));
        assert_eq!(usual.claude("settings.json"), Path::new("/h/.claude/settings.json"));
        assert_eq!(usual.codex("config.toml"), Path::new("/h/.codex/config.toml"));
        let moved = of(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x"), ("CLAUDE_CONFIG_DIR", "/c"), ("CODEX_HOME", "/d")]);
        let moved = moved.expect("a home");
        assert_eq!(moved.config("goose/config.yaml"), Path::new("/x/goose/config.yaml"));
        assert_eq!(moved.claude("settings.json"), Path::new("/c/settings.json"));
        assert_eq!(moved.codex("config.toml"), Path::new("/d/config.toml"));
        assert_eq!(moved.home(".aider.conf.yml"), Path::new("/h/.aider.conf.yml"));
        assert!(of(&[]).is_err());
    }
}

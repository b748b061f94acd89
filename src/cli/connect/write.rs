//! Putting settings into a file: read, changed, and replaced whole by a rename. The first change leaves a copy of what
//! was there. It knows nothing of tools.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::Value as Json;

use super::patch::Edited;
use super::settings::{File, Format};
use crate::config;

/// A change that has not been made.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) path: PathBuf,
    /// What a file of nothing else would say.
    pub(super) content: String,
    pub(super) patch: Json,
    format: Format,
    /// What is there now; `None` where nothing is.
    before: Option<String>,
    /// What a file begins with that is not there.
    base: String,
}

/// A change that has been made.
#[derive(Debug)]
pub(super) struct Written {
    path: PathBuf,
    /// The keys of what differs; none where all was there before.
    pub(super) changed: Vec<String>,
    /// The copy that was made.
    pub(super) backup: Option<PathBuf>,
    is_new: bool,
}

impl Planned {
    /// # Errors
    /// A file that is there cannot be read.
    pub(super) fn new(file: &File) -> anyhow::Result<Self> {
        let there = file.paths.iter().find(|path| path.exists());
        let path = there.or(file.paths.first()).context("no file")?.clone();
        let before = match std::fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => bail!("cannot read {}: {error}", path.display()),
        };
        let is_later = |key: &str| before.as_deref().is_some_and(|text| has_key(text, file.format, key));
        let patch = match &file.later {
            Some((key, patch)) if is_later(key) => patch,
            _ => &file.patch,
        };
        let base = file.format.apply("", &file.fresh).map_err(anyhow::Error::msg)?.text;
        let content = match before {
            None => file.format.apply(&base, patch),
            Some(_) => file.format.apply("", patch),
        };
        let content = content.map_err(anyhow::Error::msg)?.text;
        Ok(Planned { path, content, patch: patch.clone(), format: file.format, before, base })
    }

    /// # Errors
    /// The file is written in a way that cannot be changed without loss, or cannot be written.
    pub(super) fn put_in_place(&self) -> anyhow::Result<Written> {
        let text = self.before.as_deref().unwrap_or(&self.base);
        let Edited { text, changed } = self.format.apply(text, &self.patch).map_err(|problem| {
            let path = self.path.display();
            anyhow::anyhow!("{path} is left as it is: {problem}. Add this by hand:\n\n{}", self.content.trim_end())
        })?;
        let mut written = Written { path: self.path.clone(), changed, backup: None, is_new: self.before.is_none() };
        if written.changed.is_empty() {
            return Ok(written);
        }
        if let Some(directory) = self.path.parent() {
            let made = std::fs::create_dir_all(directory);
            made.with_context(|| format!("cannot make {}", directory.display()))?;
        }
        if self.before.is_some() {
            written.backup = back_up(&self.path)?;
        }
        config::create(&self.path, &text, true)?;
        Ok(written)
    }
}

/// Whether the file has `key` at its top, or seems to: one with comments is only shown what to add.
fn has_key(text: &str, format: Format, key: &str) -> bool {
    match format {
        Format::Json => match serde_json::from_str::<Json>(text) {
            Ok(document) => document.get(key).is_some(),
            Err(_) => text.contains(&format!("\"{key}\"")),
        },
        Format::Toml => text.parse::<toml_edit::DocumentMut>().is_ok_and(|document| document.contains_key(key)),
        Format::Yaml => text.lines().any(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':'))),
    }
}

/// A copy of what was there before the first change; later ones leave it.
fn back_up(path: &Path) -> anyhow::Result<Option<PathBuf>> {
    let mut name = OsString::from(path);
    name.push(".bak");
    let copy = PathBuf::from(name);
    if copy.exists() {
        return Ok(None);
    }
    std::fs::copy(path, &copy).with_context(|| format!("cannot write {}", copy.display()))?;
    Ok(Some(copy))
}

impl Written {
    /// For people.
    pub(super) fn as_text(&self) -> String {
        let path = self.path.display();
        if self.changed.is_empty() {
            return format!("Nothing to change in {path}.\n");
        }
        let how = if self.is_new { "Created" } else { "Changed" };
        let was = self.backup.as_ref().map(|copy| format!(" (as it was: {})", copy.display())).unwrap_or_default();
        format!("{how} {path}{was}:\n  {}\n", self.changed.join("\n  "))
    }
}

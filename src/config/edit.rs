//! Changing a configuration file and leaving its shape and comments alone. Files are replaced whole, and a new one is
//! readable by its owner only: it may hold the mesh key.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use toml_edit::{Array, DocumentMut, Item, Table, TableLike};

/// Why a file was left as it was.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It is there and may not be overwritten.
    #[error("{} already exists: use --force to overwrite it", .0.display())]
    Exists(PathBuf),
    /// It cannot be read or written.
    #[error("cannot write {}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is not TOML, or a section is not a table.
    #[error("{}: {message}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

/// A configuration file about to be changed.
pub struct Editor {
    path: PathBuf,
    document: DocumentMut,
    before: String,
}

impl Editor {
    /// Reads `path`; a file that is not there is empty.
    ///
    /// # Errors
    /// The file cannot be read, or is not TOML.
    pub fn open(path: &Path) -> Result<Self, WriteError> {
        let before = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(WriteError::Io { path: path.to_owned(), error }),
        };
        let document = before.parse().map_err(|error: toml_edit::TomlError| WriteError::Form {
            path: path.to_owned(),
            message: error.message().to_owned(),
        })?;
        Ok(Editor { path: path.to_owned(), document, before })
    }

    /// What the file says at `section.key`, if it is text.
    pub fn text(&self, section: &str, key: &str) -> Option<&str> {
        self.document.get(section)?.get(key)?.as_str()
    }

    /// Writes a text at `section.key`.
    ///
    /// # Errors
    /// `section` is there and no table.
    pub fn set_text(&mut self, section: &str, key: &str, value: &str) -> Result<(), WriteError> {
        put(self.section(section)?, key, value.into());
        Ok(())
    }

    /// Writes a list of texts at `section.key`.
    ///
    /// # Errors
    /// `section` is there and no table.
    pub fn set_list(&mut self, section: &str, key: &str, values: &[String]) -> Result<(), WriteError> {
        put(self.section(section)?, key, values.iter().collect::<Array>().into());
        Ok(())
    }

    fn section(&mut self, section: &str) -> Result<&mut dyn TableLike, WriteError> {
        let path = &self.path;
        let item = self.document.entry(section).or_insert_with(|| Item::Table(Table::new()));
        item.as_table_like_mut().ok_or_else(|| WriteError::Form {
            path: path.clone(),
            message: format!("`{section}` is not a table: write [{section}]"),
        })
    }

    /// Replaces the file if anything changed. Says whether it did.
    ///
    /// # Errors
    /// The file cannot be written; it is as before.
    pub fn save(self) -> Result<bool, WriteError> {
        let after = self.document.to_string();
        if after == self.before {
            return Ok(false);
        }
        replace(&self.path, &after).map_err(|error| WriteError::Io { path: self.path, error })?;
        Ok(true)
    }
}

/// Replaces only the value, so that a comment behind it stays.
pub(super) fn put(table: &mut dyn TableLike, key: &str, mut value: toml_edit::Value) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        None => drop(table.insert(key, Item::Value(value))),
    }
}

/// Writes a new file, over an old one only if `force`.
///
/// # Errors
/// It is there already, or cannot be written.
pub(crate) fn create(path: &Path, text: &str, force: bool) -> Result<(), WriteError> {
    let io = |error| WriteError::Io { path: path.to_owned(), error };
    if force {
        return replace(path, text).map_err(io);
    }
    match private().create_new(true).open(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).map_err(io),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(WriteError::Exists(path.to_owned())),
        Err(error) => Err(io(error)),
    }
}

/// By rename, so that a crash leaves the old or the new; links, owner and mode of an old file stay.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    // Each has a part of its own: whoever renames it renames what it has written itself.
    let count = PARTS.fetch_add(1, Ordering::Relaxed);
    let part = target.with_extension(format!("part{}-{count}", std::process::id()));
    let written = write_part(&target, &part, text).and_then(|()| fs::rename(&part, &target));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&part);
    }
    written
}

/// Parts that this process has begun.
static PARTS: AtomicU64 = AtomicU64::new(0);

fn write_part(target: &Path, part: &Path, text: &str) -> io::Result<()> {
    let mut file = private().create(true).truncate(true).open(part)?;
    file.write_all(text.as_bytes())?;
    if let Ok(old) = fs::metadata(target) {
        file.set_permissions(old.permissions())?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            // Only root can give a file away; for everyone else it is their own already.
            let _ = std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()));
        }
    }
    file.sync_all()
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_shape_stay() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("n.toml");
        fs::write(&path, "# mine\n[server] # here\nport = 1\n\n[mesh]\nname = 'old' # why\n").expect("write");
        let mut editor = Editor::open(&path).expect("open");
        editor.set_text("mesh", "name", "new").expect("a table");
        editor.set_text("mesh", "key", "k").expect("a table");
        editor.set_list("mesh", "seeds", &["a:1".to_owned()]).expect("a table");
        assert!(editor.save().expect("save"));
        assert_eq!(
            fs::read_to_string(&path).expect("read"),
            "# mine\n[server] # here\nport = 1\n\n[mesh]\nname = \"new\" # why\nkey = \"k\"\nseeds = [\"a:1\"]\n"
        );

        let mut again = Editor::open(&path).expect("open");
        again.set_text("mesh", "name", "new").expect("a table");
        assert!(!again.save().expect("save"), "the same again changes nothing");
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_is_private_and_an_old_one_keeps_its_mode() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("a directory");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        let path = directory.path().join("n.toml");
        create(&path, "a = 1\n", false).expect("create");
        assert_eq!(mode(&path), 0o600);
        assert!(matches!(create(&path, "b = 1\n", false), Err(WriteError::Exists(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("chmod");
        let mut editor = Editor::open(&path).expect("open");
        editor.set_text("mesh", "key", "k").expect("a table");
        editor.save().expect("save");
        assert_eq!(mode(&path), 0o640);
        assert_eq!(fs::read_dir(directory.path()).expect("list").count(), 1, "nothing is left beside it");
    }

    /// Two once wrote into the same part, and one of them put the other's half-written one in place.
    #[test]
    fn those_who_replace_it_at_once_do_not_mix() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("n.toml");
        let whole = |letter: char| letter.to_string().repeat(200_000);
        std::thread::scope(|scope| {
            for letter in ['a', 'b', 'c', 'd'] {
                let (path, text) = (&path, whole(letter));
                scope.spawn(move || (0..5).for_each(|_| replace(path, &text).expect("written")));
            }
        });
        let text = fs::read_to_string(&path).expect("read");
        assert!(['a', 'b', 'c', 'd'].into_iter().any(|letter| text == whole(letter)), "{} letters", text.len());
        assert_eq!(fs::read_dir(directory.path()).expect("list").count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_section_that_is_no_table_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("n.toml");
        fs::write(&path, "mesh = 3\n").expect("write");
        let mut editor = Editor::open(&path).expect("open");
        assert!(matches!(editor.set_text("mesh", "key", "k"), Err(WriteError::Form { .. })));
    }
}

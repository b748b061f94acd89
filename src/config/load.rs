//! From file, environment and flags to one [`Config`]: merged as tables, deserialised once, every problem reported
//! together. What values must be is in `check`; this knows only where they come from.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::environment::{Environment, Lookup};
use super::place::{KeyPath, Lines, Step, find_mut};
use super::{Config, Problem, VERSION, check, repair, shape};
use crate::mesh::MeshKey;

/// The file that is read where none is named; it may be missing.
pub const DEFAULT_FILE: &str = "nexus.toml";

/// Where a configuration comes from; later fields win.
pub struct Sources<'a> {
    /// A file that must exist. `None`: `$NEXUS_CONFIG`, which must exist too, or [`DEFAULT_FILE`], which may not.
    pub file: Option<&'a Path>,
    /// A named file may be missing all the same: it is about to be made.
    pub optional: bool,
    /// The environment.
    pub lookup: &'a Lookup<'a>,
    /// What the command line says, as tables.
    pub flags: Table,
}

/// A configuration in which everything is known to be right.
#[derive(Debug)]
pub struct Loaded {
    /// It.
    pub config: Config,
    /// What is right but probably not meant; one line each.
    pub warnings: Vec<String>,
    /// The file it came from, where there was one.
    pub file: Option<PathBuf>,
    /// The text of that file, as it was read.
    pub text: Option<String>,
    /// What the file alone says: for those who must know whether a value was set there.
    pub from_file: Table,
}

/// Why there is no configuration. One line for each problem.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// The file is in a form that this program does not know.
    #[error("{}: `version = {found}` is not known to this program, which reads version {VERSION}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// Values are wrong.
    #[error("{0}")]
    Problems(Problems),
}

impl LoadError {
    /// Where it is wrong, without a word of what stands there: fit to be told to every peer.
    pub fn place(&self) -> String {
        match self {
            LoadError::Unreadable { error, .. } => format!("the file cannot be read: {}", error.kind()),
            LoadError::Syntax { line, .. } => format!("line {line} is not TOML"),
            LoadError::Version { .. } => "version".to_owned(),
            LoadError::Problems(Problems { list }) => match list.as_slice() {
                [(_, first), _, ..] => format!("{} and {} more", first.path, list.len() - 1),
                [(_, only)] => only.path.clone(),
                [] => String::new(),
            },
        }
    }
}

/// Everything that is wrong with the values of a configuration, each with its place.
#[derive(Debug)]
pub struct Problems {
    /// Place (`nexus.toml:4`, `NEXUS_MESH_KEY`, `command line`) and problem.
    pub list: Vec<(String, Problem)>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [(place, problem)] = self.list.as_slice() {
            return write!(f, "{place}: {problem}");
        }
        write!(f, "the configuration has {} problems:", self.list.len())?;
        self.list.iter().try_for_each(|(place, problem)| write!(f, "\n  {place}: {problem}"))
    }
}

/// Reads, merges and checks.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn load(sources: Sources<'_>) -> Result<Loaded, LoadError> {
    let file = File::read(&sources)?;
    merged(file, &sources)
}

/// The same of a text that stands in the file, or is to: `path` is only told.
///
/// # Errors
/// Everything that is wrong, at once.
pub(super) fn load_text(path: &Path, text: String, lookup: &Lookup<'_>, flags: Table) -> Result<Loaded, LoadError> {
    merged(File::of(path.to_owned(), text)?, &Sources { file: Some(path), optional: false, lookup, flags })
}

/// Where a node is that goes by a file which is wrong: of the file only that counts, as far as it can be read.
///
/// # Errors
/// Not even that is right.
pub fn whereabouts(sources: &Sources<'_>) -> Result<Loaded, LoadError> {
    let named = sources.file.map(Path::to_owned).or_else(|| (sources.lookup)("NEXUS_CONFIG").map(PathBuf::from));
    let path = named.unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let whole = readable(&text);
    let mut kept = Table::new();
    for (section, keys) in [("server", &["host", "port"][..]), ("auth", &["admin_token_env"])] {
        let Some(Value::Table(table)) = whole.get(section) else { continue };
        let found = keys.iter().filter_map(|key| Some(((*key).to_owned(), table.get(*key)?.clone())));
        kept.insert(section.to_owned(), Value::Table(found.collect()));
    }
    load_text(&path, kept.to_string(), sources.lookup, sources.flags.clone())
}

/// How many lines are given up from the end of a file that is no TOML.
const READ_AGAIN: usize = 16;

/// What stands before the first line that is no TOML.
fn readable(text: &str) -> Table {
    let mut text = text;
    for _ in 0..READ_AGAIN {
        let error: toml::de::Error = match text.parse() {
            Ok(table) => return table,
            Err(error) => error,
        };
        // What is not closed may be found wanting only at the end.
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        let line = text.get(..at).unwrap_or_default().trim_end().rfind('\n').unwrap_or(0);
        text = &text[..line];
    }
    Table::new()
}

fn merged(file: File, sources: &Sources<'_>) -> Result<Loaded, LoadError> {
    let environment = Environment::read(sources.lookup);
    let mut warnings = environment.warnings.clone();

    let mut merged = file.table.clone();
    let mut found: Vec<Problem> = shape::one_name_each(&mut merged).into_iter().map(Problem::at).collect();
    found.extend(check::file_only(&merged));
    let mut set = merged.clone();
    merge(&mut merged, environment.table.clone());
    merge(&mut set, environment.table.clone());
    merge(&mut merged, sources.flags.clone());

    let (config, misread, ignored) = repair::deserialise(merged);
    found.extend(misread);
    if let Some(mut config) = config {
        found.extend(check::check(&config));
        if found.is_empty() {
            found.extend(settle(&mut config, sources.lookup).err());
        }
        if found.is_empty() {
            warnings.extend(ignored.iter().map(|path| file.unknown(path)));
            warnings.extend(check::suspicious(&config));
            let File { path, table, text, .. } = file;
            let text = path.is_some().then_some(text);
            return Ok(Loaded { config, warnings, file: path, text, from_file: table });
        }
    }
    // A misspelt key is often the cause of a missing one.
    found.extend(ignored.into_iter().map(|path| Problem { message: hint(&path), path: path.to_string() }));
    found.sort_by_key(|problem| file.line(&problem.path));
    let placed = |problem: Problem| (place(&problem, &file, &environment, &sources.flags), problem);
    Err(LoadError::Problems(Problems { list: found.into_iter().map(placed).collect() }))
}

/// Paths and the key as everyone else expects them.
fn settle(config: &mut Config, lookup: &Lookup<'_>) -> Result<(), Problem> {
    config.data_dir = expand(&config.data_dir, lookup);
    config.mesh.key_file = expand(&config.mesh.key_file, lookup);
    if !config.mesh.key_file.is_empty() {
        let problem = |message: String| Problem { path: "mesh.key_file".to_owned(), message };
        let text = std::fs::read_to_string(&config.mesh.key_file)
            .map_err(|error| problem(format!("cannot read {}: {error}", config.mesh.key_file)))?;
        if let Err(error) = MeshKey::parse(&text) {
            return Err(problem(format!("{} holds no mesh key: {error}", config.mesh.key_file)));
        }
        config.mesh.key = text;
    }
    // Keys are compared as text elsewhere: one form, however it was written.
    if let Ok(key) = MeshKey::parse(&config.mesh.key) {
        config.mesh.key = key.to_string();
    }
    Ok(())
}

/// `~` is the home directory. Where there is none it stays: most commands need no directory, and who does says so.
fn expand(path: &str, lookup: &Lookup<'_>) -> String {
    let home = || lookup("HOME").or_else(|| lookup("USERPROFILE"));
    match path.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with(['/', '\\']) => match home() {
            Some(home) => format!("{}{rest}", home.trim_end_matches('/')),
            None => path.to_owned(),
        },
        _ => path.to_owned(),
    }
}

/// Puts `over` on top of `base`: tables key by key, everything else whole.
pub(super) fn merge(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(over)) => merge(base, over),
            (_, value) => drop(base.insert(key, value)),
        }
    }
}

struct File {
    path: Option<PathBuf>,
    table: Table,
    text: String,
    lines: OnceCell<Lines>,
}

impl File {
    fn read(sources: &Sources<'_>) -> Result<Self, LoadError> {
        let named = sources.file.map(Path::to_owned).or_else(|| (sources.lookup)("NEXUS_CONFIG").map(PathBuf::from));
        let path = named.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if (named.is_none() || sources.optional) && error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(File { path: None, table: Table::new(), text: String::new(), lines: OnceCell::new() });
            }
            Err(error) => return Err(LoadError::Unreadable { path, error }),
        };
        File::of(path, text)
    }

    fn of(path: PathBuf, text: String) -> Result<Self, LoadError> {
        let table: Table = match text.parse() {
            Ok(table) => table,
            Err(error) => return Err(syntax(path, &text, &error)),
        };
        match table.get("version") {
            None => {}
            Some(Value::Integer(version)) if *version == i64::from(VERSION) => {}
            Some(other) => return Err(LoadError::Version { path, found: other.to_string() }),
        }
        Ok(File { path: Some(path), text, table, lines: OnceCell::new() })
    }

    fn line(&self, key_path: &str) -> Option<usize> {
        self.lines.get_or_init(|| Lines::of(&self.text)).find(key_path)
    }

    fn place(&self, key_path: &str) -> String {
        let path = self.path.as_deref().unwrap_or(Path::new(DEFAULT_FILE)).display();
        match self.line(key_path) {
            Some(line) => format!("{path}:{line}"),
            None => path.to_string(),
        }
    }

    fn unknown(&self, path: &KeyPath) -> String {
        format!("{}: {path}: {}", self.place(&path.to_string()), hint(path))
    }
}

fn hint(path: &KeyPath) -> String {
    match shape::nearest(path) {
        Some(name) => format!("unknown key, ignored: did you mean `{name}`?"),
        None => "unknown key, ignored".to_owned(),
    }
}

fn syntax(path: PathBuf, text: &str, error: &toml::de::Error) -> LoadError {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let before = text.get(..start).unwrap_or_default();
    LoadError::Syntax {
        path,
        line: before.matches('\n').count() + 1,
        column: before.chars().rev().take_while(|character| *character != '\n').count() + 1,
        message: error.message().trim().replace('\n', ", "),
    }
}

fn place(problem: &Problem, file: &File, environment: &Environment, flags: &Table) -> String {
    if is_set(flags, &problem.path) {
        return "command line".to_owned();
    }
    let origins: &BTreeMap<String, &'static str> = &environment.origins;
    let variable = origins.iter().find(|(path, _)| problem.path.starts_with(path.as_str()));
    variable.map_or_else(|| file.place(&problem.path), |(_, variable)| (*variable).to_owned())
}

fn is_set(table: &Table, path: &str) -> bool {
    let steps: Vec<_> = path.split('.').map(|key| Step::Key(key.to_owned())).collect();
    find_mut(&mut Value::Table(table.clone()), &steps).is_some()
}

#[cfg(test)]
mod tests;

//! What the environment says: the variables of the process, and the configuration keys they stand for.
//! This is the only place that reads the process environment.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::load::merge;

/// How variables are looked up; empty ones count as unset.
pub type Lookup<'a> = dyn Fn(&str) -> Option<String> + Sync + 'a;

/// The environment of this process.
#[expect(clippy::disallowed_methods, reason = "this is the seam")]
pub fn process(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What variables set, as tables.
pub(super) struct Environment {
    pub(super) table: Table,
    /// Key path to the variable that set it.
    pub(super) origins: BTreeMap<String, &'static str>,
    pub(super) warnings: Vec<String>,
}

enum Form {
    Text,
    Port,
    Switch,
    List,
    OneOf(&'static [&'static str]),
}

/// Every variable that stands for a key. Flags above it win, the file below it loses.
const VARIABLES: &[(&str, &str, Form)] = &[
    ("NEXUS_HOST", "server.host", Form::Text),
    ("NEXUS_PORT", "server.port", Form::Port),
    ("NEXUS_LOG_LEVEL", "logging.level", Form::OneOf(&["trace", "debug", "info", "warn", "error"])),
    ("NEXUS_LOG_FORMAT", "logging.format", Form::OneOf(&["pretty", "json"])),
    ("NEXUS_DISCOVERY", "discovery.enabled", Form::Switch),
    ("NEXUS_HEALTH_CHECK", "health_check.enabled", Form::Switch),
    ("NEXUS_DATA_DIR", "data_dir", Form::Text),
    ("NEXUS_MESH", "mesh.enabled", Form::Switch),
    ("NEXUS_MESH_NAME", "mesh.name", Form::Text),
    ("NEXUS_MESH_KEY", "mesh.key", Form::Text),
    ("NEXUS_MESH_SEEDS", "mesh.seeds", Form::List),
    ("NEXUS_PEER_NAME", "mesh.peer_name", Form::Text),
];

impl Environment {
    /// Values that cannot be read are left out, each with a warning.
    pub(super) fn read(lookup: &Lookup<'_>) -> Self {
        let mut read = Environment { table: Table::new(), origins: BTreeMap::new(), warnings: Vec::new() };
        for (variable, path, form) in VARIABLES {
            let Some(text) = lookup(variable).filter(|text| !text.trim().is_empty()) else { continue };
            match form.read(text.trim()) {
                Ok(value) => {
                    merge(&mut read.table, nest(path, value));
                    read.origins.insert((*path).to_owned(), variable);
                }
                Err(wanted) => {
                    read.warnings.push(format!("{variable}: `{}` is not {wanted}: ignored", text.trim()));
                }
            }
        }
        read
    }
}

impl Form {
    fn read(&self, text: &str) -> Result<Value, String> {
        match self {
            Form::Text => Ok(Value::String(text.to_owned())),
            Form::Port => match text.parse::<u16>() {
                Ok(port) => Ok(Value::Integer(port.into())),
                Err(_) => Err("a port, 0 to 65535".to_owned()),
            },
            Form::Switch => switch(text).map(Value::Boolean).ok_or_else(|| "one of on, off".to_owned()),
            Form::List => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Ok(Value::Array(parts.map(|part| Value::String(part.to_owned())).collect()))
            }
            Form::OneOf(words) => {
                let word = text.to_ascii_lowercase();
                if words.contains(&word.as_str()) {
                    Ok(Value::String(word))
                } else {
                    Err(format!("one of {}", words.join(", ")))
                }
            }
        }
    }
}

fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// A table that holds only `value`, at a path of bare keys.
pub(super) fn nest(path: &str, value: Value) -> Table {
    let mut keys = path.rsplit('.');
    let mut table = Table::new();
    if let Some(last) = keys.next() {
        table.insert(last.to_owned(), value);
    }
    for key in keys {
        let inner = std::mem::take(&mut table);
        table.insert(key.to_owned(), Value::Table(inner));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variable: &str, value: &str) -> Environment {
        Environment::read(&|name| (name == variable).then(|| value.to_owned()))
    }

    #[test]
    fn every_variable_reaches_its_key() {
        for (variable, value, toml) in [
            ("NEXUS_HOST", "::1", "server.host = '::1'"),
            ("NEXUS_PORT", "9000", "server.port = 9000"),
            ("NEXUS_LOG_LEVEL", "DEBUG", "logging.level = 'debug'"),
            ("NEXUS_LOG_FORMAT", "Json", "logging.format = 'json'"),
            ("NEXUS_DISCOVERY", "No", "discovery.enabled = false"),
            ("NEXUS_HEALTH_CHECK", "OFF", "health_check.enabled = false"),
            ("NEXUS_DATA_DIR", "/d", "data_dir = '/d'"),
            ("NEXUS_MESH", "1", "mesh.enabled = true"),
            ("NEXUS_MESH_NAME", "home", "mesh.name = 'home'"),
            ("NEXUS_MESH_KEY", "k", "mesh.key = 'k'"),
            ("NEXUS_MESH_SEEDS", "a:1, b:2,", "mesh.seeds = ['a:1', 'b:2']"),
            ("NEXUS_PEER_NAME", "desk", "mesh.peer_name = 'desk'"),
        ] {
            let expected: Table = toml.parse().expect("a literal table");
            assert_eq!(read(variable, value).table, expected, "{variable}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_left_out_with_a_warning() {
        for (variable, value) in [
            ("NEXUS_PORT", "http"),
            ("NEXUS_PORT", "70000"),
            ("NEXUS_LOG_LEVEL", "loud"),
            ("NEXUS_LOG_FORMAT", "xml"),
            ("NEXUS_DISCOVERY", "perhaps"),
        ] {
            let environment = read(variable, value);
            assert!(environment.table.is_empty(), "{variable}");
            assert!(environment.warnings[0].starts_with(variable), "{:?}", environment.warnings);
        }
        assert!(read("NEXUS_MESH_KEY", " ").warnings.is_empty(), "blank is unset");
    }
}

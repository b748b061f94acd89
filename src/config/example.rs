//! The commented configuration file: every key with its meaning and its default, written from the schema, so that it
//! cannot fall behind. `nexus.example.toml` is this text, and a test keeps it so.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value as Json;
use toml::{Table, Value};

use super::{Config, shape};

const HEAD: &str = "\
# The configuration of Nexus. Every key is optional; the values shown are the defaults.
# Lines that begin with `#` and no space are keys to uncomment.
# The command line wins over the environment (NEXUS_PORT, NEXUS_MESH_KEY, ...), which wins over this file.

";

/// What stands behind an optional key, where the type alone would say too little.
const SAMPLES: &[(&str, &str)] = &[
    ("routing.strategy", "\"smart\""),
    ("routing.aliases", "\"gpt-4\" = \"llama3.2:latest\""),
    ("routing.fallbacks", "\"llama3:70b\" = [\"qwen2.5:7b\", \"mistral:7b\"]"),
    ("routing.policies.model_pattern", "\"code-*\""),
    ("routing.policies.privacy", "\"restricted\""),
    ("routing.policies.min_tier", "3"),
    ("routing.policies.max_cost_per_request", "0.5"),
    ("budget.monthly_limit_usd", "50.0"),
    ("budget.soft_limit_percent", "75.0"),
    ("budget.hard_limit_action", "\"block_cloud\""),
    ("budget.reconciliation_interval_secs", "60"),
    ("prices", "\"gpt-4o\" = { input = 2.5, output = 10.0, cached_input = 1.25 }"),
    ("auth.client_keys.name", "\"notebook\""),
    ("auth.client_keys.key_env", "\"NOTEBOOK_KEY\""),
    ("auth.client_keys.models", "[\"llama3*\"]"),
    ("auth.client_keys.monthly_limit_usd", "10.0"),
    ("auth.client_keys.requests_per_minute", "60"),
    ("auth.client_keys.tokens_per_minute", "100000"),
    ("logging.component_levels", "routing = \"debug\""),
    ("backends.name", "\"local-ollama\""),
    ("backends.url", "\"http://localhost:11434\""),
    ("backends.type", "\"ollama\""),
    ("backends.zone", "\"restricted\""),
    ("backends.concurrency", "4"),
    ("backends.requests_per_minute", "60"),
    ("backends.tokens_per_minute", "100000"),
    ("backends.context_length", "16384"),
    ("backends.keep_alive", "\"30m\""),
];

/// Optional keys that contradict others in the same table, or suit only some: shown in words, not to be uncommented.
const IN_WORDS: &[(&str, &str)] = &[
    ("auth.client_keys.key_sha256", "key_sha256 = \"<64 hex digits>\", instead of key_env"),
    ("backends.api_key_env", "api_key_env = \"OPENAI_API_KEY\", for type = \"openai\""),
    ("backends.forward_client_auth", "forward_client_auth = true"),
];

/// Every key with its default.
pub fn example() -> String {
    write_all(&BTreeMap::new())
}

/// What `nexus config init` writes: the example with a strategy chosen, and a key of its own.
pub fn first(key: &str) -> String {
    let smart = Value::String("smart".to_owned());
    write_all(&BTreeMap::from([("routing.strategy", smart), ("mesh.key", Value::String(key.to_owned()))]))
}

/// What `nexus config init --minimal` writes.
pub fn minimal(key: &str) -> String {
    format!(
        "# The configuration of Nexus, in short. `nexus config init --output full.toml` shows every key.\n\n\
         [server]\nhost = \"0.0.0.0\"\nport = 8000\n\n\
         [discovery]\nenabled = true\n\n\
         [health_check]\nenabled = true\n\n\
         [routing]\nstrategy = \"smart\"\n\n\
         [logging]\nlevel = \"info\"\n\n\
         # Peers that hold the same key form one mesh: `nexus mesh invite` prints a token for the next one.\n\
         [mesh]\nkey = \"{key}\"\n\n\
         #[[backends]]\n#name = \"local-ollama\"\n#url = \"http://localhost:11434\"\n#type = \"ollama\"\n"
    )
}

fn write_all(chosen: &BTreeMap<&str, Value>) -> String {
    let defaults = Table::try_from(Config::default()).expect("the default configuration is a TOML table");
    let mut writer = Writer { out: HEAD.to_owned(), chosen };
    writer.table("", shape::schema(), Some(&defaults));
    writer.out
}

struct Writer<'a> {
    out: String,
    chosen: &'a BTreeMap<&'a str, Value>,
}

impl Writer<'_> {
    /// Keys first, then the tables under this one: TOML wants it so. Without `defaults` all of it is commented out.
    fn table(&mut self, path: &str, schema: &'static Json, defaults: Option<&Table>) {
        let properties = || schema["properties"].as_object().into_iter().flatten();
        for (key, property) in properties().filter(|(_, property)| !is_section(property)) {
            let default = defaults.and_then(|defaults| defaults.get(key));
            self.key(&join(path, key), key, property, default);
        }
        for (key, property) in properties().filter(|(_, property)| is_section(property)) {
            let default = defaults.and_then(|defaults| defaults.get(key)).and_then(Value::as_table);
            self.section(&join(path, key), property, default);
        }
    }

    fn section(&mut self, path: &str, property: &'static Json, default: Option<&Table>) {
        let schema = shape::resolve(property);
        self.out.push('\n');
        self.comment(property["description"].as_str().or(schema["description"].as_str()));
        if schema["type"] == "array" {
            // Writing to a String does not fail.
            let _ = writeln!(self.out, "#[[{path}]]");
            self.table(path, shape::resolve(&schema["items"]), None);
        } else if schema.get("properties").is_some() {
            let mark = if default.is_some() { "" } else { "#" };
            let _ = writeln!(self.out, "{mark}[{path}]");
            self.table(path, schema, default);
        } else {
            let _ = writeln!(self.out, "[{path}]\n#{}", sample(path).unwrap_or_default());
        }
    }

    fn key(&mut self, path: &str, key: &str, property: &'static Json, default: Option<&Value>) {
        self.comment(property["description"].as_str());
        let schema = shape::resolve(property);
        if let Some((_, words)) = IN_WORDS.iter().find(|(known, _)| *known == path) {
            let _ = writeln!(self.out, "# {words}");
        } else if let Some(value) = self.chosen.get(path).or(default) {
            let _ = writeln!(self.out, "{key} = {value}");
        } else {
            let own = || property.get("default").filter(|value| !value.is_null()).map(Json::to_string);
            let value = sample(path).map(str::to_owned).or_else(own).unwrap_or_else(|| by_type(schema));
            let _ = writeln!(self.out, "#{key} = {value}");
        }
    }

    fn comment(&mut self, description: Option<&str>) {
        for line in description.unwrap_or_default().lines() {
            let _ = writeln!(self.out, "# {line}");
        }
    }
}

/// Whether a key is written as a table of its own.
fn is_section(property: &'static Json) -> bool {
    let schema = shape::resolve(property);
    schema["type"] == "object" || (schema["type"] == "array" && shape::resolve(&schema["items"])["type"] == "object")
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn sample(path: &str) -> Option<&'static str> {
    SAMPLES.iter().find(|(known, _)| *known == path).map(|(_, sample)| *sample)
}

fn by_type(schema: &Json) -> String {
    let has =
        |name: &str| schema["type"] == name || schema["type"].as_array().is_some_and(|all| all.contains(&name.into()));
    let word = if has("boolean") {
        "true"
    } else if has("integer") || has("number") {
        "1"
    } else {
        "\"\""
    };
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Loaded, Sources, load, process};

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/nexus.example.toml");

    fn loaded(text: &str) -> Loaded {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("n.toml");
        std::fs::write(&path, text).expect("write");
        load(Sources { file: Some(&path), optional: false, lookup: &|_| None, flags: Table::new() })
            .expect("a good configuration")
    }

    #[test]
    fn the_example_file_is_this_text() {
        if process("UPDATE").is_some() {
            std::fs::write(FILE, example()).expect("the file can be written");
        }
        let committed = std::fs::read_to_string(FILE).unwrap_or_default();
        assert_eq!(committed, example(), "regenerate it: UPDATE=1 cargo test --lib config::example");
    }

    #[test]
    fn the_example_says_the_defaults() {
        assert_eq!(toml::from_str::<Config>(&example()).expect("it parses"), Config::default());
        assert_eq!(loaded(&example()).warnings, Vec::<String>::new());
    }

    #[test]
    fn every_line_can_be_uncommented() {
        let uncommented: Vec<_> = example()
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(rest) if !rest.starts_with(' ') => rest.to_owned(),
                _ => line.to_owned(),
            })
            .collect();
        let loaded = loaded(&uncommented.join("\n"));
        assert_eq!(loaded.config.backends.len(), 1);
        assert_eq!(loaded.config.routing.policies.len(), 1);
        assert_eq!(loaded.config.auth.client_keys.len(), 1);
        let unknown: Vec<_> = loaded.warnings.iter().filter(|warning| warning.contains("unknown key")).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[test]
    fn a_first_file_has_a_key_and_a_strategy() {
        let key = "a".repeat(52);
        assert!(crate::mesh::MeshKey::parse(&key).is_ok());
        for text in [first(&key), minimal(&key)] {
            let loaded = loaded(&text);
            assert_eq!(loaded.config.mesh.key, key);
            assert_eq!(loaded.config.routing.strategy, Some(crate::route::Strategy::Smart));
            for section in ["[server]", "[discovery]", "[health_check]", "[routing]", "[logging]"] {
                assert!(text.lines().any(|line| line == section), "{section}");
            }
        }
    }
}

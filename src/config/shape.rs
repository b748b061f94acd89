//! The shape of the configuration, read from its schema: which names are known where, which one is nearest to a
//! misspelt one, and other spellings of the same key. It says nothing about values.

use std::sync::LazyLock;

use serde_json::Value as Json;
use toml::{Table, Value};

use super::Config;
use super::place::{KeyPath, Step};

static SCHEMA: LazyLock<Json> = LazyLock::new(|| schemars::schema_for!(Config).to_value());

/// The schema of the whole configuration.
pub(super) fn schema() -> &'static Json {
    &SCHEMA
}

/// Follows `$ref`, and the real alternative of an optional value.
pub(super) fn resolve(schema: &'static Json) -> &'static Json {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/")) {
        return resolve(&SCHEMA["$defs"][name]);
    }
    let alternatives = schema["anyOf"].as_array().into_iter().flatten();
    match alternatives.into_iter().find(|alternative| alternative["type"] != "null") {
        Some(alternative) => resolve(alternative),
        None => schema,
    }
}

/// The known name nearest to the last key of `path`, if one is near.
pub(super) fn nearest(path: &KeyPath) -> Option<&'static str> {
    let (Step::Key(key), parents) = path.split_last()? else { return None };
    let parent = parents.iter().fold(resolve(&SCHEMA), |schema, step| {
        resolve(match step {
            Step::Index(_) => &schema["items"],
            // Policies may also be a table keyed by pattern.
            Step::Key(_) if schema["type"] == "array" => &schema["items"],
            Step::Key(key) => schema["properties"].get(key).unwrap_or(&schema["additionalProperties"]),
        })
    });
    near(key, parent["properties"].as_object()?.keys().map(String::as_str))
}

/// The name nearest to `word`, if it is at most a third of the word away or begins like it.
pub(super) fn near<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    names
        .map(|name| {
            let begins = word.len() >= 3 && (name.starts_with(&word) || word.starts_with(name));
            (if begins { 1 } else { strsim::damerau_levenshtein(&word, name) }, name)
        })
        .filter(|(distance, name)| *distance <= 1.max(name.len().max(word.len()) / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Other spellings: the table they stand in (`*` = every element), the other name, the name.
const ALIASES: &[(&[&str], &str, &str)] = &[
    (&[], "queuing", "queue"),
    (&["budget"], "monthly_limit", "monthly_limit_usd"),
    (&["quality"], "ttft_threshold_ms", "ttft_penalty_threshold_ms"),
    (&["queue"], "max_queue_size", "max_size"),
    (&["queue"], "default_timeout_seconds", "max_wait_seconds"),
    (&["backends", "*"], "backend_type", "type"),
];

/// Gives every key its one name and place. Returns path and message of each contradiction.
pub(super) fn one_name_each(root: &mut Table) -> Vec<(KeyPath, String)> {
    let mut problems = Vec::new();
    if let Some(Value::Table(routing)) = root.get_mut("routing")
        && let Some(budget) = routing.remove("budget")
    {
        if root.contains_key("budget") {
            let message = "`[budget]` and `[routing.budget]` are the same section: keep one";
            problems.push((KeyPath::default().key("routing").key("budget"), message.to_owned()));
        } else {
            root.insert("budget".to_owned(), budget);
        }
    }
    for (table, alias, name) in ALIASES {
        rename(root, table, alias, name, &KeyPath::default(), &mut problems);
    }
    problems
}

fn rename(
    table: &mut Table,
    way: &[&str],
    alias: &str,
    name: &str,
    at: &KeyPath,
    problems: &mut Vec<(KeyPath, String)>,
) {
    let Some((next, rest)) = way.split_first() else {
        let Some(value) = table.remove(alias) else { return };
        match table.get(name) {
            Some(other) if *other != value => {
                problems.push((at.key(alias), format!("`{alias}` and `{name}` say different things: keep one")));
            }
            _ => drop(table.insert(name.to_owned(), value)),
        }
        return;
    };
    match table.get_mut(*next) {
        Some(Value::Table(inner)) => rename(inner, rest, alias, name, &at.key(next), problems),
        Some(Value::Array(elements)) => {
            for (index, element) in elements.iter_mut().enumerate() {
                if let Value::Table(inner) = element {
                    rename(inner, &rest[1.min(rest.len())..], alias, name, &at.key(next).index(index), problems);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> KeyPath {
        text.split('.').fold(KeyPath::default(), |path, part| match part.parse() {
            Ok(index) => path.index(index),
            Err(_) => path.key(part),
        })
    }

    #[test]
    fn a_misspelt_key_finds_its_neighbour() {
        for (wrong, right) in [
            ("routting", Some("routing")),
            ("server.prot", Some("port")),
            ("server.timeout", None),
            ("backends.0.ulr", Some("url")),
            ("backends.3.api_key", Some("api_key_env")),
            ("routing.policies.0.min_teir", Some("min_tier")),
            ("routing.policies.code-*.privcy", Some("privacy")),
            ("routing.weights.latancy", Some("latency")),
            ("budget.monthly_limit_us", Some("monthly_limit_usd")),
            ("auth.client_keys.0.key_sha", Some("key_sha256")),
            ("health_check.interval", Some("interval_seconds")),
            ("zebra", None),
        ] {
            assert_eq!(nearest(&path(wrong)), right, "{wrong}");
        }
    }

    #[test]
    fn other_spellings_become_the_one_name() {
        let mut table: Table = "routing.budget.monthly_limit = 5.0\nqueuing.max_queue_size = 3\n\
                                backends = [{ backend_type = 'ollama', type = 'ollama' }]"
            .parse()
            .expect("a literal table");
        assert_eq!(one_name_each(&mut table), vec![]);
        let expected: Table = "routing = {}\nbackends = [{ type = 'ollama' }]\nbudget.monthly_limit_usd = 5.0\n\
                               queue.max_size = 3"
            .parse()
            .expect("a literal table");
        assert_eq!(table, expected);
    }

    #[test]
    fn two_spellings_that_disagree_are_a_problem() {
        let mut table: Table = "budget.monthly_limit = 5.0\nbudget.monthly_limit_usd = 6.0\n\
                                backends = [{ name = 'a', backend_type = 'vllm', type = 'ollama' }]\n\
                                routing.budget = {}"
            .parse()
            .expect("a literal table");
        let places: Vec<_> = one_name_each(&mut table).into_iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(places, ["routing.budget", "budget.monthly_limit", "backends[0].backend_type"]);
    }
}

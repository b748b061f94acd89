//! Changing a TOML file: everything else in it stays as it is, comments too.

use serde_json::Value as Json;
use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

use super::patch::{Edited, is_ours, leaves, shown};

/// # Errors
/// Why `text` cannot be changed.
pub(super) fn apply(text: &str, patch: &Json) -> Result<Edited, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        format!("it is not TOML ({})", error.message().lines().next().unwrap_or_default())
    })?;
    let mut changed = Vec::new();
    for (path, value) in leaves(patch) {
        if set(document.as_table_mut(), &path, value)? {
            changed.push(shown(&path));
        }
    }
    let text = if changed.is_empty() { text.to_owned() } else { document.to_string() };
    Ok(Edited { text, changed })
}

/// Whether that changed anything.
fn set(root: &mut dyn TableLike, path: &[&str], value: &Json) -> Result<bool, String> {
    let Some((key, parents)) = path.split_last() else { return Ok(false) };
    let mut at = root;
    for (depth, parent) in parents.iter().enumerate() {
        if value.is_null() && !at.contains_key(parent) {
            return Ok(false);
        }
        let mut table = Table::new();
        // Only the innermost needs a header of its own.
        table.set_implicit(depth + 1 < parents.len());
        let item = at.entry(parent).or_insert(Item::Table(table));
        at = item.as_table_like_mut().ok_or_else(|| format!("`{}` is not a table", shown(&path[..=depth])))?;
    }
    let Some(new) = scalar(value) else {
        let is_ours = at.get(key).and_then(Item::as_str).is_some_and(is_ours);
        return Ok(is_ours && at.remove(key).is_some());
    };
    Ok(put(at, key, new))
}

/// Replaces only the value, so that a comment behind it stays.
fn put(table: &mut dyn TableLike, key: &str, mut new: Value) -> bool {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) if is_same(old, &new) => false,
        Some(old) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
            true
        }
        None => {
            table.insert(key, Item::Value(new));
            true
        }
    }
}

fn is_same(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::String(old), Value::String(new)) => old.value() == new.value(),
        (Value::Integer(old), Value::Integer(new)) => old.value() == new.value(),
        (Value::Boolean(old), Value::Boolean(new)) => old.value() == new.value(),
        _ => false,
    }
}

fn scalar(value: &Json) -> Option<Value> {
    match value {
        Json::String(text) => Some(text.as_str().into()),
        Json::Bool(flag) => Some((*flag).into()),
        Json::Number(number) => number.as_i64().map(Into::into),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patch() -> Json {
        let nexus = json!({"name": "Nexus", "env_key": null});
        json!({"model": "m", "model_provider": "nexus", "model_providers": {"nexus": nexus}})
    }

    #[test]
    fn comments_and_shape_stay_and_twice_is_once() {
        let before = "# mine\nmodel = 'old' # why\n\n# servers\n[mcp_servers.a]\ncommand = \"x\"\n\n\
                      [model_providers.nexus] # here\nenv_key = \"NEXUS_API_KEY\"\n";
        let once = apply(before, &patch()).expect("TOML");
        assert_eq!(
            once.changed,
            ["model", "model_provider", "model_providers.nexus.name", "model_providers.nexus.env_key"]
        );
        assert_eq!(
            once.text,
            "# mine\nmodel = \"m\" # why\nmodel_provider = \"nexus\"\n\n# servers\n[mcp_servers.a]\ncommand = \"x\"\n\n\
             [model_providers.nexus] # here\nname = \"Nexus\"\n"
        );
        assert_eq!(apply(&once.text, &patch()).expect("TOML"), Edited { text: once.text, changed: Vec::new() });
    }

    #[test]
    fn an_empty_file_gets_only_the_tables_it_needs() {
        let expected = "model = \"m\"\nmodel_provider = \"nexus\"\n\n[model_providers.nexus]\nname = \"Nexus\"\n";
        assert_eq!(apply("", &patch()).expect("TOML").text, expected);
    }

    #[test]
    fn what_is_not_a_table_is_refused() {
        assert_eq!(apply("model_providers = 1\n", &patch()).expect_err("no table"), "`model_providers` is not a table");
        assert!(apply("hello\n", &patch()).expect_err("no TOML").starts_with("it is not TOML ("));
    }
}

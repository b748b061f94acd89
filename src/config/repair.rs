//! Deserialising so that one wrong value does not hide the next: each is noted, taken out, and the rest read again.

use toml::{Table, Value};

use super::place::{KeyPath, Step, find_mut};
use super::{Config, Problem, shape};

/// Wrong values noted before giving up: enough for any file a person wrote.
const MOST: usize = 100;

/// The configuration with defaults for what was wrong (`None` if even that does not help), what was wrong, and the keys
/// that nothing reads.
pub(super) fn deserialise(table: Table) -> (Option<Config>, Vec<Problem>, Vec<KeyPath>) {
    let mut root = Value::Table(table);
    let mut problems = Vec::new();
    while problems.len() < MOST {
        let mut ignored = Vec::new();
        let mut track = serde_path_to_error::Track::new();
        let tracked = serde_path_to_error::Deserializer::new(root.clone(), &mut track);
        let read = serde_ignored::deserialize(tracked, |path| ignored.push(KeyPath::of_ignored(&path)));
        let error: toml::de::Error = match read {
            Ok(config) => return (Some(config), problems, ignored),
            Err(error) => error,
        };
        let path = KeyPath::of_error(&track.path());
        let message = error.message().trim();
        problems.push(Problem::at((path.clone(), plain(message, &path))));
        let mended = match missing_field(message) {
            Some(field) => supply(&mut root, &path.key(field)),
            None => take_out(&mut root, &path),
        };
        if !mended {
            break;
        }
    }
    (None, problems, Vec::new())
}

fn missing_field(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.strip_suffix('`')
}

/// Removes the value at `path`, or puts a harmless one where something must stand.
fn take_out(root: &mut Value, path: &KeyPath) -> bool {
    if supply(root, path) {
        return true;
    }
    let Some((last, parents)) = path.split_last() else { return false };
    match (find_mut(root, parents), last) {
        (Some(Value::Table(table)), Step::Key(key)) => table.remove(key).is_some(),
        (Some(Value::Array(array)), Step::Index(index)) if *index < array.len() => {
            array.remove(*index);
            true
        }
        _ => false,
    }
}

/// Puts a value that passes every check at a key that must be there. False for any other key.
fn supply(root: &mut Value, path: &KeyPath) -> bool {
    let Some((Step::Key(key), parents)) = path.split_last() else { return false };
    let harmless = match key.as_str() {
        "name" => format!("({})", KeyPath(parents.to_vec())),
        "url" => "http://localhost".to_owned(),
        "type" => "generic".to_owned(),
        "model_pattern" => "*".to_owned(),
        _ => return false,
    };
    match find_mut(root, parents) {
        Some(Value::Table(table))
            if !parents.is_empty() && table.get(key).and_then(Value::as_str) != Some(&harmless) =>
        {
            table.insert(key.clone(), Value::String(harmless));
            true
        }
        _ => false,
    }
}

/// What serde says, in words of TOML, with what to write instead.
fn plain(message: &str, path: &KeyPath) -> String {
    if let Some(field) = missing_field(message) {
        return format!("`{field}` is missing");
    }
    let mut text = message.to_owned();
    for (from, to) in [
        ("expected u8", "expected a whole number from 0 to 255"),
        ("expected u16", "expected a whole number from 0 to 65535"),
        ("expected u32", "expected a whole number from 0 to 4294967295"),
        ("expected u64", "expected a whole number, not negative"),
        ("expected i32", "expected a whole number"),
        ("expected f64", "expected a number"),
        ("expected f32", "expected a number"),
        ("expected a boolean", "expected true or false"),
        ("expected a sequence", "expected a list: [...]"),
        ("expected a map", "expected a table"),
        ("invalid type: ", "found "),
        ("invalid value: ", "found "),
    ] {
        text = text.replace(from, to);
    }
    if let Some(at) = text.find("expected struct ") {
        text.truncate(at);
        text.push_str("expected a table");
    }
    let (Some(found), Some((Step::Key(_), _))) = (unknown_variant(message), path.split_last()) else { return text };
    let words = message.split('`').skip(3).step_by(2);
    match shape::near(found, words) {
        Some(word) => format!("{text}: did you mean `{word}`?"),
        None => text,
    }
}

fn unknown_variant(message: &str) -> Option<&str> {
    message.strip_prefix("unknown variant `")?.split('`').next()
}

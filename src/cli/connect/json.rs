//! Changing a JSON file: keys keep their order and the file its indentation. A file with comments is left alone: they
//! would be lost.

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Map, Value as Json};

use super::patch::{Edited, is_ours, leaves, shown};

/// # Errors
/// Why `text` cannot be changed.
pub(super) fn apply(text: &str, patch: &Json) -> Result<Edited, String> {
    let mut document = if text.trim().is_empty() {
        Json::Object(Map::new())
    } else {
        serde_json::from_str(text).map_err(|error| format!("it has comments or is no plain JSON ({error})"))?
    };
    let mut changed = Vec::new();
    for (path, value) in leaves(patch) {
        if set(&mut document, &path, value)? {
            changed.push(shown(&path));
        }
    }
    let text = if changed.is_empty() { text.to_owned() } else { print(&document, indentation(text)) };
    Ok(Edited { text, changed })
}

/// Whether that changed anything.
fn set(document: &mut Json, path: &[&str], value: &Json) -> Result<bool, String> {
    let Some((key, parents)) = path.split_last() else { return Ok(false) };
    let mut at = document;
    for (depth, parent) in parents.iter().enumerate() {
        let object = at.as_object_mut().ok_or_else(|| not_an_object(&path[..depth]))?;
        if value.is_null() && !object.contains_key(*parent) {
            return Ok(false);
        }
        at = object.entry(*parent).or_insert_with(|| Json::Object(Map::new()));
    }
    let object = at.as_object_mut().ok_or_else(|| not_an_object(parents))?;
    if value.is_null() {
        let is_ours = object.get(*key).and_then(Json::as_str).is_some_and(is_ours);
        return Ok(is_ours && object.shift_remove(*key).is_some());
    }
    Ok(object.insert((*key).to_owned(), value.clone()).as_ref() != Some(value))
}

fn not_an_object(path: &[&str]) -> String {
    if path.is_empty() { "it is not an object".to_owned() } else { format!("`{}` is not an object", shown(path)) }
}

/// As the file has it, else two spaces.
fn indentation(text: &str) -> &str {
    let is_blank = |character: char| character == ' ' || character == '\t';
    let indented = text.lines().find(|line| line.starts_with(is_blank) && !line.trim().is_empty());
    indented.map_or("  ", |line| &line[..line.len() - line.trim_start_matches(is_blank).len()])
}

fn print(document: &Json, indentation: &str) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(indentation.as_bytes()));
    document.serialize(&mut serializer).expect("a value can be written to memory");
    String::from_utf8(bytes).expect("JSON is UTF-8") + "\n"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn order_and_indentation_stay_and_twice_is_once() {
        let before = concat!(
            "{\n    \"z\": 1,\n    \"env\": {\n        \"A\": \"old\",\n",
            "        \"T\": \"nexus\"\n    },\n    \"a\": []\n}\n",
        );
        let patch = json!({"env": {"A": "new", "B": "x", "T": null}, "n": {"m": [1]}});
        let once = apply(before, &patch).expect("JSON");
        assert_eq!(once.changed, ["env.A", "env.B", "env.T", "n.m"]);
        let expected = concat!(
            "{\n    \"z\": 1,\n    \"env\": {\n        \"A\": \"new\",\n",
            "        \"B\": \"x\"\n    },\n    \"a\": [],\n    \"n\": {\n",
            "        \"m\": [\n            1\n        ]\n    }\n",
            "}\n",
        );
        assert_eq!(once.text, expected);
        assert_eq!(apply(&once.text, &patch).expect("JSON"), Edited { text: once.text, changed: Vec::new() });
    }

    #[test]
    fn only_a_value_of_ours_is_taken_out() {
        let patch = json!({"env": {"T": null}, "gone": {"x": null}});
        for text in ["{\"env\":{\"T\":\"secret\"}}", "{}"] {
            assert_eq!(apply(text, &patch).expect("JSON"), Edited { text: text.to_owned(), changed: Vec::new() });
        }
    }

    #[test]
    fn what_would_be_lost_is_refused() {
        let patch = json!({"env": {"A": "new"}});
        for text in ["// mine\n{}", "{\"a\": 1,}", "hello"] {
            assert!(
                apply(text, &patch).expect_err("no JSON").starts_with("it has comments or is no plain JSON"),
                "{text}"
            );
        }
        assert_eq!(apply("{\"env\": 1}", &patch).expect_err("no object"), "`env` is not an object");
        assert_eq!(apply("[]", &patch).expect_err("no object"), "it is not an object");
        assert_eq!(apply("", &patch).expect("empty").text, "{\n  \"env\": {\n    \"A\": \"new\"\n  }\n}\n");
    }
}

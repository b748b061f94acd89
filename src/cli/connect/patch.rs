//! A change to a file of settings, whatever its format: the values it is to have, as a JSON object. `null` takes out a
//! value that an earlier change put in; what others wrote stays.

use serde_json::Value as Json;

use super::settings::{KEY, NO_KEY};

/// One value and the keys that lead to it.
pub(super) type Leaf<'a> = (Vec<&'a str>, &'a Json);

/// A file's new text, and the keys of what differs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Edited {
    pub(super) text: String,
    pub(super) changed: Vec<String>,
}

/// Every value of `patch` in its order. Lists are values.
pub(super) fn leaves(patch: &Json) -> Vec<Leaf<'_>> {
    let Some(object) = patch.as_object() else { return vec![(Vec::new(), patch)] };
    let mut all = Vec::new();
    for (key, value) in object {
        for (mut path, leaf) in leaves(value) {
            path.insert(0, key);
            all.push((path, leaf));
        }
    }
    all
}

/// A value that only `nexus connect` writes.
pub(super) fn is_ours(value: &str) -> bool {
    value == NO_KEY || value == KEY || value == format!("{{env:{KEY}}}")
}

/// A path for people.
pub(super) fn shown(path: &[&str]) -> String {
    path.join(".")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_values_and_objects_are_not() {
        let patch = json!({"a": {"b": 1, "c": {"d": [2]}}, "e": null});
        let all: Vec<String> = leaves(&patch).iter().map(|(path, leaf)| format!("{}={leaf}", shown(path))).collect();
        assert_eq!(all, ["a.b=1", "a.c.d=[2]", "e=null"]);
    }
}

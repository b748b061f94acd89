//! Where a value stands: key paths as users write them (`backends[1].url`), and the line of a file they are on.
//! It judges nothing.

use std::collections::BTreeMap;
use std::fmt;

use toml::Value;

/// A way down into a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyPath(pub(super) Vec<Step>);

/// One step of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

impl KeyPath {
    pub(super) fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    pub(super) fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    fn with(&self, step: Step) -> Self {
        let mut path = self.clone();
        path.0.push(step);
        path
    }

    /// Everything but the last step, and the last step.
    pub(super) fn split_last(&self) -> Option<(&Step, &[Step])> {
        self.0.split_last()
    }

    pub(super) fn of_error(path: &serde_path_to_error::Path) -> Self {
        use serde_path_to_error::Segment;
        KeyPath(
            path.iter()
                .filter_map(|segment| match segment {
                    Segment::Seq { index } => Some(Step::Index(*index)),
                    Segment::Map { key } => Some(Step::Key(key.clone())),
                    Segment::Enum { .. } | Segment::Unknown => None,
                })
                .collect(),
        )
    }

    pub(super) fn of_ignored(path: &serde_ignored::Path<'_>) -> Self {
        use serde_ignored::Path;
        match path {
            Path::Root => KeyPath::default(),
            Path::Seq { parent, index } => Self::of_ignored(parent).index(*index),
            Path::Map { parent, key } => Self::of_ignored(parent).key(key),
            Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
                Self::of_ignored(parent)
            }
        }
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    let dot = if at == 0 { "" } else { "." };
                    if is_bare(key) { write!(f, "{dot}{key}")? } else { write!(f, "{dot}{key:?}")? }
                }
            }
        }
        Ok(())
    }
}

fn is_bare(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// The value at `steps`, if the document has one.
pub(super) fn find_mut<'a>(root: &'a mut Value, steps: &[Step]) -> Option<&'a mut Value> {
    steps.iter().try_fold(root, |value, step| match (step, value) {
        (Step::Key(key), Value::Table(table)) => table.get_mut(key),
        (Step::Index(index), Value::Array(array)) => array.get_mut(*index),
        _ => None,
    })
}

/// The line, from 1, of every key of a document.
pub(super) struct Lines(BTreeMap<String, usize>);

impl Lines {
    /// Empty for a text that is not TOML.
    pub(super) fn of(text: &str) -> Self {
        let mut lines = BTreeMap::new();
        if let Ok(document) = toml_edit::Document::parse(text) {
            walk(document.as_item(), &KeyPath::default(), text, &mut lines);
        }
        Lines(lines)
    }

    /// The line of `path`, or of the nearest thing around it.
    pub(super) fn find(&self, path: &str) -> Option<usize> {
        let mut path = path;
        loop {
            if let Some(line) = self.0.get(path) {
                return Some(*line);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }
}

fn walk(item: &toml_edit::Item, path: &KeyPath, text: &str, lines: &mut BTreeMap<String, usize>) {
    let mut child = |path: KeyPath, span: Option<std::ops::Range<usize>>, child: &toml_edit::Item| {
        if let Some(span) = span {
            lines.insert(path.to_string(), line_at(text, span.start));
        }
        walk(child, &path, text, lines);
    };
    if let Some(table) = item.as_table_like() {
        for (key, value) in table.iter() {
            child(path.key(key), table.key(key).and_then(toml_edit::Key::span), value);
        }
    } else if let Some(tables) = item.as_array_of_tables() {
        for (index, table) in tables.iter().enumerate() {
            child(path.index(index), table.span(), &toml_edit::Item::Table(table.clone()));
        }
    } else if let Some(array) = item.as_array() {
        for (index, value) in array.iter().enumerate() {
            child(path.index(index), value.span(), &toml_edit::Item::Value(value.clone()));
        }
    }
}

fn line_at(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_knows_its_line() {
        let text = "version = 1\n\n[server]\nport = 1\n\n[[backends]]\nname = \"a\"\n\n[[backends]]\nname = \"b\"\n\
                    [routing.aliases]\n\"gpt-4.1\" = \"m\"\n";
        let lines = Lines::of(text);
        for (path, line) in [
            ("version", 1),
            ("server", 3),
            ("server.port", 4),
            ("backends[1].name", 10),
            ("backends[1].url", 9),
            ("routing.aliases.\"gpt-4.1\"", 12),
        ] {
            assert_eq!(lines.find(path), Some(line), "{path}");
        }
        assert_eq!(lines.find("nowhere"), None);
        assert_eq!(Lines::of("= broken").find("server"), None);
    }

    #[test]
    fn keys_that_are_not_bare_are_quoted() {
        assert_eq!(KeyPath::default().key("a").key("b c").index(2).key("d").to_string(), "a.\"b c\"[2].d");
    }
}

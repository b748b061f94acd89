//! Single lines of YAML: what `key: value` says, and how one is written. Nothing that goes over lines.

use serde_json::Value as Json;

/// A line that begins with a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Key<'a> {
    pub(super) name: &'a str,
    /// What stands behind it, quotes and all.
    pub(super) value: &'a str,
    pub(super) comment: &'a str,
}

impl<'a> Key<'a> {
    /// `None` for everything that is not simple.
    pub(super) fn of(line: &'a str) -> Option<Self> {
        let line = line.trim();
        let (name, rest) = match line.split_once(": ") {
            Some(parts) => parts,
            None => (line.strip_suffix(':')?, ""),
        };
        let is_plain = |character: char| character.is_ascii_alphanumeric() || "_-./ ".contains(character);
        if name.is_empty() || name.starts_with("- ") || !name.chars().all(is_plain) {
            return None;
        }
        let (value, comment) = split_comment(rest.trim());
        Some(Key { name, value, comment })
    }

    /// The value without quotes, if it is one that a line can hold.
    pub(super) fn plain(&self) -> Option<String> {
        match self.value.chars().next() {
            None => Some(String::new()),
            Some('"') => serde_json::from_str(self.value).ok(),
            Some('\'') => {
                let inner = self.value.strip_prefix('\'')?.strip_suffix('\'')?;
                Some(inner.replace("''", "'"))
            }
            Some('|' | '>' | '{' | '[' | '&' | '*' | '!' | '?' | '%' | '@' | '`') => None,
            Some(_) => Some(self.value.to_owned()),
        }
    }
}

/// A comment begins with `#` behind a space, outside of quotes.
fn split_comment(rest: &str) -> (&str, &str) {
    let (mut quote, mut before, mut escaped) = (None, ' ', false);
    for (at, character) in rest.char_indices() {
        match (quote, character) {
            (None, '#') if before == ' ' => return (rest[..at].trim_end(), &rest[at..]),
            (None, '"' | '\'') if at == 0 || before == '\'' => quote = Some(character),
            (Some('"'), '\\') if !escaped => {
                escaped = true;
                continue;
            }
            (Some(open), close) if open == close && !escaped => quote = None,
            _ => {}
        }
        (before, escaped) = (character, false);
    }
    (rest, "")
}

/// How far a line is from the edge.
pub(super) fn indentation(line: &str) -> Result<usize, String> {
    let blank = &line[..line.len() - line.trim_start().len()];
    if blank.contains('\t') { Err("it is indented by tabs".to_owned()) } else { Ok(blank.len()) }
}

/// Neither empty nor a comment.
pub(super) fn is_content(line: &str) -> bool {
    let text = line.trim_start();
    !text.is_empty() && !text.starts_with('#')
}

/// A value as a line holds it. JSON's strings are YAML's.
pub(super) fn scalar(value: &Json) -> String {
    let is_bare = |text: &str| {
        let mut characters = text.chars();
        characters.next().is_some_and(|first| first.is_ascii_alphabetic())
            && characters.all(|character| character.is_ascii_alphanumeric() || "_-/".contains(character))
            && !["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(&&*text.to_ascii_lowercase())
    };
    match value {
        Json::String(text) if is_bare(text) => text.clone(),
        _ => value.to_string(),
    }
}

/// Items of a list between two marks. An item is a mapping of scalars and lists of scalars.
pub(super) fn block(items: &[Json], indent: usize, begin: &str, end: &str) -> Vec<String> {
    let edge = " ".repeat(indent);
    let mut lines = vec![format!("{edge}{begin}")];
    for fields in items.iter().filter_map(Json::as_object) {
        let mut dash = "- ";
        for (key, value) in fields {
            match value {
                Json::Array(values) => {
                    lines.push(format!("{edge}{dash}{key}:"));
                    lines.extend(values.iter().map(|value| format!("{edge}    - {}", scalar(value))));
                }
                _ => lines.push(format!("{edge}{dash}{key}: {}", scalar(value))),
            }
            dash = "  ";
        }
    }
    lines.push(format!("{edge}{end}"));
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_is_a_key_a_value_and_a_comment() {
        for (line, name, value, comment, plain) in [
            ("a: b", "a", "b", "", Some("b")),
            ("  a-b.c:  'it''s # x'  # why", "a-b.c", "'it''s # x'", "# why", Some("it's # x")),
            ("a: \"x \\\" # y\" # why", "a", "\"x \\\" # y\"", "# why", Some("x \" # y")),
            ("a: http://h:1/v1#x", "a", "http://h:1/v1#x", "", Some("http://h:1/v1#x")),
            ("a:", "a", "", "", Some("")),
            ("a: # why", "a", "", "# why", Some("")),
            ("a: |", "a", "|", "", None),
            ("a: [b]", "a", "[b]", "", None),
            ("a: 'open", "a", "'open", "", None),
        ] {
            let key = Key::of(line).expect(line);
            assert_eq!((key.name, key.value, key.comment), (name, value, comment), "{line}");
            assert_eq!(key.plain().as_deref(), plain, "{line}");
        }
        for line in ["- a: b", "a", "? a", "<<: *b", "\"a\": b", "{a: b}", "a:b"] {
            assert_eq!(Key::of(line), None, "{line}");
        }
    }

    #[test]
    fn what_could_be_anything_else_is_quoted() {
        for (text, line) in [("openai", "openai"), ("qwen3:8b", "\"qwen3:8b\""), ("no", "\"no\""), ("1", "\"1\"")] {
            assert_eq!(scalar(&json!(text)), line);
        }
        assert_eq!(scalar(&json!(true)), "true");
    }
}

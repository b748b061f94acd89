//! Changing a YAML file line by line: simple `key: value` lines in plain mappings, and one marked block in a list. What
//! is written in any other way is refused, not understood.

mod line;

use std::ops::Range;

use serde_json::Value as Json;

use self::line::{Key, indentation, is_content, scalar};
use super::patch::{Edited, is_ours, leaves, shown};

/// What stands around entries of ours in a list.
const BEGIN: &str = "# nexus: begin";
const END: &str = "# nexus: end";

/// # Errors
/// Why `text` cannot be changed.
pub(super) fn apply(text: &str, patch: &Json) -> Result<Edited, String> {
    let mut document = Document { lines: text.lines().map(str::to_owned).collect() };
    let mut changed = Vec::new();
    for (path, value) in leaves(patch) {
        if document.set(&path, value).map_err(|problem| format!("`{}`: {problem}", shown(&path)))? {
            changed.push(shown(&path));
        }
    }
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let text = if changed.is_empty() { text.to_owned() } else { document.lines.join(newline) + newline };
    Ok(Edited { text, changed })
}

struct Document {
    lines: Vec<String>,
}

/// A mapping: its lines, and how far its keys are from the edge.
#[derive(Clone)]
struct Mapping {
    lines: Range<usize>,
    indent: usize,
}

impl Document {
    /// Whether that changed anything.
    fn set(&mut self, path: &[&str], value: &Json) -> Result<bool, String> {
        let Some((key, parents)) = path.split_last() else { return Ok(false) };
        let mut mapping = Mapping { lines: 0..self.lines.len(), indent: 0 };
        for parent in parents {
            mapping = match self.find(&mapping, parent)? {
                Some(entry) => self.inside(&mapping, entry, parent)?,
                None if value.is_null() => return Ok(false),
                None => {
                    let at = self.end(&mapping);
                    self.lines.insert(at, format!("{:1$}{parent}:", "", mapping.indent));
                    Mapping { lines: at + 1..at + 1, indent: mapping.indent + 2 }
                }
            };
        }
        match value {
            Json::Array(items) => self.set_items(&mapping, key, items),
            _ => self.set_scalar(&mapping, key, value),
        }
    }

    /// The lines of `key` and what belongs to it.
    fn find(&self, mapping: &Mapping, key: &str) -> Result<Option<Range<usize>>, String> {
        let mut starts = Vec::new();
        for at in mapping.lines.clone().filter(|at| is_content(&self.lines[*at])) {
            let line = &self.lines[at];
            let depth = indentation(line)?;
            let is_item = line.trim_start().starts_with("- ") || line.trim() == "-";
            // The items of a list may stand as far out as its key.
            if depth > mapping.indent || (depth == mapping.indent && is_item && !starts.is_empty()) {
                continue;
            }
            let is_first_marker = mapping.indent == 0 && starts.is_empty() && line.trim_end() == "---";
            if is_first_marker {
                continue;
            }
            let name = Key::of(line).filter(|_| depth == mapping.indent);
            let name = name.ok_or_else(|| format!("line {} is more than `key: value`", at + 1))?.name;
            starts.push((name, at));
        }
        let mut found = starts.iter().enumerate().filter(|(_, (name, _))| *name == key);
        let Some((index, (_, start))) = found.next() else { return Ok(None) };
        if found.next().is_some() {
            return Err("it is there twice".to_owned());
        }
        let next = starts.get(index + 1).map_or(mapping.lines.end, |(_, at)| *at);
        let last = (*start..next).rev().find(|at| is_content(&self.lines[*at])).unwrap_or(*start);
        Ok(Some(*start..last + 1))
    }

    /// The mapping that is the value of `key`.
    fn inside(&mut self, outer: &Mapping, entry: Range<usize>, key: &str) -> Result<Mapping, String> {
        let line = Key::of(&self.lines[entry.start]).map(|found| found.value.to_owned()).unwrap_or_default();
        match line.as_str() {
            "" => {}
            "{}" => self.lines[entry.start] = format!("{:1$}{key}:", "", outer.indent),
            _ => return Err(format!("the value of `{key}` is on its own line")),
        }
        let lines = entry.start + 1..entry.end;
        let first = lines.clone().find(|at| is_content(&self.lines[*at]));
        let indent = first.map_or(Ok(outer.indent + 2), |at| indentation(&self.lines[at]))?;
        if indent <= outer.indent {
            return Err(format!("`{key}` is a list"));
        }
        Ok(Mapping { lines, indent })
    }

    /// Behind the last line that says anything.
    fn end(&self, mapping: &Mapping) -> usize {
        mapping.lines.clone().rev().find(|at| is_content(&self.lines[*at])).map_or(mapping.lines.start, |at| at + 1)
    }

    fn set_scalar(&mut self, mapping: &Mapping, key: &str, value: &Json) -> Result<bool, String> {
        let Some(entry) = self.find(mapping, key)? else {
            if value.is_null() {
                return Ok(false);
            }
            let at = self.end(mapping);
            // Comments at the head of a file stay at its head.
            let at = if at == 0 && mapping.indent == 0 { self.lines.len() } else { at };
            self.lines.insert(at, format!("{:2$}{key}: {}", "", scalar(value), mapping.indent));
            return Ok(true);
        };
        let old = Key::of(&self.lines[entry.start]).ok_or("it is more than `key: value`")?;
        let plain = old.plain();
        if value.is_null() {
            let is_ours = entry.len() == 1 && plain.as_deref().is_some_and(is_ours);
            if is_ours {
                self.lines.remove(entry.start);
            }
            return Ok(is_ours);
        }
        if entry.len() > 1 || plain.is_none() {
            return Err(format!("line {} is more than `key: value`", entry.start + 1));
        }
        let new = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if plain.as_deref() == Some(new.as_str()) {
            return Ok(false);
        }
        let comment = if old.comment.is_empty() { String::new() } else { format!(" {}", old.comment) };
        self.lines[entry.start] = format!("{:2$}{key}: {}{comment}", "", scalar(value), mapping.indent);
        Ok(true)
    }

    /// Puts `items` at the head of a list, between marks, in place of what stood between them.
    fn set_items(&mut self, mapping: &Mapping, key: &str, items: &[Json]) -> Result<bool, String> {
        let entry = match self.find(mapping, key)? {
            Some(entry) => entry,
            None => {
                let at = self.end(mapping);
                self.lines.insert(at, format!("{:1$}{key}:", "", mapping.indent));
                at..at + 1
            }
        };
        let head = Key::of(&self.lines[entry.start]).map(|found| found.value.to_owned()).unwrap_or_default();
        match head.as_str() {
            "" => {}
            "[]" => self.lines[entry.start] = format!("{:1$}{key}:", "", mapping.indent),
            _ => return Err(format!("the list at line {} is not one item on each line", entry.start + 1)),
        }
        let first = (entry.start + 1..entry.end).find(|at| is_content(&self.lines[*at]));
        let indent = first.map_or(Ok(mapping.indent + 2), |at| indentation(&self.lines[at]))?;
        if first.is_some_and(|at| !self.lines[at].trim_start().starts_with("- ")) {
            return Err("it is not a list".to_owned());
        }
        let block = line::block(items, indent, BEGIN, END);
        let old = self.marked()?.unwrap_or(entry.start + 1..entry.start + 1);
        if self.lines[old.clone()] == block {
            return Ok(false);
        }
        self.lines.splice(old, block);
        Ok(true)
    }

    /// The block of ours, marks and all.
    fn marked(&self) -> Result<Option<Range<usize>>, String> {
        let at = |mark: &str| self.lines.iter().position(|line| line.trim() == mark);
        match (at(BEGIN), at(END)) {
            (None, None) => Ok(None),
            (Some(begin), Some(end)) if begin < end => Ok(Some(begin..end + 1)),
            _ => Err(format!("`{BEGIN}` and `{END}` do not belong together")),
        }
    }
}

#[cfg(test)]
mod tests;

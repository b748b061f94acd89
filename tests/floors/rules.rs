//! The rules of the house, each as what breaks it. A rule that gets an exception says here why.

use super::source::Source;

/// The floors of `src/lib.rs`, lowest first.
const FLOORS: [&[&str]; 7] = [
    &["fleet", "exchange", "env"],
    &["route", "dialect"],
    &["registry", "backend", "budget", "queue", "access"],
    &["mesh", "discovery", "health"],
    &["gateway", "lifecycle"],
    &["api", "advice", "dashboard", "telemetry", "synthetic"],
    &["node", "cli", "config"],
];

/// Floors on which siblings may name each other: the lowest is one vocabulary, and on the higher ones a reader expects it.
const OPEN_FLOORS: [usize; 4] = [0, 4, 5, 6];

const LONGEST: usize = 500;

/// Where kinds of backends may be told apart: who speaks to them, and who defines them.
const KIND_FOLDERS: [&str; 2] = ["backend", "fleet"];

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|modules| modules.contains(&module))
}

/// Imports that go upward or sideways.
pub(crate) fn imports(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources {
        let Some(&from) = source.module().first() else { continue };
        let Some(own) = floor(from) else {
            broken.push(format!("{}: {from} stands on no floor", source.name));
            continue;
        };
        for to in named(source) {
            let Some(other) = floor(&to) else {
                broken.push(format!("{}: {to} stands on no floor", source.name));
                continue;
            };
            let is_sibling = other == own && to != from && !OPEN_FLOORS.contains(&own);
            if other > own || is_sibling {
                broken.push(format!("{}: {from} (floor {own}) names {to} (floor {other})", source.name));
            }
        }
    }
    broken
}

/// The modules of the crate that a file names, each once.
fn named(source: &Source) -> Vec<String> {
    let (words, depth) = (source.words(), source.module().len());
    let mut found = Vec::new();
    for at in 0..words.len() {
        let follows_path = at >= 1 && words[at - 1] == ":";
        if follows_path {
            continue;
        }
        let root = match words[at] {
            "crate" => Some(at + 1),
            "super" => climbed(&words, at, depth),
            _ => None,
        };
        if let Some(after) = root.filter(|after| words.get(*after..after + 2) == Some(&[":", ":"])) {
            found.extend(first_names(&words[after + 2..]));
        }
    }
    let is_module = |name: &String| name.chars().next().is_some_and(char::is_lowercase) && name != "self";
    found.retain(is_module);
    found.dedup();
    found
}

/// Where a path of `super` stands at the crate's root, if it climbs that far.
fn climbed(words: &[&str], at: usize, depth: usize) -> Option<usize> {
    let mut end = at + 1;
    let mut steps = 1;
    while words.get(end..end + 3) == Some(&[":", ":", "super"]) {
        (end, steps) = (end + 3, steps + 1);
    }
    (steps == depth).then_some(end)
}

/// The first name of each path: of one, or of each in braces.
fn first_names(words: &[&str]) -> Vec<String> {
    if words.first() != Some(&"{") {
        return words.first().map(|name| (*name).to_owned()).into_iter().collect();
    }
    let (mut depth, mut names) = (0_usize, Vec::new());
    for pair in words.windows(2) {
        match pair[0] {
            "{" => depth += 1,
            "}" if depth == 1 => break,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 1 && matches!(pair[0], "{" | ",") && pair[1] != "}" {
            names.push(pair[1].to_owned());
        }
    }
    names
}

/// Files that do not say what they are for.
pub(crate) fn openings(sources: &[Source]) -> Vec<String> {
    let silent = sources.iter().filter(|source| !source.text.starts_with("//!"));
    silent.map(|source| format!("{}: opens without `//!`", source.name)).collect()
}

/// Files that are too long to be one thing.
pub(crate) fn lengths(sources: &[Source]) -> Vec<String> {
    let long = sources.iter().filter(|source| source.lines > LONGEST);
    long.map(|source| format!("{}: {} lines", source.name, source.lines)).collect()
}

/// Decisions by a backend's kind where no part should know one.
pub(crate) fn kinds(sources: &[Source]) -> Vec<String> {
    let may = |source: &&Source| {
        let folder = source.module().first().copied().unwrap_or_default();
        KIND_FOLDERS.contains(&folder)
    };
    let deciding = sources.iter().filter(|source| !may(source) && decides_by_kind(&source.words()));
    deciding.map(|source| format!("{}: decides by a backend's kind", source.name)).collect()
}

fn decides_by_kind(words: &[&str]) -> bool {
    let mut in_matches = 0_usize;
    for at in 0..words.len() {
        in_matches = match words[at] {
            "matches" if words.get(at + 1) == Some(&"!") => 1,
            "(" if in_matches > 0 => in_matches + 1,
            ")" if in_matches == 2 => 0,
            ")" if in_matches > 2 => in_matches - 1,
            _ => in_matches,
        };
        let is_variant = words[at] == "Kind"
            && words.get(at + 1..at + 3) == Some(&[":", ":"])
            && words.get(at + 3).is_some_and(|name| name.starts_with(char::is_uppercase));
        if is_variant && (in_matches > 0 || is_pattern(words, at)) {
            return true;
        }
    }
    false
}

/// Whether the variant at `at` is a pattern, or compared.
fn is_pattern(words: &[&str], at: usize) -> bool {
    let mut start = at;
    while start >= 3 && words[start - 2..start] == [":", ":"] {
        start -= 3;
    }
    let before = words[start.saturating_sub(2)..start].join("");
    let after: String = words[at + 4..].iter().take(2).copied().collect();
    let compared = |signs: &str| matches!(signs, "==" | "!=");
    after == "=>" || after.starts_with('|') || compared(&after) || compared(&before) || before.ends_with("let")
}

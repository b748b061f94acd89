//! Rust source as words: comments and texts are gone, and so is what is compiled for tests only. It understands as much
//! of the language as these checks need.

/// A file of the program.
pub(crate) struct Source {
    /// Below `src/`, with `/`.
    pub(crate) name: String,
    /// As it was written.
    pub(crate) text: String,
    /// Its words and signs, tests left out.
    pub(crate) words: Vec<Word>,
    /// How many lines are left without the tests at its foot.
    pub(crate) lines: usize,
}

/// A name, or one sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    line: usize,
}

impl Source {
    /// The words as text.
    pub(crate) fn words(&self) -> Vec<&str> {
        self.words.iter().map(|word| word.text.as_str()).collect()
    }

    /// The modules on the way to this file from the crate's root.
    pub(crate) fn module(&self) -> Vec<&str> {
        let path = self.name.strip_suffix(".rs").unwrap_or(&self.name);
        let path = path.strip_suffix("/mod").unwrap_or(path);
        if matches!(path, "lib" | "main") { Vec::new() } else { path.split('/').collect() }
    }
}

/// Reads files; those that a parent declares for tests only are left out.
pub(crate) fn without_tests(files: Vec<(String, String)>) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut for_tests = Vec::new();
    for (name, text) in files {
        let lines = text.lines().count();
        let mut source = Source { name, words: words(&text), text, lines };
        let (kept, declared, foot) = split(std::mem::take(&mut source.words));
        source.words = kept;
        source.lines = foot.map_or(lines, |line| line - 1);
        let folder = source.module().join("/");
        for_tests.extend(declared.into_iter().map(|module| format!("{folder}/{module}").trim_matches('/').to_owned()));
        sources.push(source);
    }
    let is_for_tests = |source: &Source| {
        let module = source.module().join("/");
        for_tests.iter().any(|path| module == *path || module.starts_with(&format!("{path}/")))
    };
    sources.retain(|source| !is_for_tests(source));
    sources
}

/// Names and signs, with their lines; comments, texts and characters are left out.
fn words(text: &str) -> Vec<Word> {
    let chars: Vec<char> = text.chars().collect();
    let (mut at, mut line, mut found) = (0, 1, Vec::new());
    while at < chars.len() {
        let start = at;
        let end = skipped(&chars, at).unwrap_or(at);
        if end > at {
            at = end;
        } else if is_name(chars[at]) {
            while at < chars.len() && is_name(chars[at]) {
                at += 1;
            }
            found.push(Word { text: chars[start..at].iter().collect(), line });
        } else {
            if !chars[at].is_whitespace() {
                found.push(Word { text: chars[at].to_string(), line });
            }
            at += 1;
        }
        line += chars[start..at].iter().filter(|c| **c == '\n').count();
    }
    found
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where a comment, a text or a character that begins at `at` ends.
fn skipped(chars: &[char], at: usize) -> Option<usize> {
    let next = |offset: usize| chars.get(at + offset).copied().unwrap_or(' ');
    match (chars[at], next(1)) {
        ('/', '/') => Some(find(chars, at, |rest| rest[0] == '\n')),
        ('/', '*') => Some(comment(chars, at)),
        ('"', _) => Some(quoted(chars, at, '"')),
        ('b', '"') | ('c', '"') if !after_name(chars, at) => Some(quoted(chars, at + 1, '"')),
        ('r', '"' | '#') if !after_name(chars, at) => raw(chars, at + 1),
        ('b', 'r') if !after_name(chars, at) && matches!(next(2), '"' | '#') => raw(chars, at + 2),
        ('\'', '\\') => Some(quoted(chars, at, '\'')),
        // A lifetime has no second quote.
        ('\'', _) if next(2) == '\'' => Some(at + 3),
        _ => None,
    }
}

fn after_name(chars: &[char], at: usize) -> bool {
    at > 0 && is_name(chars[at - 1])
}

fn find(chars: &[char], from: usize, is_end: impl Fn(&[char]) -> bool) -> usize {
    (from..chars.len()).find(|at| is_end(&chars[*at..])).unwrap_or(chars.len())
}

fn comment(chars: &[char], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (at, depth) = (at + 2, depth + 1),
            ('*', Some('/')) => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(chars: &[char], start: usize, quote: char) -> usize {
    let mut at = start + 1;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

fn raw(chars: &[char], start: usize) -> Option<usize> {
    let signs = chars[start..].iter().take_while(|c| **c == '#').count();
    if chars.get(start + signs) != Some(&'"') {
        return None;
    }
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', signs)).collect();
    Some((find(chars, start + signs + 1, |rest| rest.starts_with(&end)) + end.len()).min(chars.len()))
}

/// The words without what is for tests only, the modules so declared, and the line where tests at the foot begin.
fn split(words: Vec<Word>) -> (Vec<Word>, Vec<String>, Option<usize>) {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut declared, mut foot) = (Vec::new(), Vec::new(), None);
    let mut at = 0;
    while at < words.len() {
        let is_marked = words[at..].iter().take(MARK.len()).map(|word| word.text.as_str()).eq(MARK);
        if !is_marked {
            kept.push(words[at].clone());
            foot = None;
            at += 1;
            continue;
        }
        foot = foot.or(Some(words[at].line));
        let (end, is_declaration) = item_end(&words, at + MARK.len());
        if let Some(module) = words[at..end].iter().skip_while(|word| word.text != "mod").nth(1)
            && is_declaration
        {
            declared.push(module.text.clone());
        }
        at = end;
    }
    (kept, declared, foot)
}

/// Where the item that begins at `at` ends, and whether it has no body.
fn item_end(words: &[Word], mut at: usize) -> (usize, bool) {
    let mut depth = 0_usize;
    while at < words.len() {
        match words[at].text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" if depth == 1 => return (at + 1, false),
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            ";" if depth == 0 => return (at + 1, true),
            _ => {}
        }
        at += 1;
    }
    (at, false)
}

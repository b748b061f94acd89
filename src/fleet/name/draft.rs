//! One reading of a name: every word is given its meaning in turn.

use std::collections::BTreeSet;

use super::size::{Part, Size, part};
use super::split::{own_part, without_api_number, words_of};
use super::words::{BASES, FAMILIES, FLAVOURS, MAKERS, NOISE, plain};
use super::{Identity, number, quantisation};

/// What has been understood so far.
#[derive(Default)]
pub(super) struct Draft {
    family: Vec<String>,
    version: Option<String>,
    size: Option<Size>,
    flavour: BTreeSet<String>,
    labels: Vec<String>,
    revisions: Vec<String>,
    /// The flavour that was read last, if it is no listed one: a second version belongs to it (`hermes-3-llama-3.1`).
    open: Option<String>,
}

impl Draft {
    pub(super) fn read(name: &str) -> Identity {
        let own = own_part(name);
        let (rest, hidden) = without_api_number(&own);
        let all = words_of(rest);
        let mut words: Vec<&str> = without_shards(&all);
        words.retain(|word| !NOISE.contains(word));
        if words.is_empty() {
            words = all.iter().map(String::as_str).collect();
        }
        let mut draft = Draft::default();
        let mut at = 0;
        while at < words.len() {
            at += draft.take(&words[at..]);
        }
        draft.version = draft.version.or(hidden);
        draft.finish()
    }

    /// Understands the first of `words`, and tells how many belonged to it.
    fn take(&mut self, words: &[&str]) -> usize {
        let open = self.open.take();
        if let Some((label, length)) = quantisation::at_start(words) {
            self.labels.push(label);
            return length;
        }
        if let Some((revision, length)) = number::revision(words) {
            self.revisions.push(revision);
            return length;
        }
        let word = words[0];
        let digit = words.get(1).copied().filter(|next| next.len() == 1 && next.as_bytes()[0].is_ascii_digit());
        if let Some(size) = part(word) {
            self.size_told(word, &size);
        } else if let Some(version) = number::version(word) {
            return 1 + self.version_told(&version, digit, open);
        } else if let Some((letters, version, tail)) = number::glued(word).filter(|(letters, ..)| self.is_own(letters))
        {
            self.word(letters);
            self.flavour.extend((!tail.is_empty()).then(|| tail.to_owned()));
            return 1 + self.version_told(&version, digit, None);
        } else if let (true, Some(size)) = (word.starts_with('r'), word.get(1..).and_then(part)) {
            self.word("r");
            self.size_told(&word[1..], &size);
        } else if let (true, Some(&next)) = (self.family.is_empty(), words.get(1)) {
            let together = FAMILIES.contains(&(word, next));
            self.family.extend(words[..1 + usize::from(together)].iter().map(|&word| word.to_owned()));
            return 1 + usize::from(together);
        } else {
            self.word(word);
        }
        1
    }

    /// Whether the version glued to `letters` is that of this model, not that of another it was made from.
    fn is_own(&self, letters: &str) -> bool {
        let of_maker = |maker: &String| MAKERS.contains(&(maker.as_str(), letters));
        let base = BASES.contains(&letters) && !self.family.first().is_none_or(of_maker);
        self.version.is_none() && !base
    }

    fn size_told(&mut self, word: &str, told: &Part) {
        let known = match (self.size, told) {
            (None, Part::Whole(size)) => Some(*size),
            (Some(size), Part::Whole(again)) if size == *again => Some(size),
            (Some(size), told) => size.with(told),
            (None, _) => None,
        };
        match known {
            Some(size) => self.size = Some(size),
            None => {
                self.flavour.insert(word.to_owned());
            }
        }
    }

    /// Takes a version, and the single digit behind it where it has none of its own. Tells how many words more it took.
    fn version_told(&mut self, version: &str, digit: Option<&str>, open: Option<String>) -> usize {
        let digit = digit.filter(|_| number::is_major(version));
        let version = digit.map_or_else(|| version.to_owned(), |digit| format!("{version}.{digit}"));
        if self.version.is_none() {
            self.version = Some(version);
        } else if let Some(word) = open {
            self.flavour.remove(&word);
            self.flavour.insert(format!("{word}{version}"));
        } else {
            self.flavour.insert(format!("v{version}"));
        }
        usize::from(digit.is_some())
    }

    fn word(&mut self, word: &str) {
        let word = &*with_dot(word);
        let flavour = plain(word);
        if self.family.is_empty() {
            self.family.push(word.to_owned());
        } else if FLAVOURS.contains(&flavour) {
            self.flavour.insert(flavour.to_owned());
        } else if self.version.is_some() || self.size.is_some() || number::glued(word).is_some() {
            self.flavour.insert(word.to_owned());
            self.open = Some(word.to_owned()).filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()));
        } else {
            self.family.push(word.to_owned());
        }
    }

    fn tidy_family(&mut self) {
        let [first, second, ..] = self.family.as_slice() else { return };
        if MAKERS.contains(&(first.as_str(), second.as_str())) {
            self.family.remove(0);
        } else if (first.as_str(), second.as_str()) == ("code", "llama") {
            self.family.splice(..2, ["codellama".to_owned()]);
        }
    }

    /// `distill` and the model that learned are one flavour, in whatever order they stand.
    fn name_learner(&mut self) {
        if !self.flavour.contains("distill") {
            return;
        }
        let learner = BASES.iter().copied().find(|&base| {
            let in_family = self.family.len() > 1 && self.family.last().is_some_and(|last| last == base);
            if in_family {
                self.family.pop();
            }
            self.flavour.remove(base) || in_family
        });
        if let Some(learner) = learner {
            self.flavour.remove("distill");
            self.flavour.insert(format!("distill-{learner}"));
        }
    }

    fn finish(mut self) -> Identity {
        self.tidy_family();
        self.name_learner();
        // Ollama calls models without tuning `text`.
        if self.size.is_some() && !self.flavour.contains("embed") && self.flavour.remove("text") {
            self.flavour.insert("base".to_owned());
        }
        if !self.labels.is_empty() {
            let (modifiers, flavour) = self.flavour.into_iter().partition(|word| quantisation::is_modifier(word));
            self.labels.extend::<BTreeSet<String>>(modifiers);
            self.flavour = flavour;
        }
        Identity {
            family: self.family.join("-"),
            version: self.version,
            size: self.size,
            flavour: self.flavour.into_iter().collect(),
            quantisation: quantisation::join(self.labels),
            revision: (!self.revisions.is_empty()).then(|| self.revisions.join("-")),
        }
    }
}

/// `k2p5` is `k2.5`: some clouds allow no dots.
fn with_dot(word: &str) -> String {
    let bytes = word.as_bytes();
    match bytes {
        [letter, major, b'p', minor]
            if letter.is_ascii_lowercase() && major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            word.replacen('p', ".", 1)
        }
        _ => word.to_owned(),
    }
}

/// The words without the count of a file in parts: `00001-of-00002`.
fn without_shards(words: &[String]) -> Vec<&str> {
    let is_count = |word: &str| word.len() >= 4 && word.bytes().all(|byte| byte.is_ascii_digit());
    let mut kept: Vec<&str> = Vec::with_capacity(words.len());
    for word in words {
        kept.push(word);
        if let [.., part, "of", parts] = kept.as_slice()
            && is_count(part)
            && is_count(parts)
        {
            kept.truncate(kept.len() - 3);
        }
    }
    kept
}

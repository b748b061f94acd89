//! Numbers in names: which are versions, which are dates of a release, which are neither.

/// A version as a word of its own: `3.2`, `v1.5`, `4o`, `v3p2`. Without its `v`.
pub(super) fn version(word: &str) -> Option<String> {
    let number = word.strip_prefix('v').unwrap_or(word);
    let (digits, letter) = match number.char_indices().next_back()? {
        (at, letter) if letter.is_ascii_lowercase() => (&number[..at], Some(letter)),
        _ => (number, None),
    };
    // Sizes, context lengths and experts end in these.
    if matches!(letter, Some('b' | 'm' | 't' | 'k' | 'e' | 'x' | 'g')) {
        return None;
    }
    let mut version = dotted(digits)?;
    version.extend(letter);
    Some(version)
}

/// A version glued to a word of at least two letters: `llama3.2`, `gemma3n`, `qwen2.5vl` is `qwen`, `2.5`, `vl`.
pub(super) fn glued(word: &str) -> Option<(&str, String, &str)> {
    let start = word.find(|letter: char| !letter.is_ascii_alphabetic())?;
    let (letters, number) = word.split_at(start);
    let end = number.rfind(|letter: char| letter.is_ascii_digit())? + 1;
    let (number, tail) = number.split_at(end);
    if letters.len() < 2 {
        return None;
    }
    match tail {
        "" | "vl" => Some((letters, dotted(number)?, tail)),
        tail if tail.len() == 1 => Some((letters, version(&format!("{number}{tail}"))?, "")),
        _ => None,
    }
}

/// `3`, `3.2`, `1.5.2`, or `3p2` for 3.2: parts of one or two digits.
fn dotted(digits: &str) -> Option<String> {
    let digits = digits.replacen('p', ".", 1);
    let parts = digits.split('.').count();
    let plain =
        digits.split('.').all(|part| (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit()));
    (plain && parts <= 3).then_some(digits)
}

/// Whether a word is a whole number that a single digit after it makes a version of: `4`, `5` is 4.5.
pub(super) fn is_major(version: &str) -> bool {
    (1..=2).contains(&version.len()) && version.bytes().all(|byte| byte.is_ascii_digit())
}

/// The release that `words` begin with, and how many of them it takes: `2024-08-06`, `20250929`, `09-2025`, `05-20`,
/// `2507`, `001`.
pub(super) fn revision(words: &[&str]) -> Option<(String, usize)> {
    let first = words.first().copied().filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()))?;
    match words {
        [year, month, day, ..] if is_year(year) && is_month(month) && is_day(day) => {
            return Some((format!("{year}-{month}-{day}"), 3));
        }
        [month, year, ..] if is_month(month) && is_year(year) => return Some((format!("{month}-{year}"), 2)),
        [month, day, ..] if is_month(month) && is_day(day) => return Some((format!("{month}-{day}"), 2)),
        _ => {}
    }
    match first.len() {
        8 => {
            let (year, month, day) = (&first[..4], &first[4..6], &first[6..]);
            let valid = is_year(year) && is_month(month) && is_day(day);
            valid.then(|| (format!("{year}-{month}-{day}"), 1))
        }
        6 => Some((first.to_owned(), 1)),
        4 => {
            let (front, back) = first.split_at(2);
            let valid = (is_month(front) && is_day(back)) || (("20".."40").contains(&front) && is_month(back));
            valid.then(|| (first.to_owned(), 1))
        }
        3 if first.starts_with('0') => Some((first.to_owned(), 1)),
        _ => None,
    }
}

fn is_year(word: &str) -> bool {
    word.len() == 4 && word.starts_with("20") && word.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_month(word: &str) -> bool {
    word.len() == 2 && ("01"..="12").contains(&word)
}

fn is_day(word: &str) -> bool {
    word.len() == 2 && ("01"..="31").contains(&word) && word.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (word, expected) in [("3.2", "3.2"), ("v1.5", "1.5"), ("4o", "4o"), ("v3p2", "3.2"), ("4p5", "4.5")] {
            assert_eq!(version(word).as_deref(), Some(expected));
        }
        for word in ["v", "", "3b", "8k", "123", "v1000", "1.2.3.4", "o3", "é", "4é"] {
            assert_eq!(version(word), None, "{word}");
        }
    }

    #[test]
    fn versions_glued_to_words() {
        assert_eq!(glued("llama3.2"), Some(("llama", "3.2".into(), "")));
        assert_eq!(glued("gemma3n"), Some(("gemma", "3n".into(), "")));
        assert_eq!(glued("qwen2.5vl"), Some(("qwen", "2.5".into(), "vl")));
        assert_eq!(glued("qwen2p5"), Some(("qwen", "2.5".into(), "")));
        for word in ["o3", "llama", "gpt4all", "sha256", "h2o", "3", "é3"] {
            assert_eq!(glued(word), None, "{word}");
        }
    }

    #[test]
    fn releases() {
        assert_eq!(revision(&["2024", "08", "06", "x"]), Some(("2024-08-06".into(), 3)));
        assert_eq!(revision(&["20250929"]), Some(("2025-09-29".into(), 1)));
        assert_eq!(revision(&["09", "2025"]), Some(("09-2025".into(), 2)));
        assert_eq!(revision(&["05", "20"]), Some(("05-20".into(), 2)));
        assert_eq!(revision(&["2507"]), Some(("2507".into(), 1)));
        assert_eq!(revision(&["001"]), Some(("001".into(), 1)));
        for words in [["8192"], ["3"], ["32768"], ["x"], ["99999999"]] {
            assert_eq!(revision(&words), None, "{words:?}");
        }
    }
}

//! A name cut into its words: the last part of a path without publishers, in lower case. What words mean is not known
//! here.

use super::words::{EMBEDDING_PREFIX, OWN_EMBEDDINGS, PUBLISHERS, REGIONS, VENDORS};

/// The words of a name. Dots stay between digits only, so that extensions are words of their own.
pub(super) fn words_of(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.to_ascii_lowercase().chars().collect();
    let digit_at = |at: Option<usize>| at.and_then(|at| characters.get(at)).is_some_and(char::is_ascii_digit);
    let mut words = vec![String::new()];
    for (at, &character) in characters.iter().enumerate() {
        let separates = match character {
            '.' => !(digit_at(at.checked_sub(1)) && digit_at(Some(at + 1))),
            '-' | '_' | ':' | '@' | ',' | ';' | '(' | ')' | '[' | ']' | '=' | '#' | '/' | '\\' => true,
            other => other.is_whitespace() || other.is_control(),
        };
        match words.last_mut() {
            Some(word) if !separates => word.push(character),
            _ => words.push(String::new()),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The part of a name that names the model: no folders, no publisher, no region.
pub(super) fn own_part(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase().replace('\\', "/");
    let name = name.split_once("@sha256:").map_or(name.as_str(), |(name, _)| name);
    let cached = name.split('/').find_map(|folder| folder.strip_prefix("models--"));
    let part = match cached {
        Some(cached) => cached.rsplit("--").next(),
        None => name.trim_end_matches('/').rsplit('/').next(),
    };
    without_vendor(without_prefix(without_publisher(part.unwrap_or_default())))
}

/// `text-embedding-nomic-embed-text-v1.5` is LM Studio's name for Nomic's model.
fn without_prefix(part: &str) -> &str {
    let Some(rest) = part.strip_prefix(EMBEDDING_PREFIX) else { return part };
    let first = rest.split(['-', '@']).next().unwrap_or_default();
    let number = first.strip_prefix('v').unwrap_or(first);
    let own = OWN_EMBEDDINGS.contains(&first)
        || number.is_empty()
        || number.starts_with(|letter: char| letter.is_ascii_digit());
    if own { part } else { rest }
}

/// `meta-llama_Llama-3.3-70B-Instruct` names its publisher in front of an underscore.
fn without_publisher(part: &str) -> &str {
    match part.split_once('_') {
        Some((publisher, rest)) if PUBLISHERS.contains(&publisher) => rest,
        _ => part,
    }
}

/// `us.anthropic.claude-sonnet-4` names a region and the maker. `deepseek.r1` would be nothing without its maker.
fn without_vendor(part: &str) -> String {
    let part = match part.split_once('.') {
        Some((region, rest)) if REGIONS.contains(&region) => rest,
        _ => part,
    };
    match part.split_once('.') {
        Some(("deepseek", rest)) => format!("deepseek-{rest}"),
        // `anthropic.claude-opus-4-6-v1` counts the API, `anthropic.claude-v1` the model.
        Some(("anthropic", rest)) => match rest.strip_suffix("-v1") {
            Some(model) if model.contains(|letter: char| letter.is_ascii_digit()) => model.to_owned(),
            _ => rest.to_owned(),
        },
        Some((vendor, rest)) if VENDORS.contains(&vendor) => rest.to_owned(),
        _ => part.to_owned(),
    }
}

/// A name without the number of the API that some clouds end it with (`-v1:0`), and the version that was hidden in it:
/// `mistral-7b-instruct-v0:2` is 0.2, `-v1:0` says nothing.
pub(super) fn without_api_number(part: &str) -> (&str, Option<String>) {
    let digits = |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some((rest, minor)) = part.rsplit_once(':').filter(|(_, minor)| digits(minor)) else { return (part, None) };
    let Some((rest, major)) = rest.rsplit_once('-') else { return (part, None) };
    let number = major.strip_prefix('v').unwrap_or(major);
    if !digits(number) {
        return (part, None);
    }
    match (number, minor) {
        ("1", "0") => (rest, None),
        (major, "0") => (rest, Some(major.to_owned())),
        (major, minor) => (rest, Some(format!("{major}.{minor}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_part_counts() {
        assert_eq!(own_part("hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M"), "llama-3.2-3b-instruct-gguf:q4_k_m");
        assert_eq!(own_part(r"C:\models\x.gguf"), "x.gguf");
        assert_eq!(own_part("/root/.cache/huggingface/hub/models--Qwen--Qwen3-8B/snapshots/abc"), "qwen3-8b");
        assert_eq!(own_part("/models/Qwen3-8B/"), "qwen3-8b");
        assert_eq!(own_part("us.anthropic.claude-sonnet-4"), "claude-sonnet-4");
        assert_eq!(own_part("deepseek.r1-v1:0"), "deepseek-r1-v1:0");
        assert_eq!(own_part("bartowski/Qwen_Qwen3-8B-GGUF"), "qwen3-8b-gguf");
        assert_eq!(own_part("///"), "");
    }

    #[test]
    fn words_are_cut_at_everything_but_decimal_points() {
        assert_eq!(words_of("Llama-2-7b.Q4_K_M.gguf"), ["llama", "2", "7b", "q4", "k", "m", "gguf"]);
        assert_eq!(words_of("qwen2.5vl:7b"), ["qwen2.5vl", "7b"]);
        assert_eq!(words_of("..--:"), Vec::<String>::new());
    }

    #[test]
    fn api_numbers_are_told_from_versions() {
        assert_eq!(without_api_number("nova-pro-v1:0"), ("nova-pro", None));
        assert_eq!(without_api_number("gpt-oss-20b-1:0"), ("gpt-oss-20b", None));
        assert_eq!(without_api_number("mistral-7b-instruct-v0:2"), ("mistral-7b-instruct", Some("0.2".into())));
        assert_eq!(without_api_number("titan-embed-text-v2:0"), ("titan-embed-text", Some("2".into())));
        assert_eq!(without_api_number("qwen2.5:7b"), ("qwen2.5:7b", None));
    }
}

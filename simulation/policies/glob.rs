//! Patterns as people read them: `*`, `?` and `[ab]`. A few lines of its own, so that what compiles patterns for the product
//! is judged as well; it knows no more than the patterns that `setting` writes.

/// Whether `pattern` fits all of `text`.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    bytes(pattern.as_bytes(), text.as_bytes())
}

fn bytes(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', rest @ ..] => (0..=text.len()).any(|from| bytes(rest, &text[from..])),
        [b'[', rest @ ..] => {
            let end = rest.iter().position(|byte| *byte == b']').unwrap_or(rest.len());
            matches!(text, [first, after @ ..] if rest[..end].contains(first) && bytes(&rest[end + 1..], after))
        }
        [b'?', rest @ ..] => matches!(text, [_, after @ ..] if bytes(rest, after)),
        [letter, rest @ ..] => matches!(text, [first, after @ ..] if first == letter && bytes(rest, after)),
    }
}

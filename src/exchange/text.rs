//! Text for people and programs to read: cut between characters; and JSON that is put together in one piece, for what is told
//! of every request. A serializer writes each quotation mark by itself; what is plain, as nearly all text is, is copied here.

/// Bytes that are looked at together: a register has room for them.
const BLOCK: usize = 16;

/// No more than so many characters of `text`, and none cut in two.
pub fn cut(text: &str, characters: usize) -> &str {
    // No character takes less than a byte.
    if text.len() <= characters {
        return text;
    }
    text.char_indices().nth(characters).map_or(text, |(end, _)| &text[..end])
}

/// Appends `text` as a JSON string.
pub fn push_json(to: &mut String, text: &str) {
    // As JSON says it.
    if is_all(text, |byte| (byte >= b' ') & (byte != b'"') & (byte != b'\\')) {
        to.push('"');
        to.push_str(text);
        to.push('"');
    } else {
        // A string that is text has a form in JSON: there is nothing that could fail.
        to.push_str(&serde_json::to_string(text).unwrap_or_default());
    }
}

/// Appends `number` in decimal.
pub fn push_number(to: &mut String, number: u64) {
    to.push_str(itoa::Buffer::new().format(number));
}

/// Whether every byte of `text` is so, as letters are. Each is looked at, many at a time: that is quicker than to stop.
pub fn is_all(text: &str, is_so: impl Fn(u8) -> bool) -> bool {
    let (blocks, rest) = text.as_bytes().as_chunks();
    let mut last = [b'a'; BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    let is_all = |all: bool, block: &[u8; BLOCK]| block.iter().fold(all, |all, byte| all & is_so(*byte));
    is_all(blocks.iter().fold(true, is_all), &last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(["", "é", "éa", "éaé", "éaéa"].map(|text| cut(text, 3)), ["", "é", "éa", "éaé", "éaé"]);
    }

    #[test]
    fn every_byte_counts_wherever_it_stands() {
        for length in 0..40 {
            let text = "a".repeat(length);
            assert!(is_all(&text, |byte| byte == b'a'));
            for at in 0..length {
                let mut other = text.clone();
                other.replace_range(at..=at, "b");
                assert!(!is_all(&other, |byte| byte == b'a'), "{other}");
            }
        }
    }

    proptest! {
        #[test]
        fn text_and_numbers_are_written_as_everywhere(text in "\\PC*|[\\x00-\\x7f]*", number in any::<u64>()) {
            let mut written = String::new();
            push_json(&mut written, &text);
            prop_assert_eq!(&written, &serde_json::to_string(&text).expect("text"));
            written.clear();
            push_number(&mut written, number);
            prop_assert_eq!(written, number.to_string());
        }
    }
}

//! Text for people and programs to read: cut between characters; and JSON that is put together in one piece, for what is told
//! of every request. A serializer writes each quotation mark by itself; what is plain, as nearly all text is, is copied here.

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
    if is_plain(text) {
        to.push('"');
        to.push_str(text);
        to.push('"');
    } else {
        // A string that is text has a form in JSON: there is nothing that could fail.
        to.push_str(&serde_json::to_string(text).unwrap_or_default());
    }
}

/// Appends `number` in decimal.
pub fn push_number(to: &mut String, mut number: u64) {
    let mut room = [0; 20];
    let mut at = room.len();
    loop {
        at -= 1;
        room[at] = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        if number == 0 {
            break;
        }
    }
    to.push_str(std::str::from_utf8(&room[at..]).unwrap_or_default());
}

/// Whether a JSON string says it as it stands there. It looks at every byte: that is quicker than to stop.
fn is_plain(text: &str) -> bool {
    text.bytes().fold(true, |is_plain, byte| is_plain & (byte >= b' ') & (byte != b'"') & (byte != b'\\'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(["", "é", "éa", "éaé", "éaéa"].map(|text| cut(text, 3)), ["", "é", "éa", "éaé", "éaé"]);
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

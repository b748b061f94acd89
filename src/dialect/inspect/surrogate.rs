//! Half characters: `\ud83d` without its other half is valid JSON but no text. Clients that cut strings send it and some
//! servers take it, so it must not keep a request from them. Only the copy that is read here is mended.

/// `text` with every half of a surrogate pair that stands alone replaced, at the same length; `None` if there is none.
pub(in crate::dialect) fn mend(text: &str) -> Option<String> {
    let mut mended = String::with_capacity(text.len());
    let mut rest = text;
    let mut found = false;
    while let Some(at) = rest.find('\\') {
        mended.push_str(&rest[..at]);
        rest = &rest[at..];
        let (length, lone) = match (unit(rest), rest.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (12, false),
            (Some(0xd800..=0xdfff), _) => (6, true),
            _ => (1 + rest[1..].chars().next().map_or(0, char::len_utf8), false),
        };
        mended.push_str(if lone { "\\ufffd" } else { &rest[..length] });
        found |= lone;
        rest = &rest[length..];
    }
    mended.push_str(rest);
    found.then_some(mended)
}

/// The code unit of the `\uXXXX` that `text` starts with.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex.then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_halves_that_stand_alone_are_replaced() {
        for (text, mended) in [
            (r#""\ud83d\ude00 \n \u00e9 \\ud83d""#, None),
            (r#""\ud83d""#, Some(r#""\ufffd""#)),
            (r#""\ude00\ud83d""#, Some(r#""\ufffd\ufffd""#)),
            (r#""\ud83d\ud83d\ude00""#, Some(r#""\ufffd\ud83d\ude00""#)),
            (r#""\ud83dé\ud8"#, Some(r#""\ufffdé\ud8"#)),
            (r#"\"#, None),
        ] {
            assert_eq!(mend(text).as_deref(), mended, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_length_never_changes(text in "([\\\\u]|\\\\ud8[0-9a-g]{2}|\\\\udc00|é|😀){0,12}") {
            prop_assert_eq!(mend(&text).map_or(text.len(), |mended| mended.len()), text.len());
        }
    }
}

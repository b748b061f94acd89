//! Arguments on one line: a stream of this dialect is made of lines, and nobody means the line ends between two tokens.

use std::borrow::Cow;

/// `json`, which is JSON, without the white space between its tokens where it is written on several lines.
pub(super) fn on_one_line(json: &str) -> Cow<'_, str> {
    if !json.contains(['\n', '\r']) {
        return Cow::Borrowed(json);
    }
    let (mut in_string, mut is_escaped) = (false, false);
    let keep = |character: &char| {
        let is_kept = in_string || !character.is_ascii_whitespace();
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = in_string,
            '"' => in_string = !in_string,
            _ => {}
        }
        is_kept
    };
    Cow::Owned(json.chars().filter(keep).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_white_space_between_tokens_goes() {
        assert_eq!(on_one_line("{\"a\": 1}"), "{\"a\": 1}");
        let written = "{\r\n\t\"a b\" : [ 1,\n 2 ],\n\"\\\" \\\\\" : \"é \\n \"\n}";
        assert_eq!(on_one_line(written), "{\"a b\":[1,2],\"\\\" \\\\\":\"é \\n \"}");
    }
}

//! What clients put into prompts that is another with every request and means nothing to a model: bookkeeping of their
//! own. It is left out of the canonical text, or no two turns of a conversation would begin alike. Request bodies keep it.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::{self, Finder};

/// A stretch of text that is left out.
struct Volatile {
    /// How it begins.
    opens: &'static str,
    extent: Extent,
}

/// How far it goes.
enum Extent {
    /// To the end of the line, and the end with it.
    Line,
    /// One word, and this after it. The end of line or two before it goes too, and a pair of tags that holds nothing else.
    Word { then: &'static str, longest: usize, tags: (&'static str, &'static str) },
}

const VOLATILE: [Volatile; 2] = [
    // Claude Code, in front of the system text, as a part of its own or as its first line:
    // `x-anthropic-billing-header: cc_version=2.1.177.01c; cc_entrypoint=cli; cch=36ee5;`
    Volatile { opens: "x-anthropic-billing-header:", extent: Extent::Line },
    // Claude Code, after the system text, after what a tool answered, or as a system message between others:
    // `<total_tokens>14999436 tokens left</total_tokens>`, in `<system-reminder>` or bare; old ones may be kept.
    Volatile {
        opens: "<total_tokens>",
        extent: Extent::Word {
            then: " tokens left</total_tokens>",
            longest: 20,
            tags: ("<system-reminder>\n", "\n</system-reminder>"),
        },
    },
];

/// Finds where each begins. To make them takes longer than to search a message with them.
static OPENS: LazyLock<[Finder<'static>; VOLATILE.len()]> =
    LazyLock::new(|| VOLATILE.each_ref().map(|volatile| Finder::new(volatile.opens)));

/// Hands what stays of `text` to `keep`, piece by piece; whether anything does not.
pub(super) fn sift(text: &str, mut keep: impl FnMut(&str)) -> bool {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (volatile, finder) in VOLATILE.iter().zip(OPENS.iter()) {
        let mut from = 0;
        while let Some(at) = finder.find(&text.as_bytes()[from..]) {
            let range = volatile.range(text, from + at);
            from = range.as_ref().map_or(from + at + volatile.opens.len(), |range| range.end);
            found.extend(range);
        }
    }
    found.sort_unstable_by_key(|range| range.start);
    let mut from = 0;
    for range in &found {
        if range.start > from {
            keep(&text[from..range.start]);
        }
        from = from.max(range.end);
    }
    keep(&text[from..]);
    !found.is_empty()
}

impl Volatile {
    /// What is left out where it begins at `start`.
    fn range(&self, text: &str, start: usize) -> Option<Range<usize>> {
        let inside = start + self.opens.len();
        match self.extent {
            Extent::Line => {
                let end = memchr::memchr(b'\n', &text.as_bytes()[inside..]);
                Some(start..end.map_or(text.len(), |end| inside + end + 1))
            }
            Extent::Word { then, longest, tags } => {
                let rest = &text.as_bytes()[inside..];
                let word = memmem::find(&rest[..rest.len().min(longest + then.len())], then.as_bytes())?;
                let is_word = word > 0 && rest[..word].iter().all(u8::is_ascii_alphanumeric);
                let range = start..inside + word + then.len();
                is_word.then(|| with_line_ends(text, with_tags(text, range, tags)))
            }
        }
    }
}

fn with_tags(text: &str, range: Range<usize>, (open, close): (&str, &str)) -> Range<usize> {
    if text[..range.start].ends_with(open) && text[range.end..].starts_with(close) {
        range.start - open.len()..range.end + close.len()
    } else {
        range
    }
}

fn with_line_ends(text: &str, range: Range<usize>) -> Range<usize> {
    let before = &text.as_bytes()[..range.start];
    let ends = before.iter().rev().take(2).take_while(|byte| **byte == b'\n').count();
    range.start - ends..range.end
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sifted(text: &str) -> String {
        let mut kept = String::new();
        let is_cut = sift(text, |piece| kept.push_str(piece));
        assert_eq!(is_cut, kept != text);
        kept
    }

    #[test]
    fn the_line_that_claude_code_bills_by() {
        let header = "x-anthropic-billing-header: cc_version=2.1.177.01c; cc_entrypoint=cli; cch=36ee5;";
        assert_eq!(sifted(header), "", "a part of its own");
        assert_eq!(sifted(&format!("{header}\nYou are Claude Code.\n")), "You are Claude Code.\n");
        assert_eq!(sifted(&format!("{header}\r\n\r\nYou are.")), "\r\nYou are.");
        assert_eq!(sifted(&format!("You are.\n{header}\nHelp.")), "You are.\nHelp.", "wherever it stands");
        assert_eq!(sifted(&format!("{header}\n{header}\nYou are.\n{header}")), "You are.\n");
        assert_eq!(sifted("x-anthropic-billing-header"), "x-anthropic-billing-header");
    }

    #[test]
    fn the_tokens_that_claude_code_has_left() {
        let left = |count: u32| format!("<total_tokens>{count} tokens left</total_tokens>");
        assert_eq!(sifted(&left(14_999_436)), "", "a message of its own");
        assert_eq!(sifted("<total_tokens>Infinite tokens left</total_tokens>"), "");
        let (one, other) = (left(15_000_000), left(14_900_000));
        assert_eq!(sifted(&format!("You are.\n\n{one}")), "You are.");
        assert_eq!(sifted(&format!("You are.\n\n{one}\n\n{other}")), "You are.", "with the old ones");
        assert_eq!(sifted(&format!("You are.\n{one}\ngitStatus: clean")), "You are.\ngitStatus: clean");
        let reminder = format!("file created\n\n<system-reminder>\n{one}\n</system-reminder>");
        assert_eq!(sifted(&reminder), "file created");
        let other_words = format!("<system-reminder>\nBe brief.\n{one}\n</system-reminder>");
        assert_eq!(sifted(&other_words), "<system-reminder>\nBe brief.\n</system-reminder>");
        for not in [
            "<total_tokens> tokens left</total_tokens>",
            "<total_tokens>-1 tokens left</total_tokens>",
            "<total_tokens>5 6 tokens left</total_tokens>",
            "<total_tokens>5 tokens</total_tokens>",
            "<total_tokens>123456789012345678901 tokens left</total_tokens>",
            "<total_tokens>€",
        ] {
            assert_eq!(sifted(not), not);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_kept_but_for_what_is_volatile(text in "(\\PC|\n|x-anthropic-billing-header:|<total_tokens>|7| tokens left</total_tokens>|<system-reminder>\n|\n</system-reminder>){0,12}") {
            let kept = sifted(&text);
            prop_assert!(kept.len() <= text.len());
            let is_clean = VOLATILE.iter().all(|volatile| !text.contains(volatile.opens));
            prop_assert!(!is_clean || kept == text);
        }
    }
}

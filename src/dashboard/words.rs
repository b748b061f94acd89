//! Numbers and names as people read them. Whatever others have chosen is made visible and short here, once; that it is
//! escaped is the templates' business.

use std::fmt;
use std::time::Duration;

/// The longest part of a name that is shown, in characters.
const SHOWN: usize = 48;

/// The longest part of it that is told where somebody points at it.
const TOLD: usize = 300;

/// A name or a message that somebody else may have chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name {
    /// What is shown.
    pub short: String,
    /// More of it, where what is shown is not all.
    pub more: Option<String>,
    /// All of it, to name it to others.
    pub whole: String,
}

impl Name {
    /// As it is shown in a table.
    pub fn of(text: &str) -> Self {
        Self::within(text, SHOWN)
    }

    /// Whether what is shown is all of it, as it is.
    pub fn is_plain(&self) -> bool {
        self.short == self.whole
    }

    /// At most so many characters of it are shown.
    pub fn within(text: &str, shown: usize) -> Self {
        let visible = visible(text, TOLD + 1);
        let count = visible.chars().count();
        if count <= shown {
            return Name { short: visible, more: None, whole: text.to_owned() };
        }
        let short: String = visible.chars().take(shown.saturating_sub(1)).chain(['…']).collect();
        let more = if count > TOLD {
            let all = text.chars().count();
            format!("{}… ({all} characters)", visible.chars().take(TOLD).collect::<String>())
        } else {
            visible
        };
        Name { short, more: Some(more), whole: text.to_owned() }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short)
    }
}

/// The first characters of `text`; those that cannot be seen, or that only steer how others are shown, stand as `·`.
fn visible(text: &str, most: usize) -> String {
    let shown = |letter: char| {
        let steers = matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{61c}' | '\u{feff}');
        if letter.is_control() || steers { '·' } else { letter }
    };
    text.chars().take(most).map(shown).collect()
}

/// How long ago, as `0.4 s`, `14 s`, `3 min`, `2 h` or `5 d`.
pub(super) fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", age.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A time of that many milliseconds, as `84 ms` or `1.2 s`.
pub(super) fn millis(millis: u64) -> String {
    match millis {
        0 => "<1 ms".to_owned(),
        1..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{:.1} s", Duration::from_millis(millis).as_secs_f64()),
        _ => format!("{} min", millis / 60_000),
    }
}

/// As a part of a path; `/` stays.
pub fn escaped(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte);
    text.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// What could not be told.
pub(super) const NOTHING: &str = "–";

/// What is known, or a dash.
pub(super) fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| NOTHING.to_owned())
}

/// `1 peer`, `2 peers`.
pub(super) fn count(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// USD, with cents, or finer where it is less than ten of them.
pub(super) fn usd(amount: f64) -> String {
    if amount != 0.0 && amount.abs() < 0.1 { format!("${amount:.4}") } else { format!("${amount:.2}") }
}

/// A number with few digits.
pub(super) fn brief(number: f64) -> String {
    if number >= 10.0 || number == 0.0 { format!("{number:.0}") } else { format!("{number:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_hide_nothing() {
        let plain = Name::of("llama3.2:latest");
        assert_eq!((plain.short.as_str(), plain.more), ("llama3.2:latest", None));
        let long = Name::of(&"x".repeat(10_000));
        assert_eq!(long.short.chars().count(), SHOWN);
        assert!(long.more.is_some_and(|more| more.ends_with("(10000 characters)") && more.len() < 400));
        assert_eq!(Name::of("abc\u{202e}def\n").short, "abc·def·");
        assert_eq!(Name::within("abcdef", 4).short, "abc…");
    }

    #[test]
    fn times_and_amounts_are_short() {
        let ages = [300, 14_000, 150_000, 9_000_000, 200_000_000].map(|ms| age(Duration::from_millis(ms)));
        assert_eq!(ages, ["0.3 s", "14 s", "2 min", "2 h", "2 d"]);
        assert_eq!([84, 1_234, 61_000].map(millis), ["84 ms", "1.2 s", "1 min"]);
        assert_eq!([0.0, 0.0123, 12.5].map(usd), ["$0.00", "$0.0123", "$12.50"]);
        assert_eq!((count(1, "peer"), count(0, "peer")), ("1 peer".to_owned(), "0 peers".to_owned()));
    }
}

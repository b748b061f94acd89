//! How many parameters a model has, as far as names and servers tell. Names round, so whole figures are held against
//! finer ones with some leeway; two whole figures never are.

use std::fmt;

/// Parameters in millions.
type Millions = u64;

const BILLION: Millions = 1_000;
const TRILLION: Millions = 1_000_000;
/// More parameters than any model has: what claims more is no size.
const MOST: f64 = 10_000_000.0;
/// The smallest figure read as millions: `1m` in a name is a context length.
const FEWEST_WITH_M: f64 = 10.0;

/// The parameters of a model, all figures in millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Size {
    /// All of them: `3b`, `137m`.
    Dense(u64),
    /// Experts of a mixture: `8x7b`, `17b-16e`.
    Experts {
        /// How many experts.
        count: u32,
        /// The parameters of each.
        each: u64,
    },
    /// A mixture of which some work at a time: `30b-a3b`.
    Active {
        /// All of them.
        total: u64,
        /// Those that work on one token.
        active: u64,
    },
    /// Those that count in memory: `e4b`.
    Effective(u64),
}

/// How two sizes go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Equal,
    Open,
    Apart,
}

/// What one word of a name says of the size.
pub(super) enum Part {
    Whole(Size),
    /// `a3b`
    Active(Millions),
    /// `16e`
    Experts(u32),
}

impl Size {
    /// Reads `3.2B`, `567.75M`, `8x7b`, `30b-a3b`, `e4b`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let Some((first, second)) = text.split_once('-') else {
            return match part(&text)? {
                Part::Whole(size) => Some(size),
                Part::Active(_) | Part::Experts(_) => None,
            };
        };
        match part(first)? {
            Part::Whole(size) => size.with(&part(second)?),
            Part::Active(_) | Part::Experts(_) => None,
        }
    }

    /// This size told more exactly by another word of the same name, where the two go together.
    pub(super) fn with(self, part: &Part) -> Option<Size> {
        match (self, part) {
            (Size::Dense(total), Part::Active(active)) => Some(Size::Active { total, active: *active }),
            (Size::Dense(each), Part::Experts(count)) => Some(Size::Experts { count: *count, each }),
            _ => None,
        }
    }

    pub(super) fn fit(self, other: Size) -> Fit {
        let fits = match (self, other) {
            (Size::Dense(one), Size::Dense(two)) => return if near(one, two) { Fit::Equal } else { Fit::Apart },
            (Size::Dense(all), Size::Active { total, .. }) | (Size::Active { total, .. }, Size::Dense(all)) => {
                near(all, total)
            }
            (Size::Dense(all), Size::Experts { count, each }) | (Size::Experts { count, each }, Size::Dense(all)) => {
                (each..=each.saturating_mul(u64::from(count))).contains(&all)
            }
            (Size::Dense(all), Size::Effective(some)) | (Size::Effective(some), Size::Dense(all)) => some <= all,
            _ => return if self == other { Fit::Equal } else { Fit::Apart },
        };
        if fits { Fit::Open } else { Fit::Apart }
    }
}

/// Whether two figures may tell of the same number. Qwen3 comes with 30b and 32b, Mistral Small with 22b and 24b: whole
/// figures are equal or not. A finer figure is within a billion and 12 % of a whole one, or within 5 % of another finer
/// one.
fn near(one: Millions, two: Millions) -> bool {
    let apart = one.abs_diff(two);
    let larger = one.max(two);
    match (one.is_multiple_of(BILLION), two.is_multiple_of(BILLION)) {
        (true, true) => apart == 0,
        (false, false) => apart * 100 <= larger * 5,
        _ => apart < BILLION && apart * 100 <= larger * 12,
    }
}

impl fmt::Display for Size {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Size::Dense(all) => out.write_str(&figure(*all)),
            Size::Experts { count, each } => write!(out, "{count}x{}", figure(*each)),
            Size::Active { total, active } => write!(out, "{}-a{}", figure(*total), figure(*active)),
            Size::Effective(some) => write!(out, "e{}", figure(*some)),
        }
    }
}

/// `1t`, `3.2b`, `0.6b`, `137m`.
fn figure(millions: Millions) -> String {
    if millions.is_multiple_of(TRILLION) {
        return format!("{}t", millions / TRILLION);
    }
    if (10..BILLION).contains(&millions) && (millions < 500 || !millions.is_multiple_of(100)) {
        return format!("{millions}m");
    }
    let decimals = format!("{:03}", millions % BILLION);
    let decimals = decimals.trim_end_matches('0');
    let point = if decimals.is_empty() { "" } else { "." };
    format!("{}{point}{decimals}b", millions / BILLION)
}

/// What a word of a name says of the size, if it says anything. Lower case is expected.
pub(super) fn part(word: &str) -> Option<Part> {
    if let Some(all) = amount(word) {
        return Some(Part::Whole(Size::Dense(all)));
    }
    if let Some((count, each)) = word.split_once('x') {
        return Some(Part::Whole(Size::Experts { count: whole(count)?, each: amount(each)? }));
    }
    if let Some(active) = word.strip_prefix('a') {
        return amount(active).map(Part::Active);
    }
    if let Some(effective) = word.strip_prefix('e') {
        return amount(effective).map(|some| Part::Whole(Size::Effective(some)));
    }
    word.strip_suffix('e').and_then(whole).map(Part::Experts)
}

fn whole(digits: &str) -> Option<u32> {
    let plain = (1..=4).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok().filter(|&count| count > 1) } else { None }
}

fn amount(text: &str) -> Option<Millions> {
    let digits = text.strip_suffix(['b', 'm', 't'])?;
    let plain = digits.len() <= 9
        && digits.starts_with(|first: char| first.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number = if plain { digits.parse::<f64>().ok()? } else { return None };
    let millions = match text.as_bytes().last()? {
        b'm' if number < FEWEST_WITH_M => return None,
        b'm' => number,
        b'b' => number * 1e3,
        _ => number * 1e6,
    };
    let millions = millions.round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be between 1 and MOST")]
    (1.0..=MOST).contains(&millions).then_some(millions as Millions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(text: &str) -> Size {
        Size::parse(text).expect(text)
    }

    #[test]
    fn sizes_are_read_and_shown() {
        for text in ["3b", "0.6b", "137m", "3.2b", "1t", "405b", "8x7b", "30b-a3b", "e4b", "16x17b", "10.7b", "22m"] {
            assert_eq!(size(text).to_string(), text);
        }
        assert_eq!(size("567.75M").to_string(), "568m");
        assert_eq!(size("17b-16e").to_string(), "16x17b");
        for text in ["", "b", "1m", "3", "3k", "b3", "0b", "99999999b", "a3b", "16e", "8x", "1..2b", "-3b", "1e3b"] {
            assert_eq!(Size::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_finer_figure_goes_with_the_whole_one_it_was_rounded_from() {
        let pairs = [("3b", "3.2B"), ("7b", "7.6B"), ("14b", "14.8B"), ("24b", "23.6B"), ("0.5b", "494.03M")];
        for (one, two) in pairs {
            assert_eq!(size(one).fit(size(two)), Fit::Equal, "{one} {two}");
        }
    }

    #[test]
    fn whole_figures_that_differ_are_apart() {
        for (one, two) in [("30b", "32b"), ("22b", "24b"), ("7b", "8b"), ("1b", "3b"), ("8x7b", "8x22b")] {
            assert_eq!(size(one).fit(size(two)), Fit::Apart, "{one} {two}");
        }
        assert_eq!(size("30b-a3b").fit(size("30b")), Fit::Open);
        assert_eq!(size("30b-a3b").fit(size("30b-a6b")), Fit::Apart);
        assert_eq!(size("8x7b").fit(size("46.7B")), Fit::Open);
        assert_eq!(size("8x7b").fit(size("141B")), Fit::Apart);
    }
}

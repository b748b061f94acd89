//! Small lines of how something went, as the path of an SVG.

use std::fmt::Write as _;

use super::pulse::Sample;
use super::words::{NOTHING, brief, millis};

/// One line, and its figure.
#[derive(Clone, Debug)]
pub struct Spark {
    /// What it shows.
    pub label: &'static str,
    /// The last value.
    pub value: String,
    /// The unit of it, unless the value has it.
    pub unit: &'static str,
    /// The highest value of all.
    pub most: String,
    /// Where the line goes, in a box of 120 by 32; empty where nothing was seen.
    pub path: String,
}

const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 32.0;
/// Room above and below for the thickness of the line.
const MARGIN: f64 = 2.0;

/// Those of the page.
pub(super) fn of(samples: &[Sample]) -> Vec<Spark> {
    let as_millis = |value: f64| millis(value.max(0.0).round() as u64);
    vec![
        spark("Requests", "a second", samples, |sample| Some(sample.rate), brief),
        spark("Time to first byte", "", samples, |sample| sample.ttft_ms, as_millis),
        spark("Speed of a stream", "tokens/s", samples, |sample| sample.tokens_per_second, brief),
        spark("In flight", "requests", samples, |sample| Some(f64::from(sample.in_flight)), brief),
    ]
}

fn spark(
    label: &'static str,
    unit: &'static str,
    samples: &[Sample],
    value: impl Fn(&Sample) -> Option<f64>,
    say: impl Fn(f64) -> String,
) -> Spark {
    let values: Vec<Option<f64>> = samples.iter().map(value).collect();
    let last = values.iter().rev().take(RECENT).find_map(|value| *value);
    let most = values
        .iter()
        .flatten()
        .copied()
        .fold(None, |most: Option<f64>, value| Some(most.map_or(value, |most| most.max(value))));
    Spark {
        label,
        value: last.map_or_else(|| NOTHING.to_owned(), &say),
        unit: if last.is_some() { unit } else { "" },
        most: most.map_or_else(|| NOTHING.to_owned(), &say),
        path: path(&values, most.unwrap_or(0.0)),
    }
}

/// A value is the present one for so many samples: half a minute.
const RECENT: usize = 15;

/// The newest value is at the right edge. Where nothing is known there is a gap.
#[expect(clippy::cast_precision_loss, reason = "for a line of a few pixels")]
fn path(values: &[Option<f64>], most: f64) -> String {
    let step = WIDTH / 149.0;
    let (mut path, mut drawn) = (String::new(), false);
    for (back, value) in values.iter().rev().enumerate() {
        let Some(value) = value else {
            drawn = false;
            continue;
        };
        let x = WIDTH - back as f64 * step;
        let part = if most > 0.0 { value / most } else { 0.0 };
        let y = HEIGHT - MARGIN - part * (HEIGHT - 2.0 * MARGIN);
        // A single value is a dot: a line of no length with round ends.
        let _ = if drawn { write!(path, "L{x:.1} {y:.1}") } else { write!(path, "M{x:.1} {y:.1}h0") };
        drawn = true;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_gaps_where_nothing_is_known() {
        assert_eq!(path(&[Some(0.0), None, Some(2.0)], 2.0), "M120.0 2.0h0M118.4 30.0h0");
        assert_eq!(path(&[], 0.0), "");
        let flat = path(&[Some(0.0), Some(0.0)], 0.0);
        assert_eq!(flat, "M120.0 30.0h0L119.2 30.0");
    }
}

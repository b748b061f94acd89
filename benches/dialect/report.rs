//! Figures as a table, with the target beside each. It judges nothing: a missed target is printed, not an error.

use std::fmt::Write as _;

use crate::cells::Cell;
use crate::instructions::show;

/// What a cell costs.
pub(crate) struct Found {
    pub(crate) cell: Cell,
    /// How long what is translated is.
    pub(crate) bytes: usize,
    /// CPU time of a translation.
    pub(crate) micros: f64,
    /// Instructions of a translation, where they were counted.
    pub(crate) instructions: Option<f64>,
}

/// The table, as Markdown.
pub(crate) fn text(machine: &str, found: &[Found]) -> String {
    let mut text = format!("{machine}\n");
    if found.iter().any(|found| found.instructions.is_none()) {
        text.push_str("instructions: not counted: valgrind is not installed\n");
    }
    text.push_str("\n| what, from, to | bytes | instructions | CPU | target | |\n|---|---:|---:|---:|---:|---|\n");
    for Found { cell, bytes, micros, instructions } in found {
        let count = show(*instructions);
        let (most, verdict) = (cell.most_micros(), if *micros <= cell.most_micros() { "met" } else { "missed" });
        let _ = writeln!(text, "| {cell} | {bytes} | {count} | {micros:.2} us | <= {most} us | {verdict} |");
    }
    text
}

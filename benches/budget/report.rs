//! Figures as a table, with the targets beside them. It judges nothing: a missed target is printed, not an error.

use std::fmt::Write as _;

use crate::cells::Cell;
use crate::instructions::show;

/// What a cell costs.
pub(crate) struct Found {
    pub(crate) cell: Cell,
    /// CPU time of a hold and its settling, of all threads.
    pub(crate) micros: f64,
    /// Holds in a second.
    pub(crate) each_second: f64,
    /// Instructions of a hold and its settling, where they were counted.
    pub(crate) instructions: Option<f64>,
}

/// The table, as Markdown.
pub(crate) fn text(machine: &str, found: &[Found]) -> String {
    let mut text = format!("{machine}\n");
    text.push_str("\n| disk, holders, account of the client | instructions | CPU | target | | holds/s | target | |\n");
    text.push_str("|---|---:|---:|---:|---|---:|---:|---|\n");
    for Found { cell, micros, each_second, instructions } in found {
        let count = show(*instructions);
        let (most, cheap) = verdict(cell.most_micros(), "<=", |most| *micros <= most);
        let (fewest, fast) = verdict(cell.fewest(), ">=", |fewest| *each_second >= fewest);
        let _ = writeln!(
            text,
            "| {cell} | {count} | {micros:.2} us | {most} | {cheap} | {each_second:.0} | {fewest} | {fast} |"
        );
    }
    text
}

fn verdict(target: Option<f64>, sign: &str, is_met: impl FnOnce(f64) -> bool) -> (String, &'static str) {
    target.map_or((String::new(), ""), |target| {
        (format!("{sign} {target}"), if is_met(target) { "met" } else { "missed" })
    })
}

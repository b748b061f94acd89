//! Figures as tables: what a decision costs in each cell, and the targets beside them. It judges nothing: a missed
//! target is printed, not an error.

use std::fmt::Write as _;

use nexus::route::Strategy;

use crate::cells::{CANDIDATES, Cell, SIZES, STRATEGIES, Size, word};
use crate::instructions;

/// The most that a decision in the mesh of the middle size may take, in microseconds of CPU, of so many candidates.
const MOST_MICROS: f64 = 20.0;
const OF_CANDIDATES: usize = 4;

/// The most that the largest mesh may cost, in costs of the smallest.
const MOST_GROWTH: f64 = 1.1;

/// What a cell costs.
pub(crate) struct Found {
    pub(crate) cell: Cell,
    /// CPU time of a decision.
    pub(crate) micros: f64,
    /// Instructions of a decision, where they were counted.
    pub(crate) instructions: Option<f64>,
}

/// Everything that was measured.
#[derive(Default)]
pub(crate) struct Results {
    pub(crate) machine: String,
    /// Marks of the prompt.
    pub(crate) marks: usize,
    pub(crate) found: Vec<Found>,
}

impl Results {
    /// All tables, as Markdown.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}; the prompt has {} marks\n", self.machine, self.marks);
        if self.found.iter().any(|found| found.instructions.is_none()) {
            text.push_str("instructions: not counted: valgrind is not installed\n");
        }
        self.targets(&mut text);
        for strategy in STRATEGIES {
            self.table(strategy, &mut text);
        }
        text
    }

    fn of(&self, strategy: Strategy, candidates: usize, size: Size) -> Option<&Found> {
        self.found.iter().find(|found| found.cell == Cell::new(strategy, candidates, size))
    }

    fn targets(&self, text: &mut String) {
        text.push_str("\n| figure | found | target | |\n|---|---:|---:|---|\n");
        let [small, middle, large] = SIZES;
        for strategy in STRATEGIES {
            let name = word(strategy);
            let micros = self.of(strategy, OF_CANDIDATES, middle).map(|found| found.micros);
            let what = format!("`{name}`: CPU of a decision, {middle}, {OF_CANDIDATES} candidates");
            row(text, &what, micros, "us", MOST_MICROS);
            let growth = CANDIDATES.iter().filter_map(|candidates| {
                let count = |size| self.of(strategy, *candidates, size)?.instructions;
                Some(count(large)? / count(small)?)
            });
            let what = format!("`{name}`: instructions, {large}, at most");
            row(text, &what, growth.reduce(f64::max), &format!("x {small}"), MOST_GROWTH);
        }
    }

    fn table(&self, strategy: Strategy, text: &mut String) {
        let _ = writeln!(text, "\n`{}`: instructions of a decision (microseconds of CPU)\n", word(strategy));
        let measured = |count: &&usize| SIZES.iter().any(|size| self.of(strategy, **count, *size).is_some());
        let counts: Vec<usize> = CANDIDATES.iter().filter(measured).copied().collect();
        let heads: String = counts.iter().map(|count| format!(" {count} |")).collect();
        let _ = writeln!(text, "| peers/backends/models \\ candidates |{heads}\n|---|{}", "---:|".repeat(counts.len()));
        for size in SIZES {
            let shown = counts.iter().filter_map(|count| self.of(strategy, *count, size)).map(show).collect::<String>();
            let _ = writeln!(text, "| {size} |{shown}");
        }
    }
}

fn show(found: &Found) -> String {
    let count = instructions::show(found.instructions);
    format!(" {count} ({:.2}) |", found.micros)
}

fn row(text: &mut String, what: &str, found: Option<f64>, unit: &str, target: f64) {
    let (shown, verdict) = match found {
        Some(found) => (format!("{found:.2} {unit}"), if found <= target { "met" } else { "missed" }),
        None => ("not measured".to_owned(), ""),
    };
    let _ = writeln!(text, "| {what} | {shown} | <= {target} | {verdict} |");
}

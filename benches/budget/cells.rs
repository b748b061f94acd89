//! What is measured: on which disk, how many holders at once, with a client's own account or without.

use std::fmt;
use std::str::FromStr;

use anyhow::Context;

/// One thing that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    /// On the disk of the machine, and not in memory.
    pub(crate) on_disk: bool,
    /// How many set aside at once.
    pub(crate) holders: usize,
    /// Whether the client has an account of its own.
    pub(crate) with_key: bool,
}

const fn cell(on_disk: bool, holders: usize, with_key: bool) -> Cell {
    Cell { on_disk, holders, with_key }
}

/// Everything that is measured.
pub(crate) const CELLS: [Cell; 6] = [
    cell(false, 1, false),
    cell(false, 1, true),
    cell(false, 256, false),
    cell(true, 1, false),
    cell(true, 256, false),
    cell(true, 256, true),
];

impl Cell {
    /// Holds that are timed at once: long enough for the kernel's clock, and not too long for a slow disk.
    pub(crate) fn timed(self) -> u64 {
        match (self.on_disk, self.holders) {
            (false, _) => 20_480,
            (true, 1) => 500,
            (true, _) => 20_480,
        }
    }

    /// Whether instructions are counted: where no other thread writes.
    pub(crate) fn is_counted(self) -> bool {
        !self.on_disk
    }

    /// The most microseconds of CPU that a hold and its settling may take, of all threads together.
    pub(crate) fn most_micros(self) -> Option<f64> {
        (!self.on_disk || self.holders > 1).then_some(15.0)
    }

    /// The fewest holds in a second.
    pub(crate) fn fewest(self) -> Option<f64> {
        (self.on_disk && self.holders > 1).then_some(2_000.0)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, key) = (if self.on_disk { "disk" } else { "memory" }, if self.with_key { ",key" } else { "" });
        write!(f, "{place},{}{key}", self.holders)
    }
}

impl FromStr for Cell {
    type Err = anyhow::Error;

    /// As it is shown: `memory,1,key`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        CELLS.into_iter().find(|cell| cell.to_string() == text).context("no such cell")
    }
}

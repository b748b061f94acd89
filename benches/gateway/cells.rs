//! What is asked of every peer. The table is the workload: driver and load generator both read it.

use crate::script::Script;

/// A workload: so many connections, each of which asks again as soon as it was answered, or at a pace of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    /// As `--cells` names it.
    pub(crate) name: &'static str,
    /// What is asked, for readers.
    pub(crate) about: &'static str,
    pub(crate) connections: usize,
    /// About how large a request is, in bytes.
    pub(crate) size: usize,
    pub(crate) script: Script,
    /// Every connection begins a request so often, in microseconds; 0: as soon as it was answered.
    pub(crate) every: u64,
}

const WHOLE: Script = Script { chunks: 0, gap: 0, pause: 0 };

/// Every workload.
pub(crate) const CELLS: [Cell; 7] = [
    Cell {
        name: "small",
        about: "0.4 KiB request, 0.7 KiB answer, 32 connections",
        connections: 32,
        size: 400,
        script: WHOLE,
        every: 0,
    },
    Cell {
        name: "single",
        about: "1 KiB request, 0.7 KiB answer, 1 connection",
        connections: 1,
        size: 1024,
        script: WHOLE,
        every: 0,
    },
    Cell {
        name: "steady",
        about: "1,000 requests a second: 0.4 KiB request, 0.7 KiB answer, 10 connections",
        connections: 10,
        size: 400,
        script: WHOLE,
        every: 10_000,
    },
    Cell {
        name: "large",
        about: "64 KiB request, 16 connections",
        connections: 16,
        size: 64 << 10,
        script: WHOLE,
        every: 0,
    },
    Cell {
        name: "paced",
        about: "streams of 101 chunks, 5 ms apart, 32 connections",
        connections: 32,
        size: 400,
        script: Script { chunks: 100, gap: 5_000, pause: 0 },
        every: 0,
    },
    Cell {
        name: "burst",
        about: "streams of 33 chunks, one write each, no pause, 16 connections",
        connections: 16,
        size: 400,
        script: Script { chunks: 32, gap: 0, pause: 0 },
        every: 0,
    },
    Cell {
        name: "headgap",
        about: "streams of 9 chunks, the first 3 ms after the head, 4 connections",
        connections: 4,
        size: 400,
        script: Script { chunks: 8, gap: 0, pause: 3_000 },
        every: 0,
    },
];

/// The workload of that name.
pub(crate) fn named(name: &str) -> Option<Cell> {
    CELLS.into_iter().find(|cell| cell.name == name)
}

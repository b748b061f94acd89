//! What is measured: meshes of several sizes, models at several numbers of backends, the strategies.

use std::fmt;
use std::str::FromStr;

use anyhow::Context;
use nexus::route::Strategy;

/// How large a mesh is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) peers: usize,
    pub(crate) backends: usize,
    pub(crate) models: usize,
}

/// Every size, the smallest first.
pub(crate) const SIZES: [Size; 3] = [
    Size { peers: 10, backends: 40, models: 200 },
    Size { peers: 50, backends: 200, models: 1_000 },
    Size { peers: 100, backends: 400, models: 2_000 },
];

/// How many backends have the model that is asked for.
pub(crate) const CANDIDATES: [usize; 5] = [1, 2, 4, 8, 16];

/// Those that make an estimate or a score of each candidate.
pub(crate) const STRATEGIES: [Strategy; 2] = [Strategy::Adaptive, Strategy::Smart];

/// A decision that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) strategy: Strategy,
    pub(crate) candidates: usize,
    pub(crate) size: Size,
}

impl Cell {
    pub(crate) fn new(strategy: Strategy, candidates: usize, size: Size) -> Self {
        Cell { strategy, candidates, size }
    }

    /// Whether only the mesh around the candidates is another.
    pub(crate) fn is_asked_alike(&self, other: &Cell) -> bool {
        (self.strategy, self.candidates) == (other.strategy, other.candidates)
    }
}

/// Everything that can be measured.
pub(crate) fn all() -> impl Iterator<Item = Cell> {
    let each = |strategy| {
        CANDIDATES.into_iter().flat_map(move |candidates| SIZES.map(|size| Cell::new(strategy, candidates, size)))
    };
    STRATEGIES.into_iter().flat_map(each)
}

/// The word of the configuration.
pub(crate) fn word(strategy: Strategy) -> &'static str {
    if strategy == Strategy::Smart { "smart" } else { "adaptive" }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.peers, self.backends, self.models)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{}", word(self.strategy), self.candidates, self.size)
    }
}

impl FromStr for Cell {
    type Err = anyhow::Error;

    /// As it is shown: `adaptive,4,50/200/1000`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        all().find(|cell| cell.to_string() == text).context("no such cell")
    }
}

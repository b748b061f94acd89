//! What is measured: requests, small and large, and chunks of streams, each from one dialect into another.

use std::fmt;
use std::str::FromStr;

use anyhow::Context;
use nexus::exchange::Endpoint;

/// How large a translation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// A request of four messages.
    Small,
    /// A request of Claude Code's: 64 KiB, most of it tools.
    ClaudeCode,
    /// One event of a stream, with some text.
    Chunk,
}

/// A translation that is measured. Requests go from a client to a backend, chunks the other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) size: Size,
    pub(crate) from: Endpoint,
    pub(crate) to: Endpoint,
}

const fn cell(size: Size, from: Endpoint, to: Endpoint) -> Cell {
    Cell { size, from, to }
}

/// Everything that is measured.
pub(crate) const CELLS: [Cell; 9] = [
    cell(Size::Small, Endpoint::ChatCompletions, Endpoint::Messages),
    cell(Size::Small, Endpoint::Messages, Endpoint::ChatCompletions),
    cell(Size::ClaudeCode, Endpoint::Messages, Endpoint::ChatCompletions),
    cell(Size::ClaudeCode, Endpoint::Messages, Endpoint::OllamaChat),
    cell(Size::ClaudeCode, Endpoint::Messages, Endpoint::GenerateContent),
    cell(Size::Chunk, Endpoint::ChatCompletions, Endpoint::Messages),
    cell(Size::Chunk, Endpoint::Messages, Endpoint::ChatCompletions),
    cell(Size::Chunk, Endpoint::StreamContent, Endpoint::ChatCompletions),
    cell(Size::Chunk, Endpoint::OllamaChat, Endpoint::ChatCompletions),
];

impl Cell {
    /// How many are timed at once: long enough for the kernel's clock.
    pub(crate) fn timed(self) -> u64 {
        match self.size {
            Size::Small => 5_000,
            Size::ClaudeCode => 500,
            Size::Chunk => 50_000,
        }
    }

    /// The most that it may take, in microseconds of CPU.
    pub(crate) fn most_micros(self) -> f64 {
        match self.size {
            Size::Small => 60.0,
            Size::ClaudeCode => 400.0,
            Size::Chunk => 2.0,
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = match self.size {
            Size::Small => "small",
            Size::ClaudeCode => "claude-code",
            Size::Chunk => "chunk",
        };
        write!(f, "{size},{},{}", self.from.dialect().as_str(), self.to.dialect().as_str())
    }
}

impl FromStr for Cell {
    type Err = anyhow::Error;

    /// As it is shown: `small,openai,anthropic`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        CELLS.into_iter().find(|cell| cell.to_string() == text).context("no such cell")
    }
}

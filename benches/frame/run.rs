//! How a benchmark is run: what every one of them is told on its command line.

use clap::Args;

/// What a test run says, in which nothing is measured.
pub(crate) const TEST_RUN: &str =
    concat!("Nothing is measured in a test run: use `cargo bench --bench ", env!("CARGO_CRATE_NAME"), "`");

/// What every benchmark is told.
#[derive(Args)]
pub(crate) struct Run {
    /// As little as can be measured: to see that everything runs, not for figures.
    #[arg(long)]
    pub(crate) short: bool,
    /// How often each is measured.
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Given by `cargo bench`; without it nothing is measured.
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}

impl Run {
    /// How often each is measured: where nothing is said, `few` times in a short run and else `many` times.
    pub(crate) fn rounds(&self, few: usize, many: usize) -> usize {
        self.rounds.unwrap_or(if self.short { few } else { many }).max(1)
    }
}

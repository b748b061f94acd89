//! The laboratory: how good routing is, beside other ways to route, on the very same arrivals. It is arithmetic over a
//! heap of events, without sockets, packets or tasks; the ranking is the product's own. What a node does around it, such
//! as admission, is told again here in few lines, and what this leaves out stands in `docs/SIMULATION.md`.

mod admission;
mod backend;
mod claims;
mod clock;
mod course;
mod figures;
mod router;
mod setting;
mod sight;
mod table;

use std::collections::BTreeMap;

use crate::goals::FEWEST_SEEDS;
use crate::runner;
use figures::Figures;
pub(crate) use figures::{mean, rank};
use router::ROUTERS;
use setting::{SETTINGS, Setting};

/// Its name on the command line, where it stands beside those of scenarios.
pub(crate) const NAME: &str = "lab";

/// What it tells, for the list of scenarios.
pub(crate) const ABOUT: &str = "how good routing is, beside other ways to route";

/// Seeds that are run unless more are asked for.
pub(crate) const SEEDS: u64 = 5;

/// Figures by router, a row for each seed.
type Rows = BTreeMap<&'static str, Vec<Figures>>;

/// Runs every setting with every router over `seeds`, prints a table for each setting, and says how many of the claims
/// that must hold do, and how many do not.
pub(crate) fn all(seeds: &[u64], jobs: usize) -> (usize, usize) {
    let (mut held, mut broken) = (0, 0);
    for setting in SETTINGS {
        let rows = rows(setting, seeds, jobs);
        println!("{}", table::of(setting, &rows, seeds.len()));
        if !is_repeatable(setting, seeds) {
            println!("  FAILED: one seed gives one course of events");
            broken += 1;
        }
        for claim in claims::of(setting).filter(|_| seeds.len() >= FEWEST_SEEDS) {
            let found = claim.found(&rows);
            println!("{}", claim.line(found));
            match claim.is_hard() {
                true if claim.holds(found) => held += 1,
                true => broken += 1,
                false => {}
            }
        }
    }
    (held, broken)
}

/// Whether the first seed comes to the same once more.
fn is_repeatable(setting: &Setting, seeds: &[u64]) -> bool {
    let Some(seed) = seeds.first() else { return true };
    let requests = setting.requests(*seed);
    ROUTERS.iter().all(|(_, way)| {
        let once = || Figures::of(course::run(setting, &requests, way, *seed));
        once() == once()
    })
}

fn rows(setting: &Setting, seeds: &[u64], jobs: usize) -> Rows {
    let ran = runner::in_order(seeds.len(), jobs, |at| {
        let requests = setting.requests(seeds[at]);
        let figures = |way: &router::Way| Figures::of(course::run(setting, &requests, way, seeds[at]));
        ROUTERS.iter().map(|(name, way)| (*name, figures(way))).collect::<Vec<_>>()
    });
    let mut rows = Rows::new();
    for (name, figures) in ran.into_iter().flatten() {
        rows.entry(name).or_default().push(figures);
    }
    rows
}

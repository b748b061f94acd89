//! The laboratory of the budget: treasuries as they are, on machines, disks, clocks and wires that fail in every way that a
//! seed can think of. Its own bookkeeping knows what was really spent; `claims` says what must be true. The network is
//! question and answer, gossip is what one treasury tells and another hears: packets and nodes are for the scenarios.

mod book;
mod claims;
mod course;
mod disk;
mod machine;
mod setting;
mod spend;
mod wire;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::runner;
use setting::Setting;
use world::{World, lock};

/// Its name on the command line, where it stands beside those of scenarios.
pub(crate) const NAME: &str = "budget";

/// What it tells, for the list of scenarios.
pub(crate) const ABOUT: &str = "whether the limit of the budget holds, whatever fails";

/// Seeds that are run unless more are asked for.
pub(crate) const SEEDS: u64 = 100;

/// What came of a seed.
#[derive(Default, PartialEq)]
struct Came {
    broken: BTreeSet<String>,
    counts: BTreeMap<&'static str, u64>,
}

/// Runs every seed, prints what happened in all of them and how to replay those that failed. Says how many held.
pub(crate) fn all(seeds: &[u64], jobs: usize) -> (usize, usize) {
    let begun = tokio::time::Instant::now();
    let came = runner::in_order(seeds.len(), jobs, |at| one(seeds[at]));
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for (what, count) in came.iter().flat_map(|came| &came.counts) {
        *sums.entry(what).or_default() += count;
    }
    let told: Vec<String> = sums.iter().map(|(what, sum)| format!("{sum} {what}")).collect();
    println!("budget      {:>3} seeds  {:.1} s  {}", seeds.len(), begun.elapsed().as_secs_f64(), told.join(", "));
    let mut failed = 0;
    for (seed, came) in seeds.iter().zip(&came).filter(|(_, came)| !came.broken.is_empty()) {
        failed += 1;
        println!("FAILED budget, seed {seed}: {:?}", Setting::of(*seed));
        came.broken.iter().take(5).for_each(|line| println!("  {line}"));
        println!("  replay: cargo test --test simulation -- --scenario budget --seed {seed}");
    }
    if seeds.first().is_some_and(|seed| one(*seed) != one(*seed)) {
        println!("FAILED budget: one seed gives one course of events");
        failed += 1;
    }
    (seeds.len() - failed.min(seeds.len()), failed)
}

fn one(seed: u64) -> Came {
    let faulty = ran(seed, Setting::of(seed), true);
    let faultless = ran(seed, spend::setting(seed), false);
    let broken = faulty.broken.union(&faultless.broken).cloned().collect();
    Came { broken, ..faulty }
}

fn ran(seed: u64, setting: Setting, is_faulty: bool) -> Came {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without sockets can always be had");
    let work = async {
        let mut world = World::new(seed, setting);
        if is_faulty {
            course::run(&mut world).await;
            world.check_same();
            world.count_transfers();
        } else {
            spend::run(&mut world).await;
        }
        let mut counts = std::mem::take(&mut world.counts);
        let book = lock(&world.book);
        counts.extend([("calls", book.calls), ("refused", book.refused)]);
        Came { broken: book.broken.iter().cloned().collect(), counts }
    };
    catch_unwind(AssertUnwindSafe(|| runtime.block_on(work))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Came { broken: BTreeSet::from([format!("PANIC: {}", text.unwrap_or("?"))]), ..Came::default() }
    })
}

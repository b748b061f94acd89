//! What Nexus costs, beside nginx in the same run: CPU per request and per streamed chunk, the hop between two peers,
//! memory, start. `cargo bench --bench gateway`; docs/BENCHMARKS.md has the method. It prints targets and never fails
//! for time, only where something does not run.

mod backend;
mod cells;
mod client;
mod kinds;
mod load;
#[path = "../frame/machine.rs"]
mod machine;
mod measure;
mod peers;
mod process;
mod report;
#[path = "../frame/run.rs"]
mod run;
mod script;
mod watcher;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::cells::{CELLS, Cell};
use crate::kinds::Kind;
use crate::peers::{Lab, Peer};
use crate::report::Results;
use crate::run::{Run, TEST_RUN};

/// What Nexus costs, beside nginx in the same run.
#[derive(Parser)]
#[command(name = "gateway")]
struct Arguments {
    #[command(flatten)]
    run: Run,
    /// Milliseconds for each cell and peer.
    #[arg(long, value_name = "MS")]
    millis: Option<u64>,
    /// Workloads: small, single, steady, large, paced, burst, headgap, idle.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    cells: Vec<String>,
    /// Whom to measure.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    peers: Vec<Kind>,
    /// Write every sample to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Pin nothing: a node then runs a thread for each core.
    #[arg(long)]
    unpinned: bool,
    /// Another `nexus` than the one built with this benchmark.
    #[arg(long, value_name = "FILE")]
    nexus: Option<PathBuf>,
    #[command(subcommand)]
    part: Option<Part>,
}

/// Parts that run as processes of their own.
#[derive(Subcommand)]
#[command(hide = true)]
enum Part {
    Backend,
    Load {
        address: SocketAddr,
        cell: String,
        millis: u64,
    },
    Watch {
        address: SocketAddr,
        #[arg(action = clap::ArgAction::Set)]
        scrapes: bool,
    },
}

/// The cell that has no load.
const IDLE: &str = "idle";

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match &arguments.part {
        Some(Part::Backend) => backend::run(),
        Some(Part::Watch { address, scrapes }) => watcher::run(*address, *scrapes),
        Some(Part::Load { address, cell, millis }) => {
            let cell = cells::named(cell).context("no such cell")?;
            load::run(*address, cell, Duration::from_millis(*millis))
        }
        None if !arguments.run.bench => {
            println!("{TEST_RUN}");
            Ok(())
        }
        None => drive(&arguments),
    }
}

fn drive(arguments: &Arguments) -> Result<()> {
    let cells = chosen_cells(&arguments.cells)?;
    let idle = arguments.cells.is_empty() || arguments.cells.iter().any(|name| name == IDLE);
    let kinds = if arguments.peers.is_empty() { Kind::ALL.to_vec() } else { arguments.peers.clone() };
    let rounds = arguments.run.rounds(1, 3);
    let time = Duration::from_millis(arguments.millis.unwrap_or(if arguments.run.short { 200 } else { 1500 }));

    let nexus = arguments.nexus.clone().unwrap_or_else(|| env!("CARGO_BIN_EXE_nexus").into());
    let lab = Lab::open(nexus, !arguments.unpinned)?;
    let mut results = Results { machine: machine::about(), ..Results::default() };
    let peers = if cells.is_empty() { BTreeMap::new() } else { start(&lab, &kinds, &mut results)? };
    let mut turns: Vec<Kind> = kinds.iter().copied().filter(|kind| peers.contains_key(&kind.process())).collect();
    let mut order = StdRng::seed_from_u64(0);
    for round in 0..rounds {
        // What drifts while a round lasts must not always meet the same kind, nor may it always be the same one that comes
        // after itself and finds warm caches.
        if round % 2 == 0 {
            turns.shuffle(&mut order);
        } else {
            turns.reverse();
        }
        measure_round(&lab, &peers, &turns, &cells, time, round, &mut results)?;
    }
    drop(peers);
    for round in 0..rounds {
        for kind in kinds.iter().filter(|kind| idle && **kind != Kind::Direct) {
            results.idle.extend(measure::idle(&lab, *kind, round)?);
        }
    }
    println!("{}", results.text());
    if let Some(file) = &arguments.json {
        let text = serde_json::to_string_pretty(&results)?;
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let failures: u64 = results.samples.iter().map(|sample| sample.seen.failures).sum();
    anyhow::ensure!(failures == 0, "{failures} requests were not answered as the backend answered them");
    Ok(())
}

/// Starts the process of each of `kinds`, those that are installed.
fn start(lab: &Lab, kinds: &[Kind], results: &mut Results) -> Result<BTreeMap<Kind, Peer>> {
    let mut peers = BTreeMap::new();
    for process in kinds.iter().map(|kind| kind.process()).collect::<BTreeSet<_>>() {
        match lab.start(process)? {
            Some(peer) => drop(peers.insert(process, peer)),
            None => results.missing.push(process.name()),
        }
    }
    Ok(peers)
}

fn measure_round(
    lab: &Lab,
    peers: &BTreeMap<Kind, Peer>,
    turns: &[Kind],
    cells: &[Cell],
    time: Duration,
    round: usize,
    results: &mut Results,
) -> Result<()> {
    for cell in cells {
        for kind in turns {
            let sample = measure::run(lab, &peers[&kind.process()], *kind, cell, time, round)?;
            eprintln!(
                "round {} {:>8} {:>8} {:8.1} us of CPU an answer, {} answers, {} failures {}",
                round + 1,
                cell.name,
                kind.name(),
                sample.cpu_per_answer,
                sample.seen.answers,
                sample.seen.failures,
                sample.seen.first_failure.as_deref().unwrap_or_default(),
            );
            results.samples.push(sample);
        }
    }
    Ok(())
}

fn chosen_cells(names: &[String]) -> Result<Vec<Cell>> {
    if names.is_empty() {
        return Ok(CELLS.to_vec());
    }
    let with_load = names.iter().filter(|name| *name != IDLE);
    with_load.map(|name| cells::named(name).with_context(|| format!("there is no cell '{name}'"))).collect()
}

//! What it costs to translate: a request from one dialect into another, and one chunk of a stream. Instructions counted by
//! valgrind, and CPU time. `cargo bench --bench dialect`. It prints targets and never fails for time.

mod cells;
#[path = "../decision/cpu.rs"]
mod cpu;
mod instructions;
#[path = "../gateway/machine.rs"]
mod machine;
mod report;
mod work;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::cells::{CELLS, Cell};
use crate::report::{Found, Results};
use crate::work::Work;

/// As the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What it costs to translate.
#[derive(Parser)]
#[command(name = "dialect")]
struct Arguments {
    /// One round, few translations: to see that everything runs.
    #[arg(long)]
    short: bool,
    /// How often CPU time is measured; the least counts.
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Given by `cargo bench`; without it nothing is measured.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What runs under valgrind.
#[derive(Subcommand)]
#[command(hide = true)]
enum Part {
    Translate { cell: Cell, times: u64 },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match &arguments.part {
        Some(Part::Translate { cell, times }) => Work::new(*cell)?.repeat(*times),
        None if !arguments.bench => {
            println!("Nothing is measured in a test run: use `cargo bench --bench dialect`");
            Ok(())
        }
        None => drive(&arguments),
    }
}

fn drive(arguments: &Arguments) -> Result<()> {
    let rounds = arguments.rounds.unwrap_or(if arguments.short { 1 } else { 9 }).max(1);
    let many = if arguments.short { 300 } else { 1_100 };
    let mut works: Vec<Work> = CELLS.into_iter().map(Work::new).collect::<Result<_>>()?;
    let mut least = vec![f64::INFINITY; works.len()];
    for _ in 0..rounds {
        // What drifts while it lasts must not always meet the same cell: each gets its turn in every round.
        for (work, least) in works.iter_mut().zip(&mut least) {
            let (timed, mut result) = (work.cell.timed(), Ok(()));
            *least = least.min(cpu::of(timed, || result = work.repeat(timed))?);
            result?;
        }
    }
    let valgrind = machine::find("valgrind");
    let mut results = Results { machine: machine::about(), found: Vec::new() };
    for (work, micros) in works.iter().zip(least) {
        let instructions = valgrind.as_ref().map(|valgrind| instructions::of(valgrind, work.cell, many)).transpose()?;
        results.found.push(Found { cell: work.cell, bytes: work.bytes(), micros, instructions });
    }
    println!("{}", results.text());
    Ok(())
}

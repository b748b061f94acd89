//! What it costs to set money aside before a call and to settle it after: instructions counted by valgrind, CPU time, and
//! how many holds a disk takes in a second. `cargo bench --bench budget`. It prints targets and never fails for time.

mod cells;
mod cpu;
mod instructions;
#[path = "../gateway/machine.rs"]
mod machine;
mod memory;
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

/// What it costs to set money aside and to settle it.
#[derive(Parser)]
#[command(name = "budget")]
struct Arguments {
    /// One round, few holds: to see that everything runs.
    #[arg(long)]
    short: bool,
    /// How often it is measured; the least CPU and the most holds count.
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
    Hold { cell: Cell, times: u64 },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match &arguments.part {
        Some(Part::Hold { cell, times }) => Work::new(*cell)?.repeat(*times),
        None if !arguments.bench => {
            println!("Nothing is measured in a test run: use `cargo bench --bench budget`");
            Ok(())
        }
        None => drive(&arguments),
    }
}

fn drive(arguments: &Arguments) -> Result<()> {
    let rounds = arguments.rounds.unwrap_or(if arguments.short { 1 } else { 5 }).max(1);
    let valgrind = machine::find("valgrind");
    let mut results = Results { machine: machine::about(), found: Vec::new() };
    for cell in CELLS {
        let mut work = Work::new(cell)?;
        work.repeat(cell.timed() / 10)?;
        let (mut micros, mut each_second) = (f64::INFINITY, 0.0_f64);
        for _ in 0..rounds {
            let mut result = Ok(());
            let spent = cpu::of(cell.timed(), || result = work.repeat(cell.timed()))?;
            result?;
            micros = micros.min(spent.micros);
            each_second = each_second.max(spent.each_second);
        }
        let counted = valgrind.as_ref().filter(|_| cell.is_counted());
        let instructions = counted.map(|valgrind| instructions::of(valgrind, cell)).transpose()?;
        results.found.push(Found { cell, micros, each_second, instructions });
    }
    println!("{}", results.text());
    Ok(())
}

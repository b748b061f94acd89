//! What it costs to set money aside before a call and to settle it after: instructions counted by valgrind, CPU time, and
//! how many holds a disk takes in a second. `cargo bench --bench budget`. It prints targets and never fails for time.

mod cells;
#[path = "../frame/cpu.rs"]
mod cpu;
#[path = "../frame/instructions.rs"]
mod instructions;
#[path = "../frame/machine.rs"]
mod machine;
mod memory;
mod report;
#[path = "../frame/run.rs"]
mod run;
mod work;

use std::ops::Range;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tokio::time::Instant;

use crate::cells::{CELLS, Cell};
use crate::report::Found;
use crate::run::{Run, TEST_RUN};
use crate::work::Work;

/// Holds that instructions are counted of: multiples of all numbers of holders.
const COUNTED: Range<u64> = 1_024..5_120;

/// As the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What it costs to set money aside and to settle it.
#[derive(Parser)]
#[command(name = "budget")]
struct Arguments {
    #[command(flatten)]
    run: Run,
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
        None if !arguments.run.bench => {
            println!("{TEST_RUN}");
            Ok(())
        }
        None => drive(&arguments.run),
    }
}

fn drive(run: &Run) -> Result<()> {
    let rounds = run.rounds(1, 5);
    let valgrind = machine::find("valgrind");
    let (machine, mut found) = (machine::about(), Vec::new());
    for cell in CELLS {
        let mut work = Work::new(cell)?;
        work.repeat(cell.timed() / 10)?;
        let (mut micros, mut each_second) = (f64::INFINITY, 0.0_f64);
        for _ in 0..rounds {
            let (timed, begun, mut result) = (cell.timed(), Instant::now(), Ok(()));
            micros = micros.min(cpu::of(timed, || result = work.repeat(timed))?);
            each_second = each_second.max(timed as f64 / begun.elapsed().as_secs_f64());
            result?;
        }
        let counted = valgrind.as_deref().filter(|_| cell.is_counted());
        let count = |valgrind| instructions::of(valgrind, &["hold", &cell.to_string()], COUNTED);
        let instructions = counted.map(count).transpose()?;
        found.push(Found { cell, micros, each_second, instructions });
    }
    println!("{}", report::text(&machine, &found));
    Ok(())
}

//! What it costs to translate: a request from one dialect into another, and one chunk of a stream. Instructions counted by
//! valgrind, and CPU time. `cargo bench --bench dialect`. It prints targets and never fails for time.

mod cells;
#[path = "../frame/cpu.rs"]
mod cpu;
#[path = "../frame/instructions.rs"]
mod instructions;
#[path = "../frame/machine.rs"]
mod machine;
mod report;
#[path = "../frame/run.rs"]
mod run;
mod work;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::cells::{CELLS, Cell};
use crate::report::Found;
use crate::run::{Run, TEST_RUN};
use crate::work::Work;

/// As the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What it costs to translate.
#[derive(Parser)]
#[command(name = "dialect")]
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
    Translate { cell: Cell, times: u64 },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match &arguments.part {
        Some(Part::Translate { cell, times }) => Work::new(*cell)?.repeat(*times),
        None if !arguments.run.bench => {
            println!("{TEST_RUN}");
            Ok(())
        }
        None => drive(&arguments.run),
    }
}

fn drive(run: &Run) -> Result<()> {
    let rounds = run.rounds(1, 9);
    let counted = 100..if run.short { 300 } else { 1_100 };
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
    let (machine, mut found) = (machine::about(), Vec::new());
    for (work, micros) in works.iter().zip(least) {
        let count = |valgrind| instructions::of(valgrind, &["translate", &work.cell.to_string()], counted.clone());
        let instructions = valgrind.as_deref().map(count).transpose()?;
        found.push(Found { cell: work.cell, bytes: work.bytes(), micros, instructions });
    }
    println!("{}", report::text(&machine, &found));
    Ok(())
}

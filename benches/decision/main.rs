//! What it costs to decide where a request goes, by the size of the mesh and by how many backends have the model:
//! instructions counted by valgrind, and CPU time. `cargo bench --bench decision`; docs/BENCHMARKS.md has the method. It
//! prints targets and never fails for time, only where the size of the mesh changes what is decided.

mod cells;
#[path = "../frame/cpu.rs"]
mod cpu;
mod decision;
#[path = "../frame/instructions.rs"]
mod instructions;
#[path = "../frame/machine.rs"]
mod machine;
mod prompt;
mod report;
#[path = "../frame/run.rs"]
mod run;
mod setting;
mod told;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;

use crate::cells::{CANDIDATES, Cell, SIZES};
use crate::decision::Decision;
use crate::report::{Found, Results};
use crate::run::{Run, TEST_RUN};
use crate::setting::Setting;

/// As the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What it costs to decide where a request goes.
#[derive(Parser)]
#[command(name = "decision")]
struct Arguments {
    #[command(flatten)]
    run: Run,
    /// How many backends have the model.
    #[arg(long, value_delimiter = ',', value_name = "NUMBERS")]
    candidates: Vec<usize>,
    /// How much text the prompt has.
    #[arg(long, value_name = "KIB", default_value_t = 8, global = true)]
    kib: usize,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What runs under valgrind.
#[derive(Subcommand)]
#[command(hide = true)]
enum Part {
    Decide { cell: Cell, times: u64 },
}

/// Decisions that are timed at once: long enough for the kernel's clock.
const TIMED: u64 = 5_000;

/// Plans that are compared between meshes: chance falls otherwise in each.
const COMPARED: u64 = 32;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match &arguments.part {
        Some(Part::Decide { cell, times }) => {
            Decision::new(&Setting::new(cell.size, arguments.kib)?, *cell)?.repeat(0..*times);
            Ok(())
        }
        None if !arguments.run.bench => {
            let clock = stopped()?;
            let _now = clock.enter();
            alike(&settings(arguments.kib)?)?;
            println!("No mesh decides otherwise. {TEST_RUN}");
            Ok(())
        }
        None => drive(&arguments),
    }
}

fn drive(arguments: &Arguments) -> Result<()> {
    let candidates = chosen(arguments)?;
    let (short, rounds) = (arguments.run.short, arguments.run.rounds(1, 9));
    let counted = 100..if short { 300 } else { 1_100 };
    let clock = stopped()?;
    let now = clock.enter();
    let settings = settings(arguments.kib)?;
    let mut decisions = alike(&settings)?;
    drop(now);
    decisions.retain(|decision| candidates.contains(&decision.cell.candidates));

    let mut results = Results { machine: machine::about(), ..Results::default() };
    results.marks = decisions.first().map_or(0, Decision::marks);
    let mut least = vec![f64::INFINITY; decisions.len()];
    for _ in 0..rounds {
        // What drifts while it lasts must not always meet the same cell: each gets its turn in every round.
        for (decision, least) in decisions.iter().zip(&mut least) {
            *least = least.min(cpu::of(TIMED, || decision.repeat(0..TIMED))?);
        }
    }
    let valgrind = machine::find("valgrind");
    for (decision, micros) in decisions.iter().zip(least) {
        let part = ["--kib", &arguments.kib.to_string(), "decide", &decision.cell.to_string()];
        let count = |valgrind| instructions::of(valgrind, &part, counted.clone());
        let instructions = valgrind.as_deref().map(count).transpose()?;
        results.found.push(Found { cell: decision.cell, micros, instructions });
    }
    println!("{}", results.text());
    Ok(())
}

/// How many candidates are measured.
fn chosen(arguments: &Arguments) -> Result<&[usize]> {
    let candidates: &[usize] = match &*arguments.candidates {
        [] if arguments.run.short => &[4],
        [] => &CANDIDATES,
        chosen => chosen,
    };
    if let Some(number) = candidates.iter().find(|number| !CANDIDATES.contains(number)) {
        anyhow::bail!("no model is at {number} backends: choose of {CANDIDATES:?}");
    }
    Ok(candidates)
}

/// A clock that stands still: a plan tells how old its news are, and one mesh is built after the other.
fn stopped() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?)
}

/// A mesh of every size.
fn settings(kib: usize) -> Result<Vec<Setting>> {
    SIZES.iter().map(|size| Setting::new(*size, kib)).collect()
}

/// Every decision; in none does the size of the mesh change what is decided.
fn alike(settings: &[Setting]) -> Result<Vec<Decision<'_>>> {
    let setting =
        |cell: &Cell| settings.iter().find(|setting| setting.size == cell.size).context("every size is built");
    let decisions = cells::all().map(|cell| Decision::new(setting(&cell)?, cell)).collect::<Result<Vec<_>>>()?;
    compare(&decisions)?;
    Ok(decisions)
}

/// The same candidates in a larger mesh are the same plan.
fn compare(decisions: &[Decision<'_>]) -> Result<()> {
    for decision in decisions {
        let cell = decision.cell;
        let first = decisions.iter().find(|other| other.cell.is_asked_alike(&cell)).context("itself at least")?;
        for turn in 0..COMPARED {
            let (plan, expected) = (decision.plan(turn), first.plan(turn));
            anyhow::ensure!(
                plan == expected,
                "{cell} decides otherwise at turn {turn}: {plan:#?} and not {expected:#?}"
            );
            anyhow::ensure!(plan.steps.len() == cell.candidates, "{cell} has {} steps", plan.steps.len());
        }
    }
    Ok(())
}

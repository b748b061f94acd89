//! What it takes to show a large mesh: the page, the page of forms and `/metrics` for 50 peers with 200 backends and 1,000 models,
//! rendered from snapshots as a node does it. `cargo bench --bench page`. It prints targets and never fails for time.

#[path = "../frame/machine.rs"]
#[expect(dead_code, reason = "no other program is run here")]
mod machine;
#[path = "../frame/run.rs"]
mod run;
mod setting;

use anyhow::Result;
use clap::Parser;
use nexus::dashboard::{Home, Limits, Manage, Overview, SCRIPT, STYLES, Settings, Shell, write};
use nexus::telemetry::{Counters, export};
use tokio::time::Instant;

use crate::run::{Run, TEST_RUN};

/// As the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What it takes to show a large mesh.
#[derive(Parser)]
#[command(name = "page")]
struct Arguments {
    #[command(flatten)]
    run: Run,
}

/// What one rendering took.
struct Row {
    what: &'static str,
    median_ms: f64,
    worst_ms: f64,
    bytes: usize,
    target: &'static str,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if !arguments.run.bench {
        println!("{TEST_RUN}");
        return Ok(());
    }
    let rounds = arguments.run.rounds(5, 200);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(async { measure(rounds) })
}

fn measure(rounds: usize) -> Result<()> {
    let setting = setting::Setting::new()?;
    let home = |limits: Limits| write(&Home { shell: Shell::default(), it: Overview::of(&setting.seen(), limits) });
    let all = ["peers", "backends", "models"].into_iter().fold(Limits::GLANCE, Limits::with_all_of);
    let manage = || {
        let it = Overview::of(&setting.seen(), Limits::GLANCE);
        write(&Manage { shell: Shell::default(), it, keys: Vec::new(), settings: Settings::default() })
    };
    let metrics = |counters: &Counters| export::text(counters, &setting.now(counters));
    let rows = [
        row("the page", rounds, "30 ms; 200 KB with its assets", || home(Limits::GLANCE)),
        row("the page, every list whole", rounds, "", || home(all)),
        row("the page of forms", rounds, "", manage),
        row("`/metrics`, one model of each backend asked", rounds, "50 ms, 2 MB", || metrics(&setting.some)),
        row("`/metrics`, every model asked", rounds, "50 ms, 2 MB", || metrics(&setting.all)),
    ];
    println!("{}\n", machine::about());
    println!(
        "{} peers, {} backends, {} models; median of {rounds}\n",
        setting::PEERS,
        setting::BACKENDS,
        setting::MODELS
    );
    println!("| what | ms | worst | KB | target |\n|---|---:|---:|---:|---|");
    for Row { what, median_ms, worst_ms, bytes, target } in rows {
        println!("| {what} | {median_ms:.2} | {worst_ms:.2} | {:.1} | {target} |", bytes as f64 / 1_000.0);
    }
    println!("\nScript and style: {:.1} KB.", (SCRIPT.len() + STYLES.len()) as f64 / 1_000.0);
    Ok(())
}

fn row(what: &'static str, rounds: usize, target: &'static str, render: impl Fn() -> String) -> Row {
    let bytes = render().len();
    let mut took: Vec<f64> = (0..rounds)
        .map(|_| {
            let begun = Instant::now();
            std::hint::black_box(render());
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    took.sort_by(f64::total_cmp);
    Row { what, median_ms: took[took.len() / 2], worst_ms: took[took.len() - 1], bytes, target }
}

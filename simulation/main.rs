//! The simulation: the real node on a simulated network, clock and disk, many seeds of many scenarios. This file reads
//! the command line; `runner` runs each seed in a process of its own, `cluster` is what a scenario holds in its hand,
//! `checks` is what must be true. See `docs/SIMULATION.md`.

mod backend;
mod book;
mod checks;
mod client;
mod cluster;
mod entropy;
mod host;
mod layout;
mod net;
mod options;
mod peer;
mod run;
mod runner;
mod scenarios;
mod trace;
mod udp;

use std::process::ExitCode;

use options::{Mode, Options};

fn main() -> ExitCode {
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    match &options.mode {
        Mode::Help => {
            println!("{}", options::HELP);
            ExitCode::SUCCESS
        }
        Mode::List { terse } => {
            for scenario in options.chosen() {
                match terse {
                    true => println!("{}: test", scenario.name),
                    false => println!("{:<12} {}", scenario.name, scenario.about),
                }
            }
            ExitCode::SUCCESS
        }
        Mode::One { scenario, seed } => run::child(scenario, *seed, &options),
        Mode::All => runner::all(&options),
    }
}

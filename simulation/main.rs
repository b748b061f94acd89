//! The simulation: the real node on a simulated network, clock and disk, many seeds of many scenarios. This file reads
//! the command line; `runner` runs each seed in a process of its own, `cluster` is what a scenario holds in its hand,
//! `checks` is what must be true. See `docs/SIMULATION.md`.

mod backend;
mod book;
mod budget;
mod checks;
mod client;
mod cluster;
mod entropy;
mod goals;
mod host;
mod lab;
mod layout;
mod lines;
mod net;
mod options;
mod peer;
mod policies;
mod run;
mod runner;
mod scenarios;
mod trace;
mod udp;
mod vendor;

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
            let scenarios = options.chosen().into_iter().map(|scenario| (scenario.name, scenario.about));
            for (name, about) in scenarios.chain(options.others()) {
                match terse {
                    true => println!("{name}: test"),
                    false => println!("{name:<12} {about}"),
                }
            }
            ExitCode::SUCCESS
        }
        Mode::One { scenario, seed } => run::child(scenario, *seed, &options),
        Mode::All => runner::all(&options),
    }
}

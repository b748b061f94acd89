//! The `nexus` program: parse, run, exit code. What it does is in the library.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let ended = nexus::cli::Cli::parse().run();
    nexus::telemetry::flush();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With nobody left to read it, the exit code must do.
            let _ = writeln!(anstream::stderr(), "Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

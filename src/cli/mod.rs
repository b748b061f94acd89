//! The command line: its commands, and how each is run. Commands other than `serve`, `synthetic` and `demo` only talk to
//! a running node or write a file; none of them is a node.

mod advise;
mod assent;
mod backends;
mod budget;
mod client;
mod completions;
mod config;
mod connect;
mod demo;
mod drain;
mod explain;
mod health;
mod keys;
mod log;
mod mesh;
mod models;
mod policies;
mod render;
mod serve;
mod settings;
mod signals;
mod synthetic;
mod turned;

use std::future::Future;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// One endpoint for every language model on every machine you own.
#[derive(Debug, Parser)]
#[command(name = "nexus", version, propagate_version = false, arg_required_else_help = true, max_term_width = 100)]
#[command(long_about = "\
One endpoint for every language model on every machine you own.

Every machine runs `nexus serve`. The peers find each other, share what models their backends have, and a client that \
asks any of them is answered by the best backend of all.")]
#[command(after_help = "\
Try it out:     nexus demo
Start a peer:   nexus serve
Add a machine:  nexus mesh invite      here, then on the other machine:
                nexus mesh join TOKEN")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    /// List, add, drain and remove backends of a running peer
    #[command(subcommand)]
    Backends(backends::Backends),
    Models(models::Models),
    Health(health::Health),
    Connect(connect::Connect),
    /// Write a configuration file, or have a running peer read its own again
    #[command(subcommand)]
    Config(config::Config),
    /// See, extend and join the mesh of peers
    #[command(subcommand)]
    Mesh(mesh::Mesh),
    /// Make, list and revoke the keys that clients must show
    #[command(subcommand)]
    Keys(keys::Keys),
    Budget(budget::Budget),
    /// List and change the other names that models have
    #[command(subcommand)]
    Aliases(settings::Aliases),
    /// List and change the models that may answer instead of others
    #[command(subcommand)]
    Fallbacks(settings::Fallbacks),
    /// List and change what must hold for models by name
    #[command(subcommand)]
    Policies(policies::Policies),
    Log(log::Log),
    Explain(explain::Explain),
    Advise(advise::Advise),
    Demo(demo::Demo),
    Synthetic(synthetic::Synthetic),
    Completions(completions::Completions),
}

/// Where the configuration is.
#[derive(Debug, Args)]
struct ConfigFile {
    /// Configuration file [env: NEXUS_CONFIG] [default: nexus.toml, if it is there]
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    path: Option<PathBuf>,
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// What went wrong, in words for the user.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Serve(serve) => on_many_threads(serve.run()),
            Command::Demo(demo) => on_many_threads(demo.run()),
            Command::Synthetic(synthetic) => on_many_threads(synthetic.run()),
            Command::Backends(backends) => on_one_thread(backends.run()),
            Command::Models(models) => on_one_thread(models.run()),
            Command::Health(health) => on_one_thread(health.run()),
            Command::Connect(connect) => on_one_thread(connect.run()),
            Command::Mesh(mesh) => on_one_thread(mesh.run()),
            Command::Keys(keys) => on_one_thread(keys.run()),
            Command::Budget(budget) => on_one_thread(budget.run()),
            Command::Explain(explain) => on_one_thread(explain.run()),
            Command::Advise(advise) => on_one_thread(advise.run()),
            Command::Aliases(aliases) => on_one_thread(aliases.run()),
            Command::Fallbacks(fallbacks) => on_one_thread(fallbacks.run()),
            Command::Policies(policies) => on_one_thread(policies.run()),
            Command::Log(log) => on_one_thread(log.run()),
            Command::Config(config) => on_one_thread(config.run()),
            Command::Completions(completions) => completions.run(),
        }
    }
}

/// One for each core. On a single core threads would only hand work to each other, at a sixth of the CPU of a request.
fn on_many_threads(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    match std::thread::available_parallelism() {
        Ok(cores) if cores.get() == 1 => on_one_thread(work),
        _ => finish(tokio::runtime::Builder::new_multi_thread(), work),
    }
}

fn on_one_thread(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    finish(tokio::runtime::Builder::new_current_thread(), work)
}

fn finish(mut builder: tokio::runtime::Builder, work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = builder.enable_all().build()?;
    let result = runtime.block_on(work);
    // What still runs has had its grace; a name lookup that hangs must not hold up the end.
    runtime.shutdown_background();
    result
}

/// Writes to stdout. A reader that has seen enough, as `head` has, is no error.
fn print(text: &str) -> io::Result<()> {
    let mut stdout = anstream::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes one line to stderr: what the user should know, but no program reads.
fn tell(line: &str) {
    // Nobody there to be told is no reason to fail.
    let _ = writeln!(anstream::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_commands_are_well_formed() {
        super::Cli::command().debug_assert();
    }
}

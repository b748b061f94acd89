//! `nexus completions`: a script that makes a shell complete `nexus`.

use clap::{Args, CommandFactory};

use super::{Cli, print};

/// Print a completion script.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nexus completions bash > /etc/bash_completion.d/nexus
  nexus completions zsh > ~/.zfunc/_nexus
  nexus completions fish > ~/.config/fish/completions/nexus.fish")]
pub(super) struct Completions {
    /// Which shell
    shell: clap_complete::Shell,
}

impl Completions {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "nexus", &mut script);
        print(&String::from_utf8(script)?)?;
        Ok(())
    }
}

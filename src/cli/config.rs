//! `nexus config`: writing a configuration file with everything in it explained.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::print;
use crate::config::{self, DEFAULT_FILE};
use crate::env::Seed;
use crate::mesh::MeshKey;

#[derive(Debug, Subcommand)]
pub(super) enum Config {
    Init(Init),
}

/// Write a commented configuration file: every key, its meaning, its default, and a fresh mesh key.
///
/// The file is readable by its owner only, because of the key.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// Where to write it
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_FILE)]
    output: PathBuf,
    /// Overwrite a file that is there
    #[arg(short, long)]
    force: bool,
    /// Only what most people change
    #[arg(long)]
    minimal: bool,
}

impl Config {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let Config::Init(init) = self;
        let key = fresh_key(&Seed::from_os());
        let text = if init.minimal { config::minimal(&key) } else { config::first(&key) };
        config::create(&init.output, &text, init.force)?;
        print(&format!("Configuration file created: {}\n", init.output.display()))?;
        Ok(())
    }
}

/// A mesh key as people pass it on: 32 random bytes in base32.
pub(super) fn fresh_key(seed: &Seed) -> String {
    MeshKey::generate(seed).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_key_is_a_key_and_another_one_each_time() {
        let key = fresh_key(&Seed::from_os());
        assert!(MeshKey::parse(&key).is_ok());
        assert_ne!(key, fresh_key(&Seed::from_os()));
    }
}

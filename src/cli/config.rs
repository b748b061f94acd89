//! `nexus config`: writing a configuration file with everything in it explained, and having a running peer read its own
//! again.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use serde_json::{Value as Json, json};

use super::client::Client;
use super::render::clean;
use super::turned::turned;
use super::{ConfigFile, print};
use crate::config::{self, DEFAULT_FILE};
use crate::env::Seed;
use crate::mesh::MeshKey;

#[derive(Debug, Subcommand)]
pub(super) enum Config {
    Init(Init),
    Reload(Reload),
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

/// Have a running peer read its configuration file again.
///
/// It is checked whole and taken up whole; requests under way go on. A bad file changes nothing: what is wrong is told here
/// and by `nexus mesh status` on every peer. The peer also watches the file, and reads it after SIGHUP.
#[derive(Debug, Args)]
pub(super) struct Reload {
    /// Only say what would change
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Another peer of the mesh, by name or id
    #[arg(long, value_name = "NAME")]
    peer: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
}

impl Config {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Config::Init(init) => init.run(),
            Config::Reload(reload) => reload.run().await,
        }
    }
}

impl Init {
    fn run(&self) -> anyhow::Result<()> {
        let key = fresh_key(&Seed::from_os());
        let text = if self.minimal { config::minimal(&key) } else { config::first(&key) };
        config::create(&self.output, &text, self.force)?;
        print(&format!("Configuration file created: {}\n", self.output.display()))?;
        Ok(())
    }
}

impl Reload {
    async fn run(self) -> anyhow::Result<()> {
        // The file that is to be read again may be the very one that is wrong.
        let client = Client::find_anyhow(self.config.path.as_deref())?;
        let path = asked(RELOAD, self.dry_run, self.peer.as_deref());
        let told: Json = client.post(&path, &json!({})).await?;
        let text = if self.json { serde_json::to_string_pretty(&told)? + "\n" } else { report(&told) };
        Ok(print(&text)?)
    }
}

const RELOAD: &str = "/nexus/v1/config/reload";

/// `path` with what is asked for besides.
pub(super) fn asked(path: &str, dry_run: bool, peer: Option<&str>) -> String {
    let dry_run = dry_run.then(|| "dry_run=true".to_owned());
    let peer = peer.map(|peer| format!("peer={}", super::backends::percent_encode(peer)));
    let query: Vec<String> = dry_run.into_iter().chain(peer).collect();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

/// What was changed, line by line.
pub(super) fn report(told: &Json) -> String {
    let is_dry_run = told["dry_run"] == true;
    let list = |value: &Json| {
        let names = value.as_array().into_iter().flatten().filter_map(Json::as_str).map(clean);
        names.collect::<Vec<String>>().join(", ")
    };
    let file = clean(told["file"].as_str().unwrap_or_default());
    let first = if is_dry_run { format!("Would take up {file}.\n") } else { format!("Took up {file}.\n") };
    let mut text = first;
    for (what, value) in [
        ("Changed", &told["changed"]),
        ("Backends added", &told["backends"]["added"]),
        ("Backends removed", &told["backends"]["removed"]),
        ("Backends changed", &told["backends"]["changed"]),
        ("Counts after a restart", &told["needs_restart"]),
    ] {
        let names = list(value);
        if !names.is_empty() {
            text.push_str(&format!("{what}: {names}\n"));
        }
    }
    text.push_str(&turned(told));
    if text.lines().count() == 1 {
        text.push_str("Nothing is different.\n");
    }
    for warning in told["warnings"].as_array().into_iter().flatten().filter_map(Json::as_str) {
        text.push_str(&format!("Warning: {}\n", clean(warning)));
    }
    text
}

/// A mesh key as people pass it on: 32 random bytes in base32.
pub(super) fn fresh_key(seed: &Seed) -> String {
    MeshKey::generate(seed).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_says_what_it_changed() {
        let told = json!({
            "file": "n.toml", "dry_run": false, "changed": ["routing.aliases.a"], "needs_restart": ["server.port"],
            "backends": {"added": ["gpu"], "removed": [], "changed": []}, "warnings": ["w"],
        });
        assert_eq!(
            report(&told),
            "Took up n.toml.\nChanged: routing.aliases.a\nBackends added: gpu\nCounts after a restart: server.port\n\
             Warning: w\n"
        );
        assert_eq!(report(&json!({"file": "n", "dry_run": true})), "Would take up n.\nNothing is different.\n");
        assert_eq!(asked("/x", true, Some("a b")), "/x?dry_run=true&peer=a%20b");
    }

    #[test]
    fn a_fresh_key_is_a_key_and_another_one_each_time() {
        let key = fresh_key(&Seed::from_os());
        assert!(MeshKey::parse(&key).is_ok());
        assert_ne!(key, fresh_key(&Seed::from_os()));
    }
}

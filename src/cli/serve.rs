//! `nexus serve`: a node from start to graceful end. What a node is made of is in `node`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory};
use toml::{Table, Value};

use super::signals::{Again, Stop};
use super::{Cli, ConfigFile};
use crate::config::{self, Config, Origin, Sources};
use crate::env::Env;
use crate::node::{self, Blueprint};
use crate::telemetry;

/// How long requests under way may take once asked to stop.
const GRACE: Duration = Duration::from_secs(9);

/// How long all of it may take: a node that overruns its own bound is ended all the same.
const END: Duration = Duration::from_millis(10_500);

/// Run this machine's peer, until Ctrl-C or SIGTERM.
///
/// Without any configuration it looks for inference servers on this machine (Ollama, LM Studio, llama.cpp, vLLM, exo)
/// and on the local network, and for other peers.
///
/// Flags win over the environment, which wins over the configuration file. The file is watched: what changes in it is taken
/// up while requests go on, as after SIGHUP and `nexus config reload`.
#[derive(Debug, Args)]
#[command(after_help = "\
Environment:
  NEXUS_CONFIG, NEXUS_HOST, NEXUS_PORT, NEXUS_DATA_DIR, NEXUS_ADMIN_TOKEN
  NEXUS_LOG_LEVEL, NEXUS_LOG_FORMAT (pretty, json)
  NEXUS_DISCOVERY, NEXUS_HEALTH_CHECK, NEXUS_MESH (each on or off)
  NEXUS_MESH_NAME, NEXUS_MESH_KEY, NEXUS_MESH_SEEDS (host:port,...), NEXUS_PEER_NAME
  RUST_LOG: a filter that wins over every level, such as nexus::routing=debug")]
pub(super) struct Serve {
    #[command(flatten)]
    config: ConfigFile,
    /// Port for clients; the mesh takes the UDP port after it [env: NEXUS_PORT] [default: 8000]
    #[arg(short, long, value_name = "N")]
    port: Option<u16>,
    /// Address for clients [env: NEXUS_HOST] [default: 0.0.0.0]
    #[arg(short = 'H', long, value_name = "ADDR")]
    host: Option<String>,
    /// How much is logged [env: NEXUS_LOG_LEVEL] [default: info]
    #[arg(short, long, value_name = "LEVEL", ignore_case = true)]
    #[arg(value_parser = ["trace", "debug", "info", "warn", "error"])]
    log_level: Option<String>,
    /// Where this peer keeps its identity [env: NEXUS_DATA_DIR] [default: ~/.local/share/nexus]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Do not look for backends, and neither announce this peer by mDNS nor look for others
    #[arg(long)]
    no_discovery: bool,
    /// Do not check backends: all of them stay `unknown`, and are used
    #[arg(long)]
    no_health_check: bool,
}

impl Serve {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        self.refuse_bad_port();
        let file = self.config.path.as_deref();
        let sources = Sources { file, optional: false, lookup: &config::process, flags: self.flags() };
        let loaded = config::load(sources)?;
        let origin = Origin::new(&loaded, self.flags(), Arc::new(config::process));
        let levels = telemetry::init(&loaded.config.logging, config::process("RUST_LOG").as_deref())
            .map_err(|error| anyhow!("cannot start logging: {error}"))?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        for remark in remarks(&loaded.config) {
            tracing::warn!("{remark}");
        }
        let (blueprint, warnings) = Blueprint::new(loaded.config, &config::process)?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        live(blueprint.from(origin).logging_by(levels)).await
    }

    /// The other variables are merely ignored when they make no sense, but nobody wants to search a peer on a port it
    /// was not told.
    fn refuse_bad_port(&self) {
        let Some(text) = config::process("NEXUS_PORT").filter(|_| self.port.is_none()) else { return };
        if let Err(error) = text.trim().parse::<u16>() {
            let message = format!("invalid value '{text}' for NEXUS_PORT: {error}");
            Cli::command().error(ErrorKind::ValueValidation, message).exit();
        }
    }

    fn flags(&self) -> Table {
        let text = |value: &Option<String>| value.clone().map(Value::String);
        let off = |given: bool| given.then_some(Value::Boolean(false));
        let mut table = Table::new();
        for (section, key, value) in [
            ("server", "port", self.port.map(|port| Value::Integer(port.into()))),
            ("server", "host", text(&self.host)),
            ("logging", "level", text(&self.log_level).map(lower_case)),
            ("discovery", "enabled", off(self.no_discovery)),
            ("mesh", "mdns", off(self.no_discovery)),
            ("health_check", "enabled", off(self.no_health_check)),
        ] {
            let Some(value) = value else { continue };
            let entry = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(entry) = entry {
                entry.insert(key.to_owned(), value);
            }
        }
        table.extend(text(&self.data_dir).map(|directory| ("data_dir".to_owned(), directory)));
        table
    }
}

fn lower_case(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.to_ascii_lowercase()),
        other => other,
    }
}

/// What the operator of such a configuration should know.
fn remarks(config: &Config) -> impl Iterator<Item = &'static str> {
    let open = config.mesh.enabled && config.mesh.key.is_empty();
    let prompts = config.logging.enable_content_logging;
    [
        (open, "open mesh: any peer on this network may join, and see models and prompts; close it: nexus mesh invite"),
        (prompts, "content logging is on: the beginning of every prompt goes to the log"),
    ]
    .into_iter()
    .filter_map(|(applies, remark)| applies.then_some(remark))
}

async fn live(blueprint: Blueprint) -> anyhow::Result<()> {
    let mut stop = Stop::listen()?;
    let node = tokio::select! {
        biased;
        () = stop.asked() => return Ok(()),
        started = node::start(blueprint, Env::real()) => started.map_err(|error| anyhow!("{error}"))?,
    };
    let mut again = Again::listen()?;
    loop {
        tokio::select! {
            biased;
            () = stop.asked() => break,
            () = again.asked() => node.reload(),
        }
    }
    tracing::info!(grace_seconds = GRACE.as_secs(), "stopping; a second signal ends at once");
    tokio::select! {
        biased;
        () = stop.asked() => Err(anyhow!("ended by a second signal, requests under way were cut")),
        _ = tokio::time::timeout(END, node.stop(GRACE)) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::Command;
    use super::*;

    fn flags(line: &str) -> String {
        match Cli::try_parse_from(line.split(' ')).expect("a good line").command {
            Command::Serve(serve) => serve.flags().to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_flag_reaches_its_key() {
        assert_eq!(flags("nexus serve"), "");
        assert_eq!(
            flags("nexus serve -p 1 -H h -l DEBUG --data-dir d --no-discovery --no-health-check"),
            "data_dir = \"d\"\n\n[server]\nport = 1\nhost = \"h\"\n\n[logging]\nlevel = \"debug\"\n\n\
             [discovery]\nenabled = false\n\n[mesh]\nmdns = false\n\n[health_check]\nenabled = false\n"
        );
    }

    #[test]
    fn an_open_mesh_is_remarked_upon() {
        let mut config = Config::default();
        assert_eq!(remarks(&config).count(), 1);
        config.mesh.key = "k".to_owned();
        assert_eq!(remarks(&config).count(), 0);
    }
}

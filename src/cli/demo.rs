//! `nexus demo`: several real peers with made-up backends in one process on loopback, and lines to paste. Nothing of it
//! is left when it ends.

mod guide;
mod place;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use toml::{Table, Value};

use self::place::{Directory, Ports};
use super::config::fresh_key;
use super::signals::Stop;
use super::{print, tell};
use crate::config::{self, Config, Origin, Sources};
use crate::env::{Env, Seed};
use crate::fleet::Kind;
use crate::node::{self, Blueprint, Node};
use crate::synthetic::{self, Options, Synthetic};
use crate::telemetry;

/// Try Nexus out: several peers on this machine, each with a made-up backend of its own speed.
///
/// They are real peers that gossip and forward; only the models are made up. Nothing outside this machine is asked or
/// told, and Ctrl-C ends all of it without a trace.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// How many peers
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=9))]
    peers: u8,
}

/// The model that every peer has.
const SHARED: &str = "demo-shared";

/// How long the peers may take to hear of each other's models.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long requests under way may take at the end.
const GRACE: Duration = Duration::from_secs(3);

/// What one peer of the demonstration is made of.
struct Part {
    name: String,
    model: String,
    tokens_per_second: f64,
    slots: u32,
}

/// One peer, and the backend that only it knows.
struct Running {
    part: Part,
    node: Node,
    backend: Synthetic,
}

impl Demo {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let levels = telemetry::init(&quiet(), config::process("RUST_LOG").as_deref())
            .map_err(|error| anyhow!("cannot start logging: {error}"))?;
        let mut stop = Stop::listen()?;
        let directory = Directory::make(&Seed::from_os())?;
        let mut running = Vec::new();
        let started = tokio::select! {
            biased;
            () = stop.asked() => Ok(false),
            started = start(self.peers, &directory, &levels, &mut running) => started.map(|()| true),
        };
        if let Ok(true) = started {
            print(&guide::text(&running))?;
            stop.asked().await;
        }
        tell("Stopping.");
        tokio::select! {
            biased;
            () = stop.asked() => {}
            () = end(running) => {}
        }
        started.map(drop)
    }
}

/// Starts everything and waits until each peer has heard of every model.
async fn start(
    peers: u8,
    directory: &Directory,
    levels: &telemetry::Levels,
    running: &mut Vec<Running>,
) -> anyhow::Result<()> {
    let progress = Progress::new(peers);
    let ports = Ports::find(usize::from(peers)).context("no free ports for the demonstration")?;
    let key = fresh_key(&Seed::from_os());
    let parts: Vec<Part> = (0..usize::from(peers)).map(part).collect();
    for (index, part) in parts.into_iter().enumerate() {
        let backend = synthetic::start(options(&part), &Env::real()).await.context("cannot start a made-up backend")?;
        let config = configuration(&part, &backend.url(), &ports, index, directory, &key);
        let cannot_start = |error: node::StartError| anyhow!("cannot start {}: {error}", part.name);
        let file = directory.of(&format!("{}.toml", part.name));
        let (config, origin) = written(&config, &file).context("cannot write the configuration of a peer")?;
        let (blueprint, _) = Blueprint::new(config, &|_| None).map_err(cannot_start)?;
        let node =
            node::start(blueprint.from(origin).logging_by(levels.clone()), Env::real()).await.map_err(cannot_start)?;
        progress.step(&format!("{} is up at http://{}", part.name, node.http_address()));
        running.push(Running { part, node, backend });
    }
    let addresses: Vec<_> = running.iter().map(|peer| peer.node.http_address()).collect();
    let mut models: Vec<_> = running.iter().map(|peer| peer.part.model.clone()).collect();
    models.push(SHARED.to_owned());
    for (peer, address) in running.iter().zip(&addresses) {
        tokio::time::timeout(PATIENCE, place::lists_all(*address, &models))
            .await
            .map_err(|_| anyhow!("{} did not hear of every model within {PATIENCE:?}", peer.part.name))?;
        progress.step(&format!("{} knows all {} models", peer.part.name, models.len()));
    }
    progress.finish();
    Ok(())
}

fn part(index: usize) -> Part {
    const KINDS: [(&str, f64, u32); 3] = [("demo-fast", 120.0, 4), ("demo-steady", 60.0, 2), ("demo-slow", 20.0, 1)];
    let name = format!("peer-{}", index + 1);
    match KINDS.get(index) {
        Some((model, tokens_per_second, slots)) => {
            Part { name, model: (*model).to_owned(), tokens_per_second: *tokens_per_second, slots: *slots }
        }
        None => Part { name, model: format!("demo-{}", index + 1), tokens_per_second: 40.0, slots: 2 },
    }
}

fn options(part: &Part) -> Options {
    Options {
        host: "127.0.0.1".to_owned(),
        port: 0,
        models: vec![part.model.clone(), SHARED.to_owned()],
        tokens_per_second: part.tokens_per_second,
        slots: part.slots,
        ..Options::default()
    }
}

/// A peer that looks at nothing but the other peers of the demonstration.
fn configuration(part: &Part, backend: &str, ports: &Ports, index: usize, directory: &Directory, key: &str) -> Config {
    let mut config = Config {
        data_dir: directory.of(&part.name).display().to_string(),
        backends: vec![config::Backend {
            requests_per_minute: None,
            tokens_per_minute: None,
            context_length: None,
            keep_alive: None,
            name: format!("{}-backend", part.name),
            url: backend.to_owned(),
            kind: Kind::Generic,
            priority: 50,
            api_key_env: None,
            zone: None,
            tier: Default::default(),
            concurrency: Some(part.slots),
            share: true,
            forward_client_auth: None,
        }],
        ..Config::default()
    };
    config.server.host = "127.0.0.1".to_owned();
    config.server.port = ports.http[index];
    config.discovery.enabled = false;
    config.health_check.interval_seconds = 2;
    config.logging = quiet();
    config.mesh.name = "demo".to_owned();
    config.mesh.key = key.to_owned();
    config.mesh.peer_name = part.name.clone();
    config.mesh.mdns = false;
    config.mesh.listen = loopback(ports.mesh[index]);
    config.mesh.advertise = vec![loopback(ports.mesh[index])];
    config.mesh.seeds =
        ports.mesh.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, port)| loopback(*port)).collect();
    config
}

/// Only what is wrong: the terminal belongs to whoever tries things out. The peers have one log.
fn quiet() -> telemetry::Config {
    telemetry::Config { level: telemetry::Level::Warn, ..telemetry::Config::default() }
}

/// The configuration in a file, so that settings of a peer can be changed while it runs, as anywhere.
fn written(config: &Config, file: &Path) -> anyhow::Result<(Config, Origin)> {
    let text = toml::to_string(&differing(Table::try_from(config)?, &Table::try_from(Config::default())?))?;
    std::fs::write(file, text)?;
    let flags = Table::new();
    let loaded = config::load(Sources { file: Some(file), optional: false, lookup: &|_| None, flags: flags.clone() })?;
    let origin = Origin::new(&loaded, flags, Arc::new(|_: &str| None));
    Ok((loaded.config, origin))
}

/// What is not as `usual`.
fn differing(table: Table, usual: &Table) -> Table {
    let differs = |(key, value): (String, Value)| match (value, usual.get(&key)) {
        (Value::Table(table), Some(Value::Table(usual))) => {
            let table = differing(table, usual);
            (!table.is_empty()).then_some((key, Value::Table(table)))
        }
        (value, usual) => (usual != Some(&value)).then_some((key, value)),
    };
    table.into_iter().filter_map(differs).collect()
}

fn loopback(port: u16) -> String {
    SocketAddr::from(([127, 0, 0, 1], port)).to_string()
}

/// All at once: a peer that waits for another must not wait long.
async fn end(running: Vec<Running>) {
    let (nodes, backends): (Vec<_>, Vec<_>) = running.into_iter().map(|peer| (peer.node, peer.backend)).unzip();
    let nodes = futures_util::future::join_all(nodes.into_iter().map(|node| node.stop(GRACE)));
    // A node that overruns its grace does not keep the terminal.
    let _ = tokio::time::timeout(2 * GRACE, nodes).await;
    futures_util::future::join_all(backends.into_iter().map(Synthetic::stop)).await;
}

/// A bar on a terminal, lines elsewhere.
struct Progress(ProgressBar);

impl Progress {
    fn new(peers: u8) -> Self {
        let bar = ProgressBar::new(u64::from(peers) * 2);
        if let Ok(style) = ProgressStyle::with_template("{spinner} [{bar:24}] {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress(bar)
    }

    fn step(&self, message: &str) {
        if self.0.is_hidden() {
            tell(message);
        }
        self.0.set_message(message.to_owned());
        self.0.inc(1);
    }

    fn finish(&self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_of_the_demonstration_know_only_each_other() {
        let directory = Directory::make(&Seed::fixed(1)).expect("a directory");
        let ports = Ports { http: vec![1, 2, 3], mesh: vec![4, 5, 6] };
        let key = "a".repeat(52);
        for index in 0..3 {
            let config = configuration(&part(index), "http://127.0.0.1:9", &ports, index, &directory, &key);
            assert_eq!(config::check(&config), vec![]);
            assert_eq!(config.mesh.seeds.len(), 2);
            assert!(!config.mesh.seeds.contains(&config.mesh.listen));
            assert!(!config.mesh.mdns && !config.discovery.enabled);
            assert!(config.data_dir.starts_with(&directory.of("").display().to_string()));
        }
    }

    #[test]
    fn a_peer_goes_by_a_file_that_says_what_is_special_about_it() {
        let directory = Directory::make(&Seed::fixed(2)).expect("a directory");
        let ports = Ports { http: vec![1, 2], mesh: vec![4, 5] };
        let meant = configuration(&part(0), "http://127.0.0.1:9", &ports, 0, &directory, &"a".repeat(52));
        let file = directory.of("peer-1.toml");
        let (config, origin) = written(&meant, &file).expect("a good file");
        assert_eq!((config, origin.path()), (meant, file.as_path()));
        let lines = std::fs::read_to_string(&file).expect("read").lines().count();
        assert!(lines < 50, "{lines}");
    }
}

//! A real node on loopback: any free port, a data directory of its own, nothing found that was not named.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nexus::config::{Origin, Sources};
use nexus::env::Env;
use nexus::node::{self, Blueprint, Node, StartError};
use tempfile::TempDir;
use toml::{Table, Value};

use super::cable::Cable;
use super::client::{Client, Whole};
use super::log::Log;
use super::until;

/// A node that is to be started.
#[derive(Clone, Default)]
pub(crate) struct Plan {
    text: String,
    variables: Vec<(&'static str, String)>,
    cable: Option<Cable>,
    in_file: bool,
}

impl Plan {
    /// With this configuration; what it leaves out is as suits a test.
    pub(crate) fn new(text: &str) -> Self {
        Plan { text: text.to_owned(), ..Plan::default() }
    }

    /// With an environment variable.
    pub(crate) fn variable(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    /// With the configuration in a file, which the node may read again and write.
    pub(crate) fn in_file(mut self) -> Self {
        self.in_file = true;
        self
    }

    /// With a network to other peers that can be cut.
    pub(crate) fn cable(mut self, cable: &Cable) -> Self {
        self.cable = Some(cable.clone());
        self
    }

    /// Starts it and waits until every backend was checked once.
    pub(crate) async fn start(self) -> TestNode {
        self.try_start().await.expect("the node starts")
    }

    pub(crate) async fn try_start(self) -> Result<TestNode, StartError> {
        Log::prepare();
        let data = tempfile::tempdir().expect("a directory");
        let mut table = table(&self.text, &data);
        let variables = self.variables.clone();
        let lookup =
            move |wanted: &str| variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone());
        let (config, origin) = if self.in_file {
            let path = data.path().join("nexus.toml");
            // Any port is a flag: in a file it is none.
            let flags: Table = "server.port = 0".parse().expect("TOML");
            table.get_mut("server").and_then(Value::as_table_mut).expect("a section").remove("port");
            std::fs::write(&path, table.to_string()).expect("write");
            let sources = Sources { file: Some(&path), optional: false, lookup: &lookup, flags: flags.clone() };
            let loaded = nexus::config::load(sources).expect("a good file");
            let origin = Origin::new(&loaded, flags, Arc::new(lookup.clone()));
            (loaded.config, Some(origin))
        } else {
            (table.try_into().expect("a configuration"), None)
        };
        let (mut blueprint, _) = Blueprint::new(config, &lookup)?;
        blueprint.origin = origin;
        let mut env = Env::real();
        if let Some(cable) = &self.cable {
            env.net = cable.net();
        }
        let checks = blueprint.config.health_check.enabled;
        let node = node::start(blueprint, env.clone()).await?;
        let node = TestNode { address: node.http_address(), node: Some(node), env, _data: data };
        if checks {
            until("every backend is checked", || {
                node.node().registry().snapshot().entries.iter().all(|entry| entry.condition().checked_at.is_some())
            })
            .await;
        }
        Ok(node)
    }
}

/// A running node, gone when dropped.
pub(crate) struct TestNode {
    pub(crate) address: SocketAddr,
    node: Option<Node>,
    env: Env,
    _data: TempDir,
}

impl TestNode {
    /// Starts one with this configuration.
    pub(crate) async fn start(text: &str) -> Self {
        Plan::new(text).start().await
    }

    /// Its configuration file.
    pub(crate) fn file(&self) -> PathBuf {
        self._data.path().join("nexus.toml")
    }

    /// Changes its configuration file by hand.
    pub(crate) fn edit(&self, change: impl FnOnce(String) -> String) {
        let text = std::fs::read_to_string(self.file()).expect("read");
        std::fs::write(self.file(), change(text)).expect("write");
    }

    pub(crate) fn client(&self) -> Client {
        Client(self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> Whole {
        self.client().get(path).whole().await
    }

    pub(crate) async fn chat(&self, model: &str) -> Whole {
        self.client().chat(model).await
    }

    fn node(&self) -> &Node {
        self.node.as_ref().expect("running")
    }

    /// Requests that its own backends have now, as it counts them.
    pub(crate) fn in_flight(&self) -> u32 {
        self.node().registry().snapshot().entries.iter().map(|entry| entry.load().in_flight).sum()
    }

    /// How many tasks of this name run.
    pub(crate) fn tasks(&self, name: &str) -> usize {
        self.env.tasks.running().get(name).copied().unwrap_or(0)
    }

    /// How many tasks run at all.
    pub(crate) fn all_tasks(&self) -> usize {
        self.env.tasks.running().values().sum()
    }

    /// Waits until its backends have nothing to do and nobody is connected.
    pub(crate) async fn idle(&self) {
        until("nothing in flight", || self.in_flight() == 0).await;
        until("nobody is connected", || self.tasks("connection") == 0).await;
    }

    /// Where other peers reach it.
    pub(crate) fn mesh_address(&self) -> SocketAddr {
        self.node().mesh().expect("the mesh is on").myself().listen
    }

    /// Stops it as a signal does.
    pub(crate) async fn stop(&mut self, grace: Duration) {
        self.node.take().expect("running").stop(grace).await;
    }
}

impl Drop for TestNode {
    fn drop(&mut self) {
        self.env.tasks.cancel();
    }
}

fn table(text: &str, data: &TempDir) -> Table {
    let mut config: Table = text.parse().expect("TOML");
    let data = data.path().to_str().expect("a path of text").to_owned();
    config.entry("data_dir").or_insert(Value::String(data));
    let mut usual = |section: &str, key: &str, value: Value| {
        let table = config.entry(section).or_insert_with(|| Table::new().into());
        table.as_table_mut().expect("a section").entry(key).or_insert(value);
    };
    usual("server", "host", "127.0.0.1".into());
    usual("server", "port", 0.into());
    usual("discovery", "enabled", false.into());
    usual("health_check", "interval_seconds", 1.into());
    usual("health_check", "failure_threshold", 1.into());
    usual("health_check", "recovery_threshold", 1.into());
    usual("mesh", "enabled", false.into());
    usual("mesh", "mdns", false.into());
    usual("mesh", "listen", "127.0.0.1:0".into());
    config
}

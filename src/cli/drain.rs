//! Draining, from the command line: of a peer (`nexus mesh drain`) and of a backend (`nexus backends drain`). What drains
//! finishes what it has; whoever waits for that is told when it is done.

use std::time::Duration;

use clap::Args;
use http::Method;
use serde_json::Value as Json;

use super::backends::percent_encode;
use super::client::Client;
use super::config::asked;
use super::render::clean;
use super::signals::Stop;
use super::{ConfigFile, print, tell};

/// Have a peer finish what it has and take no more, from clients or from peers.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nexus mesh drain --wait                before the machine is restarted
  nexus mesh drain --peer attic --wait
  nexus mesh undrain --peer attic")]
pub(super) struct DrainPeer {
    /// Another peer of the mesh, by name or id [default: the peer of this machine]
    #[arg(long, value_name = "NAME")]
    peer: Option<String>,
    /// Return when it has nothing to do any more
    #[arg(long)]
    wait: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

/// Have a peer take requests again.
#[derive(Debug, Args)]
pub(super) struct UndrainPeer {
    /// Another peer of the mesh, by name or id [default: the peer of this machine]
    #[arg(long, value_name = "NAME")]
    peer: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

/// Have a backend finish what it has and take no more.
#[derive(Debug, Args)]
pub(super) struct DrainBackend {
    /// Its id or name, as `nexus backends list` shows it
    #[arg(value_name = "ID_OR_NAME")]
    name: String,
    #[command(flatten)]
    peer: DrainPeer,
}

/// Have a backend take requests again.
#[derive(Debug, Args)]
pub(super) struct UndrainBackend {
    /// Its id or name, as `nexus backends list` shows it
    #[arg(value_name = "ID_OR_NAME")]
    name: String,
    #[command(flatten)]
    peer: UndrainPeer,
}

const PATH: &str = "/nexus/v1/drain";

/// How often whoever waits asks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl DrainPeer {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        self.drain(PATH).await
    }

    async fn drain(self, path: &str) -> anyhow::Result<()> {
        let client = Client::find_anyhow(self.config.path.as_deref())?;
        let path = asked(path, false, self.peer.as_deref());
        let mut told: Json = client.post(&path, &Json::Null).await?;
        let mut stop = Stop::listen()?;
        let mut left = None;
        while self.wait && told["idle"] != true {
            let now = (told["in_flight"].as_u64(), told["queued"].as_u64());
            if left.replace(now) != Some(now) {
                tell(&format!("{} under way", now.0.unwrap_or_default()));
            }
            tokio::select! {
                biased;
                () = stop.asked() => anyhow::bail!("no longer waiting; it drains all the same"),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            told = client.get(&path).await?;
            anyhow::ensure!(told["draining"] == true, "somebody else has it take requests again");
        }
        show(&told, self.json)
    }
}

impl UndrainPeer {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        self.undrain(PATH).await
    }

    async fn undrain(self, path: &str) -> anyhow::Result<()> {
        let client = Client::find_anyhow(self.config.path.as_deref())?;
        let path = asked(path, false, self.peer.as_deref());
        let told = client.tagged::<Json>(Method::DELETE, &path, None, None).await?.0;
        show(&told, self.json)
    }
}

impl DrainBackend {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        self.peer.drain(&format!("{PATH}/{}", percent_encode(&self.name))).await
    }
}

impl UndrainBackend {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        self.peer.undrain(&format!("{PATH}/{}", percent_encode(&self.name))).await
    }
}

fn show(told: &Json, json: bool) -> anyhow::Result<()> {
    let text = if json { serde_json::to_string_pretty(told)? + "\n" } else { line(told) };
    Ok(print(&text)?)
}

fn line(told: &Json) -> String {
    let text = |key: &str| clean(told[key].as_str().unwrap_or_default());
    let who = match told["backend"].as_str() {
        Some(_) => format!("Backend {} of {}", text("backend"), text("peer")),
        None => format!("Peer {}", text("peer")),
    };
    match (told["draining"] == true, told["in_flight"].as_u64().unwrap_or_default()) {
        (false, _) => format!("{who} takes requests.\n"),
        (true, 0) => format!("{who} drains and has nothing to do.\n"),
        (true, left) => format!("{who} drains: {left} under way.\n"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_says_how_far_it_is() {
        let told = json!({ "peer": "attic", "draining": true, "in_flight": 2, "queued": 0, "idle": false });
        assert_eq!(line(&told), "Peer attic drains: 2 under way.\n");
        let told = json!({ "peer": "attic", "backend": "gpu", "draining": true, "in_flight": 0, "idle": true });
        assert_eq!(line(&told), "Backend gpu of attic drains and has nothing to do.\n");
        assert_eq!(line(&json!({ "peer": "attic", "draining": false })), "Peer attic takes requests.\n");
    }
}

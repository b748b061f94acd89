//! `nexus backends`: what a running peer knows of backends, and changing it.

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::assent::Sure;
use super::client::{Client, ClientError};
use super::config::asked;
use super::drain::{DrainBackend, UndrainBackend};
use super::render::{self, BackendView, Style};
use super::{ConfigFile, print, tell};
use crate::config::{self, Config};
use crate::fleet::{Kind, Status, root_url};

#[derive(Debug, Subcommand)]
pub(super) enum Backends {
    List(List),
    Add(Add),
    Remove(Remove),
    Drain(DrainBackend),
    Undrain(UndrainBackend),
}

/// List the backends that a running peer can use: its own, and those of other peers.
///
/// Where no peer runs, the backends of the configuration file are listed, with their status unknown.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Only those with this status: healthy, unhealthy, unknown or draining
    #[arg(short, long)]
    status: Option<String>,
    /// Only those of this peer, by name; `self`: those of the peer that is asked
    #[arg(long, value_name = "NAME")]
    peer: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
}

/// Add a backend to the running peer.
///
/// It is used at once, and forgotten when the peer stops: `--save` writes it into the peer's configuration file.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nexus backends add http://localhost:11434
  nexus backends add http://192.168.1.100:8000 --name gpu-server --type vllm --priority 2")]
pub(super) struct Add {
    /// Its root, such as http://localhost:11434
    url: String,
    /// A name that no other backend has [default: the host of the URL]
    #[arg(short, long)]
    name: Option<String>,
    /// ollama, vllm, llamacpp, exo, openai, lmstudio, generic, anthropic or google [default: found out]
    #[arg(short = 't', long = "type", visible_alias = "backend-type", value_name = "TYPE")]
    kind: Option<String>,
    /// Lower is preferred
    #[arg(short, long, value_name = "N", default_value_t = 50, allow_negative_numbers = true)]
    priority: i32,
    /// Write it into the configuration file of the peer as well
    #[arg(long)]
    save: bool,
    /// Another peer of the mesh, by name or id
    #[arg(long, value_name = "NAME")]
    peer: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
}

/// Remove a backend from the running peer.
///
/// Requests that it has are finished. One that is configured comes back with the next start unless `--save` is given; one that
/// is discovered, when it is seen again. On a terminal it says what would become of requests and models and asks.
#[derive(Debug, Args)]
pub(super) struct Remove {
    /// Its id or name, as `nexus backends list` shows it
    #[arg(value_name = "ID_OR_NAME")]
    name: String,
    /// Only say what would become of requests and models
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    sure: Sure,
    /// Take it out of the configuration file of the peer as well
    #[arg(long)]
    save: bool,
    /// Another peer of the mesh, by name or id
    #[arg(long, value_name = "NAME")]
    peer: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Deserialize)]
struct Listing {
    backends: Vec<BackendView>,
}

#[derive(Deserialize)]
struct Added {
    backend: BackendView,
}

const PATH: &str = "/nexus/v1/backends";

impl Backends {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Backends::List(list) => list.run().await,
            Backends::Add(add) => add.run().await,
            Backends::Remove(remove) => remove.run().await,
            Backends::Drain(drain) => drain.run().await,
            Backends::Undrain(undrain) => undrain.run().await,
        }
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let wanted = self.status.as_deref().map(status).transpose()?;
        let client = Client::find(self.config.path.as_deref())?;
        let mut backends = known(&client).await?;
        if let Some(peer) = &self.peer {
            let mesh = client.get::<Json>("/nexus/v1/mesh").await.unwrap_or_default();
            let is_us = peer == "self" || mesh["self"]["name"].as_str() == Some(peer);
            backends.retain(|backend| backend.peer == *peer || (is_us && backend.peer == "self"));
        }
        backends.retain(|backend| wanted.is_none_or(|wanted| same(wanted, backend.status)));
        let text = if self.json {
            serde_json::to_string_pretty(&json!({ "backends": backends }))? + "\n"
        } else {
            render::backends(Style::of_stdout(), &backends)
        };
        Ok(print(&text)?)
    }
}

fn status(text: &str) -> anyhow::Result<Status> {
    let all = [Status::Healthy, Status::Unhealthy, Status::Unknown, Status::Draining];
    let found = all.into_iter().find(|status| status.as_str().eq_ignore_ascii_case(text));
    found.ok_or_else(|| anyhow::anyhow!("Invalid status: {text}. Use: healthy, unhealthy, unknown, draining"))
}

/// A status of a later version is shown as unknown, and found as such.
fn same(wanted: Status, status: Status) -> bool {
    wanted.as_str() == status.as_str()
}

/// The backends of the running peer; without one, those of the configuration file, and a warning.
pub(super) async fn known(client: &Client) -> anyhow::Result<Vec<BackendView>> {
    match client.get::<Listing>(PATH).await {
        Ok(listing) => Ok(listing.backends),
        Err(error @ ClientError::Unreachable { .. }) => {
            tell(&format!("Warning: {error}: showing the configuration, status unknown"));
            Ok(configured(&client.loaded.config))
        }
        Err(error) => Err(error.into()),
    }
}

fn configured(config: &Config) -> Vec<BackendView> {
    let view = |backend: &config::Backend| BackendView {
        id: backend.name.clone(),
        name: backend.name.clone(),
        url: backend.url.clone(),
        backend_type: backend.kind.to_string(),
        kind: backend.kind.to_string(),
        status: Status::Unknown,
        models: Vec::new(),
        priority: backend.priority.max(0).into(),
        pending_requests: 0,
        total_requests: 0,
        avg_latency_ms: None,
        discovery_source: "static".to_owned(),
        peer: "self".to_owned(),
        last_check_seconds_ago: None,
        last_error: None,
    };
    config.backends.iter().map(view).collect()
}

impl Add {
    async fn run(self) -> anyhow::Result<()> {
        root_url(&self.url)?;
        let kind = self.kind.as_deref().map(str::parse::<Kind>).transpose()?;
        let mut body = json!({ "url": self.url, "priority": self.priority.max(0) });
        if self.save {
            body["save"] = json!(true);
        }
        if let Some(name) = &self.name {
            body["name"] = json!(name);
        }
        if let Some(kind) = kind {
            body["type"] = json!(kind);
        }
        let added: Added =
            Client::find(self.config.path.as_deref())?.post(&asked(PATH, false, self.peer.as_deref()), &body).await?;
        let BackendView { name, id, kind, .. } = added.backend;
        let line = format!("Added backend '{name}' ({id}) as {kind}");
        Ok(print(&format!("{}\n", render::clean(&line)))?)
    }
}

impl Remove {
    async fn run(self) -> anyhow::Result<()> {
        let client = Client::find(self.config.path.as_deref())?;
        if self.dry_run {
            return Ok(print(&self.foreseen(&client).await?)?);
        }
        self.sure.of_order(self.foreseen(&client)).await?;
        let answer = self.call(&client, false).await?;
        let name = answer["removed"].as_str().unwrap_or(&self.name);
        Ok(print(&format!("Removed backend: {}\n", render::clean(name)))?)
    }

    async fn foreseen(&self, client: &Client) -> anyhow::Result<String> {
        let saved = if self.save { "It leaves the configuration file, too.\n" } else { "" };
        Ok(foreseen(&self.call(client, true).await?) + saved)
    }

    async fn call(&self, client: &Client, dry_run: bool) -> anyhow::Result<Json> {
        let id = percent_encode(&self.name);
        let mut path = asked(&format!("{PATH}/{id}"), dry_run, self.peer.as_deref());
        if self.save {
            path.push_str(if path.contains('?') { "&save=true" } else { "?save=true" });
        }
        client.delete(&path).await.map_err(|error| match error {
            ClientError::Refused { status: http::StatusCode::NOT_FOUND, .. } if self.peer.is_none() => {
                anyhow::anyhow!("backend not found: {}", self.name)
            }
            error => error.into(),
        })
    }
}

/// What would become of requests and models.
fn foreseen(answer: &Json) -> String {
    let count = |key: &str| answer[key].as_u64().unwrap_or_default();
    let name = render::clean(answer["would_remove"].as_str().unwrap_or_default());
    let lost = answer["models_lost"].as_array().into_iter().flatten().filter_map(Json::as_str).map(render::clean);
    let lost: Vec<String> = lost.collect();
    let mut text = format!(
        "Would remove backend: {name}\nUnder way there, and finished: {}. Waiting for it: {}.\n",
        count("in_flight"),
        count("queued")
    );
    let models = if lost.is_empty() { "every one is elsewhere, too".to_owned() } else { lost.join(", ") };
    text.push_str(&format!("Models that nobody would have: {models}\n"));
    text
}

/// One segment of a path.
pub(super) fn percent_encode(segment: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    let encode = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    segment.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_in_any_case() {
        assert_eq!(status("HEALTHY").ok(), Some(Status::Healthy));
        let error = status("fine").expect_err("no status").to_string();
        assert_eq!(error, "Invalid status: fine. Use: healthy, unhealthy, unknown, draining");
        assert!(same(Status::Unknown, Status::Unrecognised));
    }

    #[test]
    fn names_pass_through_a_path_whole() {
        assert_eq!(percent_encode("a b/c?é"), "a%20b%2Fc%3F%C3%A9");
    }
}

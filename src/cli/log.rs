//! `nexus log`: how much a running peer logs, to see and to change.

use clap::Args;
use http::Method;
use serde_json::{Value as Json, json};

use super::client::Client;
use super::config::asked;
use super::render::clean;
use super::{ConfigFile, print};

/// Show or change how much a running peer logs.
///
/// What is set counts until the peer stops or `--reset`, whatever its configuration says.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nexus log
  nexus log debug
  nexus log info,nexus::mesh=debug --peer attic
  nexus log --reset")]
pub(super) struct Log {
    /// What to log from now on, such as `debug` or `info,nexus::mesh=debug`
    filter: Option<String>,
    /// As the configuration says
    #[arg(long, conflicts_with = "filter")]
    reset: bool,
    /// Another peer of the mesh, by name or id
    #[arg(long, value_name = "NAME")]
    peer: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

const PATH: &str = "/nexus/v1/log";

impl Log {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let client = Client::find_anyhow(self.config.path.as_deref())?;
        let path = asked(PATH, false, self.peer.as_deref());
        let told: Json = if self.reset || self.filter.is_some() {
            let body = json!({ "filter": self.filter });
            client.tagged(Method::PUT, &path, Some(&body), None).await?.0
        } else {
            client.get(&path).await?
        };
        if self.json {
            return Ok(print(&(serde_json::to_string_pretty(&told)? + "\n"))?);
        }
        let text = |key: &str| clean(told[key].as_str().unwrap_or_default());
        let source = if text("source") == "operator" { "set while it runs" } else { "as configured" };
        Ok(print(&format!("{} ({source})\n", text("filter")))?)
    }
}

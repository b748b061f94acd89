//! `nexus connect`: the settings that point a tool at this peer, printed or put in place. What each tool wants is in
//! `tools`; how files are changed, in one module for each format.

mod apps;
mod json;
mod node;
mod patch;
mod place;
mod settings;
mod toml;
mod tools;
mod write;
mod yaml;

use anyhow::{bail, ensure};
use clap::{Args, ValueEnum};
use url::Url;

use self::node::Node;
use self::place::Places;
use self::settings::Target;
use self::write::Planned;
use super::client::Client;
use super::{ConfigFile, print, tell};
use crate::config::{self, Lookup};

/// Print the settings that point a tool at this peer, or put them in place.
///
/// The address is the one at which the peer answers, and the model is one that the mesh has.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nexus connect claude
  nexus connect codex --write
  nexus connect aider --model qwen3:8b")]
pub(super) struct Connect {
    /// The tool
    #[arg(value_enum)]
    tool: Tool,
    /// Put the settings in place; a changed file is first copied to FILE.bak
    #[arg(short, long)]
    write: bool,
    /// The model to use [default: the first that can chat, of those known to call tools if there are any]
    #[arg(short, long, value_name = "NAME")]
    model: Option<String>,
    /// The address that the tool is to use [default: where this machine's peer answers]
    #[arg(short, long)]
    url: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

/// A tool that can be pointed at a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Tool {
    /// Claude Code
    Claude,
    /// Codex CLI
    Codex,
    /// opencode
    #[value(name = "opencode")]
    OpenCode,
    /// Open WebUI
    OpenWebui,
    /// aider
    Aider,
    /// Continue, in VS Code and JetBrains
    Continue,
    /// Cursor
    Cursor,
    /// Zed
    Zed,
    /// Goose
    Goose,
}

impl Tool {
    /// As it is written on the command line.
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

impl Connect {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let text = self.answer(&config::process).await?;
        Ok(print(&text)?)
    }

    /// What is printed, once all is done.
    async fn answer(&self, lookup: &Lookup<'_>) -> anyhow::Result<String> {
        let url = self.url.as_deref().map(root).transpose()?;
        let key = lookup(settings::KEY).filter(|key| !patch::is_ours(key));
        let client = Client::find(self.config.path.as_deref())?;
        let wants_key = key.is_some() || (url.is_none() && !client.loaded.config.auth.client_keys.is_empty());
        let node = Node::ask(&client.for_caller(url, key), self.model.as_deref()).await?;
        if let Some(problem) = &node.problem {
            ensure!(!self.write, "{problem}: nothing is written");
            let place =
                if node.model == settings::PLACEHOLDER { "put a model's name for MODEL" } else { "nothing is checked" };
            tell(&format!("Warning: {problem}: {place}"));
        }
        let needs_key = wants_key || node.asks_for_key;
        let target = Target { url: node.url, needs_key, models: node.models, model: node.model };
        self.settle(&target, &Places::new(lookup)?)
    }

    fn settle(&self, target: &Target, places: &Places) -> anyhow::Result<String> {
        let settings = tools::settings(self.tool, target, places);
        let file = settings.file.as_ref().map(Planned::new).transpose()?;
        let written = match &file {
            Some(file) if self.write => Some(file.put_in_place()?),
            _ => None,
        };
        if self.write && file.is_none() {
            tell(&format!("Nothing to write: {}.", settings.no_file));
        }
        if self.json {
            let view = settings.as_json(&self.tool.name(), target, file.as_ref(), written.as_ref());
            return Ok(serde_json::to_string_pretty(&view)? + "\n");
        }
        Ok(settings.as_text(file.as_ref(), written.as_ref()))
    }
}

/// The root of a node's URL, however much of it was given.
fn root(text: &str) -> anyhow::Result<String> {
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let Ok(url) = Url::parse(&with_scheme) else { bail!("`{text}` is not a URL: use http://host:port") };
    ensure!(
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none() && url.fragment().is_none(),
        "`{text}` is not the URL of a node: use http://host:port"
    );
    ensure!(
        url.username().is_empty() && url.password().is_none(),
        "a URL with a password in it is not written anywhere"
    );
    let text = url.as_str().trim_end_matches('/');
    Ok(text.strip_suffix("/v1").unwrap_or(text).trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests;

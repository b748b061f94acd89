//! `nexus aliases` and `nexus fallbacks`: what the configuration file of a peer says of names, changed by the running peer; and how
//! anything in that file is. It is read first, and changed only if nobody else has changed it meanwhile.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value as Json, json};

use super::assent::Sure;
use super::backends::percent_encode;
use super::client::Client;
use super::config::{asked, report};
use super::render::{Style, clean};
use super::turned::sentences;
use super::{ConfigFile, print};

#[derive(Debug, Subcommand)]
pub(super) enum Aliases {
    /// List the other names that models have
    List(List),
    /// Give a model another name: written into the configuration file, and good at once
    Set(SetAlias),
    /// Take a name out of the configuration file
    Remove(Remove),
}

#[derive(Debug, Subcommand)]
pub(super) enum Fallbacks {
    /// List the models that may answer instead of others
    List(List),
    /// Say which models may answer instead of another: written into the configuration file, and good at once
    Set(SetFallback),
    /// Take the chain of a model out of the configuration file
    Remove(Remove),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: At,
}

#[derive(Debug, Args)]
pub(super) struct SetAlias {
    /// The other name
    name: String,
    /// The model that it stands for
    target: String,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
pub(super) struct SetFallback {
    /// The model
    name: String,
    /// Those that may answer instead, the first that can
    #[arg(value_name = "MODEL", required = true)]
    models: Vec<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
pub(super) struct Remove {
    /// What it is called
    pub(super) name: String,
    #[command(flatten)]
    pub(super) how: How,
}

/// Which peer is asked.
#[derive(Debug, Args)]
struct At {
    /// Another peer of the mesh, by name or id
    #[arg(long, value_name = "NAME")]
    peer: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
}

/// How something is changed.
#[derive(Debug, Args)]
pub(super) struct How {
    /// Only say what would change
    #[arg(long)]
    dry_run: bool,
    /// Only if the file is still what `list` has shown under this tag
    #[arg(long, value_name = "TAG")]
    if_match: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: At,
}

const ALIASES: &str = "/nexus/v1/aliases";
const FALLBACKS: &str = "/nexus/v1/fallbacks";

impl Aliases {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Aliases::List(list) => list.show(ALIASES, aliases).await,
            Aliases::Set(SetAlias { name, target, how }) => {
                how.change(Method::PUT, ALIASES, &name, Some(json!({ "target": target }))).await
            }
            Aliases::Remove(Remove { name, how }) => how.change(Method::DELETE, ALIASES, &name, None).await,
        }
    }
}

impl Fallbacks {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Fallbacks::List(list) => list.show(FALLBACKS, fallbacks).await,
            Fallbacks::Set(SetFallback { name, models, how }) => {
                how.change(Method::PUT, FALLBACKS, &name, Some(json!({ "models": models }))).await
            }
            Fallbacks::Remove(Remove { name, how }) => how.change(Method::DELETE, FALLBACKS, &name, None).await,
        }
    }
}

impl List {
    pub(super) async fn show(self, path: &str, draw: impl Fn(Style, &Json) -> String) -> anyhow::Result<()> {
        let client = Client::find_anyhow(self.at.config.path.as_deref())?;
        let path = asked(path, false, self.at.peer.as_deref());
        let (mut told, tag) = client.tagged::<Json>(Method::GET, &path, None, None).await?;
        let tag = tag.map(|tag| clean(tag.trim_matches('"')));
        if self.json {
            told["tag"] = json!(tag);
            return Ok(print(&(serde_json::to_string_pretty(&told)? + "\n"))?);
        }
        let tag = tag.map(|tag| format!("Tag: {tag}\n")).unwrap_or_default();
        Ok(print(&(draw(Style::of_stdout(), &told) + &tag))?)
    }
}

impl How {
    /// With what was said before the command, where it says nothing else itself.
    pub(super) fn under(mut self, json: bool, config: ConfigFile) -> Self {
        self.json |= json;
        self.at.config.path = self.at.config.path.or(config.path);
        self
    }

    /// The configuration file that is named, and whether JSON is asked for.
    #[cfg(test)]
    pub(super) fn said(&self) -> (Option<&std::path::Path>, bool) {
        (self.at.config.path.as_deref(), self.json)
    }

    async fn change(self, method: Method, path: &str, name: &str, body: Option<Json>) -> anyhow::Result<()> {
        self.change_if(&Sure { yes: true }, method, path, name, body).await
    }

    /// Looks, asks where less is protected then, and changes what was looked at.
    pub(super) async fn change_if(
        self,
        sure: &Sure,
        method: Method,
        path: &str,
        name: &str,
        body: Option<Json>,
    ) -> anyhow::Result<()> {
        self.change_at(sure, method, &format!("{path}/{}", percent_encode(name)), body).await
    }

    /// The same of what stands at `place`.
    pub(super) async fn change_at(
        self,
        sure: &Sure,
        method: Method,
        place: &str,
        body: Option<Json>,
    ) -> anyhow::Result<()> {
        let client = Client::find_anyhow(self.at.config.path.as_deref())?;
        let peer = self.at.peer.as_deref();
        let seen = match self.if_match {
            Some(tag) => Some(tag),
            // Every list tells the state of the whole file.
            None => client.tagged::<Json>(Method::GET, &asked(ALIASES, false, peer), None, None).await?.1,
        };
        let change = async |dry_run| {
            let place = asked(place, dry_run, peer);
            client.tagged::<Json>(method.clone(), &place, body.as_ref(), seen.as_deref()).await
        };
        if !sure.yes && !self.dry_run {
            let (foreseen, _) = change(true).await?;
            sure.of_effects("This protects less than before", &sentences(&foreseen["weakens"]))?;
        }
        let (told, _) = change(self.dry_run).await?;
        let text = if self.json { serde_json::to_string_pretty(&told)? + "\n" } else { report(&told) };
        Ok(print(&text)?)
    }
}

fn fallbacks(style: Style, told: &Json) -> String {
    let mut table = style.table(["Model", "Instead of it"]);
    for (name, models) in told["fallbacks"].as_object().into_iter().flatten() {
        let models = models.as_array().into_iter().flatten().filter_map(Json::as_str);
        table.add_row([clean(name), clean(&models.collect::<Vec<_>>().join(", "))]);
    }
    style.draw(&table)
}

fn aliases(style: Style, told: &Json) -> String {
    let mut table = style.table(["Alias", "Model"]);
    for (name, target) in told["aliases"].as_object().into_iter().flatten() {
        table.add_row([clean(name), clean(target.as_str().unwrap_or_default())]);
    }
    style.draw(&table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_says_is_a_table() {
        assert!(aliases(Style::plain(), &json!({ "aliases": { "gpt-4": "llama" } })).contains("gpt-4"));
        let chains = json!({ "fallbacks": { "big": ["mid", "small"] } });
        assert!(fallbacks(Style::plain(), &chains).contains("mid, small"));
    }
}

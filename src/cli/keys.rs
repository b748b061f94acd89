//! `nexus keys`: the clients' keys of the whole mesh. The running peer makes, lists and revokes them; a key is printed once
//! and kept nowhere.

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::assent::Sure;
use super::backends::percent_encode;
use super::client::Client;
use super::config::asked;
use super::render::{Style, clean};
use super::{ConfigFile, print, tell};

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    Add(Add),
    List(List),
    Revoke(Revoke),
}

/// Make a key for a client, good at every peer of a mesh that has a key.
///
/// It is printed once, alone on stdout; the peers keep only a hash of it. Once there is a key, every client must show one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nexus keys add laptop
  nexus keys add ci --models 'llama*,qwen*' --requests-per-minute 60 --monthly-limit-usd 5")]
pub(super) struct Add {
    /// Whose key it is to be; no other good key has this name
    name: String,
    /// Patterns of the models it may use [default: all]
    #[arg(long, value_name = "GLOB,...", value_delimiter = ',')]
    models: Option<Vec<String>>,
    /// The most it may spend in a month, in USD [default: no limit]
    #[arg(long, value_name = "X", value_parser = amount, allow_negative_numbers = true)]
    monthly_limit_usd: Option<f64>,
    /// Requests it may make in a minute [default: no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    requests_per_minute: Option<u32>,
    /// Tokens it may use in a minute [default: no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    tokens_per_minute: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

/// List the keys of the mesh, those that were revoked among them.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

/// Revoke a key, for good and at every peer.
///
/// A peer that cannot be reached now learns of it as soon as it can. On a terminal it says which keys that would be and asks.
#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// Its name or id, as `nexus keys list` shows it
    #[arg(value_name = "NAME_OR_ID")]
    name: String,
    /// Only say which keys that would be
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    sure: Sure,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

const PATH: &str = "/nexus/v1/keys";

/// A key as the management API shows it.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct KeyView {
    id: String,
    name: String,
    models: Option<Vec<String>>,
    monthly_limit_usd: Option<f64>,
    requests_per_minute: Option<u64>,
    tokens_per_minute: Option<u64>,
    made_at: i64,
    made_by: String,
    state: String,
    revoked_at: Option<i64>,
}

#[derive(Deserialize, Serialize)]
struct Listing {
    keys: Vec<KeyView>,
    #[serde(default)]
    open: bool,
    #[serde(default)]
    notes: Vec<String>,
}

impl Keys {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Keys::Add(add) => add.run().await,
            Keys::List(list) => list.run().await,
            Keys::Revoke(revoke) => revoke.run().await,
        }
    }
}

/// JSON has no number for what is none: it would become no limit.
fn amount(text: &str) -> Result<f64, String> {
    let amount = text.parse::<f64>().ok().filter(|amount| amount.is_finite() && *amount > 0.0);
    amount.ok_or_else(|| "must be a number of more than 0: leave it out for no limit".to_owned())
}

impl Add {
    async fn run(self) -> anyhow::Result<()> {
        let body = json!({
            "name": self.name,
            "models": self.models,
            "monthly_limit_usd": self.monthly_limit_usd,
            "requests_per_minute": self.requests_per_minute,
            "tokens_per_minute": self.tokens_per_minute,
        });
        let made: Json = Client::find(self.config.path.as_deref())?.post(PATH, &body).await?;
        if self.json {
            return Ok(print(&(serde_json::to_string_pretty(&made)? + "\n"))?);
        }
        let key = made["key"].as_str().ok_or_else(|| anyhow::anyhow!("the peer answered without a key"))?;
        tell(&clean(&format!("The key of {}, shown once; kept only as a hash:", self.name)));
        print(&format!("{}\n", clean(key)))?;
        tell_notes(&made);
        Ok(())
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let listing: Listing = Client::find(self.config.path.as_deref())?.get(PATH).await?;
        if self.json {
            return Ok(print(&(serde_json::to_string_pretty(&listing)? + "\n"))?);
        }
        print(&draw(Style::of_stdout(), &listing.keys))?;
        if listing.open {
            tell(
                "No key is asked for: every client may ask. `nexus keys add NAME` makes the first key and closes the door.",
            );
        }
        listing.notes.iter().for_each(|note| tell(&clean(note)));
        Ok(())
    }
}

impl Revoke {
    async fn run(self) -> anyhow::Result<()> {
        let client = Client::find(self.config.path.as_deref())?;
        let path = format!("{PATH}/{}", percent_encode(&self.name));
        let call = async |dry_run| client.delete::<Json>(&asked(&path, dry_run, None)).await;
        if !self.dry_run {
            self.sure.of_order(async { Ok(self.lines(&call(true).await?)) }).await?;
        }
        let answer = call(self.dry_run).await?;
        if self.json {
            return Ok(print(&(serde_json::to_string_pretty(&answer)? + "\n"))?);
        }
        print(&self.lines(&answer))?;
        tell_notes(&answer);
        Ok(())
    }

    /// Which keys are revoked, or would be.
    fn lines(&self, answer: &Json) -> String {
        let (list, done) = match answer["dry_run"] == true {
            true => ("would_revoke", "Would revoke"),
            false => ("revoked", "Revoked"),
        };
        let line = |key: &Json| {
            let (name, id) = (key["name"].as_str().unwrap_or(&self.name), key["id"].as_str().unwrap_or_default());
            clean(&format!("{done} key: {name} ({id})")) + "\n"
        };
        answer[list].as_array().into_iter().flatten().map(line).collect()
    }
}

/// What the peer has to say besides.
fn tell_notes(answer: &Json) {
    let notes = answer["notes"].as_array().into_iter().flatten();
    notes.filter_map(Json::as_str).for_each(|note| tell(&clean(note)));
}

fn draw(style: Style, keys: &[KeyView]) -> String {
    let mut table = style.table(["Name", "Models", "Limits", "Made", "By", "State"]);
    for key in keys {
        let models = key.models.as_ref().map_or_else(|| "all".to_owned(), |globs| globs.join(", "));
        let row = [&key.name, &models, &limits(key), &day(key.made_at), &key.made_by, &key.state];
        table.add_row(row.map(|cell| clean(cell)));
    }
    style.draw(&table)
}

fn limits(key: &KeyView) -> String {
    let limits = [
        key.monthly_limit_usd.map(|limit| format!("{limit} usd/month")),
        key.requests_per_minute.map(|limit| format!("{limit} req/min")),
        key.tokens_per_minute.map(|limit| format!("{limit} tok/min")),
    ];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    if limits.is_empty() { "none".to_owned() } else { limits.join(", ") }
}

fn day(seconds: i64) -> String {
    let stamp = jiff::Timestamp::from_second(seconds).ok().filter(|_| seconds > 0);
    stamp.map_or_else(|| "?".to_owned(), |stamp| stamp.strftime("%Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_a_table() {
        let keys: Vec<KeyView> = serde_json::from_value(json!([
            {"id": "k1", "name": "laptop", "models": ["llama*", "qwen*"], "monthly_limit_usd": 5.0,
             "requests_per_minute": 60, "tokens_per_minute": 20000, "made_at": 1_700_000_000, "made_by": "attic",
             "state": "active"},
            {"id": "k2", "name": "old\u{1b}[2J", "made_at": 0, "made_by": "cellar", "state": "revoked", "more": 1},
        ]))
        .expect("keys");
        insta::assert_snapshot!(draw(Style::plain(), &keys), @r"
        ┌─────────┬───────────────┬────────────────────────────────────────┬────────────┬────────┬─────────┐
        │ Name    │ Models        │ Limits                                 │ Made       │ By     │ State   │
        ├─────────┼───────────────┼────────────────────────────────────────┼────────────┼────────┼─────────┤
        │ laptop  │ llama*, qwen* │ 5 usd/month, 60 req/min, 20000 tok/min │ 2023-11-14 │ attic  │ active  │
        │ old�[2J │ all           │ none                                   │ ?          │ cellar │ revoked │
        └─────────┴───────────────┴────────────────────────────────────────┴────────────┴────────┴─────────┘
        ");
    }

    #[test]
    fn an_amount_is_never_silently_no_limit() {
        assert_eq!(amount("0.5"), Ok(0.5));
        for wrong in ["0", "-1", "nan", "inf", "1e999", "five", ""] {
            assert!(amount(wrong).is_err(), "{wrong}");
        }
    }
}

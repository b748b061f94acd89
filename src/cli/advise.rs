//! `nexus advise`: what to load or place where, from what the mesh was asked for. With `--apply` one piece of it is ordered, as
//! `nexus` would order any load; by itself nothing is.

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};

use super::client::Client;
use super::render::{self, Style};
use super::{ConfigFile, print};

/// Say which models would be worth holding in memory or placing where, and why.
///
/// From four weeks of history at every peer: names of models and counts of requests by hour. Needs `enabled = true` under
/// `[fleet]`. Nothing is loaded unless --apply says so.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nexus advise
  nexus advise --apply rec-1f0c9a77d2b4")]
pub(super) struct Advise {
    /// Order what this piece of advice says: load its model at its target now
    #[arg(long, value_name = "ID")]
    apply: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl Advise {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let client = Client::find(self.config.path.as_deref())?;
        let advice: Value = client.get("/v1/fleet/recommendations").await?;
        let told = match &self.apply {
            Some(id) => apply(&client, &advice, id).await?,
            None => advice,
        };
        let text = match (self.json, &self.apply) {
            (true, _) => serde_json::to_string_pretty(&told)? + "\n",
            (false, None) => draw(Style::of_stdout(), &told),
            (false, Some(_)) => ordered(&told),
        };
        Ok(print(&text)?)
    }
}

/// Orders the load that a piece of advice is about.
async fn apply(client: &Client, advice: &Value, id: &str) -> anyhow::Result<Value> {
    let list = || advice["recommendations"].as_array().into_iter().flatten();
    let Some(found) = list().find(|one| one["recommendation_id"] == id) else {
        let known: Vec<&str> = list().filter_map(|one| one["recommendation_id"].as_str()).collect();
        match known.is_empty() {
            true => bail!("there is no advice '{id}' now, nor any other"),
            false => bail!("there is no advice '{id}' now: there is {}", known.join(", ")),
        }
    };
    let order = json!({
        "model_id": found["model_id"],
        "backend_id": found["target_backend_ids"][0],
        "peer": found["target_peer"],
        "pull": found["step"] == "place",
    });
    client.post("/v1/models/load", &order).await.with_context(|| format!("advice '{id}' cannot be applied"))
}

fn ordered(operation: &Value) -> String {
    let text = |key: &str| render::clean(operation[key].as_str().unwrap_or("-"));
    format!(
        "Loading {} at {} of {}: see /v1/operations/{}\n",
        text("model_id"),
        text("backend_id"),
        text("peer"),
        text("operation_id")
    )
}

fn draw(style: Style, advice: &Value) -> String {
    let mut page = String::new();
    let list = advice["recommendations"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !list.is_empty() {
        let mut table = style.table(["Advice", "What", "Model", "Where", "Before", "Confidence", "Gain a day"]);
        for one in list {
            table.add_row(row(one));
        }
        page.push_str(&style.draw(&table));
        for one in list {
            let text = |key: &str| render::clean(one[key].as_str().unwrap_or_default());
            page.push_str(&format!("{}: {}\n", text("recommendation_id"), text("reasoning")));
        }
        page.push_str("Do one now: nexus advise --apply ID\n");
    }
    let days = advice["history_days"].as_u64().unwrap_or_default();
    page.push_str(&match (advice["fleet_enabled"].as_bool(), list.is_empty()) {
        (Some(false), _) => {
            "Advice is off: set `enabled = true` under [fleet]. History is kept meanwhile.\n".to_owned()
        }
        (_, true) => format!("No advice yet, from {days} days of history.\n"),
        (_, false) => format!("From {days} days of history.\n"),
    });
    let missing = advice["missing_peers"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let missing: Vec<String> = missing.map(render::clean).collect();
    if !missing.is_empty() {
        page.push_str(&format!("Without the history of: {}\n", missing.join(", ")));
    }
    page
}

fn row(one: &Value) -> [String; 7] {
    let text = |value: &Value| render::clean(value.as_str().unwrap_or("-"));
    let what = match one["step"].as_str() {
        Some("keep_warm") => "load before the hour",
        Some("load_also") => "load at one more",
        Some("place") => "fetch to one more",
        _ => "-",
    };
    let gain = &one["expected_gain"];
    let requests = gain["requests_per_day"].as_f64().unwrap_or_default();
    let gain = match gain["seconds_per_day"].as_f64() {
        Some(seconds) => format!("{seconds:.0} s less waiting"),
        None => format!("{requests:.0} requests served sooner"),
    };
    [
        text(&one["recommendation_id"]),
        what.to_owned(),
        text(&one["model_id"]),
        format!("{} of {}", text(&one["target_backend_ids"][0]), text(&one["target_peer"])),
        one["hour_utc"].as_u64().map_or_else(|| "-".to_owned(), |hour| format!("{hour:02}:00 UTC")),
        format!("{:.0} %", one["confidence_score"].as_f64().unwrap_or_default() * 100.0),
        gain,
    ]
}

//! `nexus mesh forget`: the rights of a peer that is lost for good pass to the running one.

use clap::Args;
use serde_json::{Value as Json, json};

use crate::cli::assent::Sure;
use crate::cli::client::Client;
use crate::cli::render::clean;
use crate::cli::{ConfigFile, print};

/// Drop a dead peer for good; its share of the budget passes to the peer of this machine.
///
/// The share counts from the next month on: in this one the lost peer may have spent what nobody heard of. Every other peer
/// that holds rights must agree, so that two sides of a split cannot both have them; those that are not there are asked
/// when they come back. Forget only what is off for good: on a terminal it says what would become of its rights and asks.
#[derive(Debug, Args)]
pub(crate) struct Forget {
    /// The name of the peer, or of its ledger as `nexus budget --json` shows it
    name: String,
    /// From this month on, on your word that it is off for good and its last figures are known
    #[arg(long)]
    now: bool,
    /// Only say what would become of its rights
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

impl Forget {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let client = Client::find(self.config.path.as_deref())?;
        let call = async |dry_run: bool| {
            let wish = json!({ "name": self.name, "now": self.now, "dry_run": dry_run });
            client.post::<Json>("/nexus/v1/mesh/forget", &wish).await
        };
        if !self.dry_run {
            self.sure.of_order(async { Ok(clean_lines(&call(true).await?)) }).await?;
        }
        let told = call(self.dry_run).await?;
        if self.json {
            return Ok(print(&(serde_json::to_string_pretty(&told)? + "\n"))?);
        }
        Ok(print(&clean_lines(&told))?)
    }
}

fn clean_lines(told: &Json) -> String {
    let text = |value: &Json| clean(value.as_str().unwrap_or_default());
    if told["dry_run"] == true {
        let share = told["rights_percent"].as_f64().unwrap_or_default();
        let witnesses: Vec<String> = told["witnesses"].as_array().into_iter().flatten().map(text).collect();
        let lost = text(&told["would_forget"]);
        let agree = match witnesses.is_empty() {
            true => "Nobody else has to agree".to_owned(),
            false => format!("To agree: {}", witnesses.join(", ")),
        };
        return format!("Would forget {lost}: {share:.1} % of the rights pass on. {agree}.\n");
    }
    let lost = text(&told["forgotten"]);
    if told["status"] == "completed" {
        return format!("Forgot {lost}: its rights are here, and count from {} on.\n", text(&told["rights_from"]));
    }
    let witnesses = told["waiting_for"].as_array().into_iter().flatten().map(text);
    let witnesses: Vec<String> = witnesses.collect();
    format!(
        "Forgetting {lost}: waiting for {} to agree. It goes on by itself; `nexus budget` shows how it stands.\n",
        witnesses.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_who_is_waited_for() {
        let told = json!({ "forgotten": "cellar", "status": "waiting", "waiting_for": ["attic", "shed"] });
        assert_eq!(
            clean_lines(&told),
            "Forgetting cellar: waiting for attic, shed to agree. It goes on by itself; `nexus budget` shows how it stands.\n"
        );
        let would = |witnesses: Json| {
            let told =
                json!({ "dry_run": true, "would_forget": "cellar", "rights_percent": 25, "witnesses": witnesses });
            clean_lines(&told)
        };
        assert_eq!(
            [would(json!(["attic", "shed"])), would(json!([]))],
            [
                "Would forget cellar: 25.0 % of the rights pass on. To agree: attic, shed.\n",
                "Would forget cellar: 25.0 % of the rights pass on. Nobody else has to agree.\n"
            ]
        );
        let told = json!({ "forgotten": "cellar", "status": "completed", "rights_from": "2026-12" });
        assert_eq!(clean_lines(&told), "Forgot cellar: its rights are here, and count from 2026-12 on.\n");
    }
}

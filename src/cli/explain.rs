//! `nexus explain`: what the router would do with a request now, and why. Nothing is sent to a backend.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use super::client::Client;
use super::render::{self, Style};
use super::{ConfigFile, print};

/// Say where a request would go now, and why: every backend of every peer, kept or rejected, and by which rule.
///
/// Nothing is sent to a backend. The exit code is 0 as well where the request would be refused.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nexus explain -m llama3.2:latest
  nexus explain --file request.json --json")]
pub(super) struct Explain {
    /// The model to ask for; with --file, instead of the one it names
    #[arg(short, long, value_name = "MODEL", required_unless_present = "file")]
    model: Option<String>,
    /// A chat request as a client would send it
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl Explain {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let request = self.request()?;
        let client = Client::find(self.config.path.as_deref())?;
        let plan: Value = client.post("/nexus/v1/explain", &request).await?;
        let text =
            if self.json { serde_json::to_string_pretty(&plan)? + "\n" } else { draw(Style::of_stdout(), &plan) };
        Ok(print(&text)?)
    }

    fn request(&self) -> anyhow::Result<Value> {
        let mut request = match &self.file {
            Some(path) => {
                let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
                serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?
            }
            None => json!({ "messages": [] }),
        };
        if let (Some(model), Some(fields)) = (&self.model, request.as_object_mut()) {
            fields.insert("model".to_owned(), model.as_str().into());
        }
        Ok(request)
    }
}

/// A table of candidates, best first, and a line or two about the whole.
fn draw(style: Style, plan: &Value) -> String {
    let text = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => render::clean(text),
        other => other.to_string(),
    };
    let rows = plan["candidates"].as_array().into_iter().flatten().map(|candidate| {
        let terms = &candidate["terms"];
        let slots = match &terms["concurrency"] {
            Value::Null => text(&terms["in_flight"]),
            slots => format!("{}/{slots}", text(&terms["in_flight"])),
        };
        let why = match candidate["reason"].as_str() {
            Some(reason) => format!("{}: {}", text(&candidate["rule"]), render::clean(reason)),
            None => kept_because(candidate),
        };
        let age = candidate["fact_age_ms"].as_u64().map_or_else(|| "own".to_owned(), |age| format!("{age}ms"));
        [
            text(&candidate["rank"]),
            text(&candidate["peer"]),
            text(&candidate["backend"]),
            text(&candidate["model"]),
            text(&candidate["verdict"]),
            slots,
            text(&terms["queued"]),
            age,
            why,
        ]
    });
    let mut table = style.table(["Rank", "Peer", "Backend", "Model", "Verdict", "In flight", "Queue", "News", "Why"]);
    for row in rows {
        table.add_row(row);
    }
    let mut page = style.draw(&table);
    page.push_str(&format!("Strategy: {}\n", text(&plan["strategy"])));
    let steps: Vec<String> = plan["aliases"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|step| format!("{} → {}", text(&step[0]), text(&step[1])))
        .collect();
    if !steps.is_empty() {
        page.push_str(&format!("Aliases: {}\n", steps.join(", ")));
    }
    match (&plan["chosen"], &plan["refusal"]) {
        (Value::Null, refusal) => {
            page.push_str(&format!("Refused with {}: {}\n", text(&refusal["status"]), text(&refusal["message"])));
        }
        (chosen, _) => page.push_str(&format!(
            "Chosen: {} of peer {}, as {}\n",
            text(&chosen["backend"]),
            text(&chosen["peer"]),
            text(&chosen["model"])
        )),
    }
    page
}

/// Its score or the time its answer would take, and what keeps requests away from it.
fn kept_because(candidate: &Value) -> String {
    let terms = &candidate["terms"];
    let rank = terms["total"].as_u64().map(|score| format!("score {score}")).or_else(|| expected(terms));
    let breakers = candidate["breakers"].as_array().into_iter().flatten();
    let reasons = breakers.filter_map(|breaker| breaker["reason"].as_str().map(render::clean));
    let words: Vec<String> = rank.into_iter().chain(reasons).collect();
    if words.is_empty() { "-".to_owned() } else { words.join("; ") }
}

/// How long the answer would take, and what of it is not writing.
fn expected(terms: &Value) -> Option<String> {
    let seconds = |key: &str| terms[key].as_f64().map(|millis| millis / 1000.0);
    let mut text = format!("about {:.1} s", seconds("expected_ms")?);
    if let Some(wait) = seconds("wait_ms").filter(|wait| *wait > 0.0) {
        text.push_str(&format!(", {wait:.1} s of it waiting"));
    }
    if let Some(held) = terms["held_tokens"].as_u64().filter(|held| *held > 0) {
        text.push_str(&format!(", {held} tokens held"));
    }
    if matches!(terms["residency"].as_str(), Some("unloaded" | "loading")) {
        text.push_str(", not loaded");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_and_rejected_stand_in_one_table_with_the_outcome_under_it() {
        let plan = json!({
            "strategy": "smart",
            "aliases": [["gpt-4", "llama3"]],
            "candidates": [
                {"rank": 1, "peer": "desk", "backend": "gpu", "model": "llama3", "verdict": "kept", "fact_age_ms": null,
                 "terms": {"in_flight": 1, "queued": 0, "concurrency": 4, "total": 99},
                  "breakers": [{"kind": "silence", "reason": "left alone for 12 s: it accepted a request and said nothing"}]},
                {"rank": 2, "peer": "lab", "backend": "old", "model": "llama3", "verdict": "kept", "fact_age_ms": 80,
                 "terms": {"in_flight": 2, "queued": 1, "concurrency": 2, "expected_ms": 6400, "wait_ms": 4000,
                           "held_tokens": 512, "residency": "unloaded"}},
                {"peer": "lab", "backend": "cloud", "model": "llama3", "verdict": "rejected", "rule": "privacy",
                 "reason": "its zone is open", "fact_age_ms": 120, "terms": {"in_flight": 0, "queued": 0, "concurrency": null}},
            ],
            "chosen": {"peer": "desk", "backend": "gpu", "model": "llama3"},
            "refusal": null,
        });
        let page = draw(Style::plain(), &plan);
        for words in [
            "1/4",
            "own",
            "score 99; left alone for 12 s: it accepted a request and said nothing",
            "about 6.4 s, 4.0 s of it waiting, 512 tokens held, not loaded",
            "120ms",
            "privacy: its zone is open",
            "gpt-4 → llama3",
            "Chosen: gpu of peer desk",
        ] {
            assert!(page.contains(words), "{words} in\n{page}");
        }
    }

    #[test]
    fn a_request_without_a_plan_says_what_it_would_be_told() {
        let plan =
            json!({"strategy": "smart", "candidates": [], "chosen": null, "refusal": {"status": 404, "message": "no"}});
        assert!(draw(Style::plain(), &plan).ends_with("Refused with 404: no\n"));
    }
}

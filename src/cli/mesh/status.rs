//! `nexus mesh status`: the peers, as the running one sees them.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use clap::Args;
use comfy_table::{Cell, Color};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::cli::client::Client;
use crate::cli::render::{Style, clean, span};
use crate::cli::signals::Stop;
use crate::cli::{ConfigFile, print};

/// Show every peer of the mesh, as the running peer of this machine sees it.
///
/// News is the age of the last fact heard from a peer. Exits 0 if the peer of this machine answers, else 1.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Again every second, until Ctrl-C
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Deserialize)]
struct View {
    /// `None` where the mesh is off.
    mesh: Option<About>,
    #[serde(rename = "self")]
    myself: Option<Peer>,
    #[serde(default)]
    peers: Vec<Peer>,
    #[serde(default)]
    budget: Option<Budget>,
    #[serde(default)]
    warnings: Vec<Warning>,
}

#[derive(Deserialize)]
struct About {
    name: String,
    keyed: bool,
    size: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Peer {
    id: String,
    name: String,
    state: String,
    addresses: Vec<String>,
    rtt_ms: Option<f64>,
    fact_age_ms: Option<f64>,
    version: String,
    backends: Vec<Backend>,
    in_flight: u64,
    queued: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Backend {
    status: String,
    models: Vec<Json>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Budget {
    spent_usd: Option<f64>,
    limit_usd: Option<f64>,
    share_usd: Option<f64>,
}

#[derive(Deserialize)]
struct Warning {
    message: String,
    #[serde(default)]
    peer: Option<String>,
}

const PATH: &str = "/nexus/v1/mesh";

/// What there is to say of a node without a mesh.
const OFF: &str = "The mesh is off on this node: set mesh.enabled = true in its configuration and start it again.\n";

/// Time between two pictures of `--watch`.
const REDRAW: Duration = Duration::from_secs(1);

impl Status {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let client = Client::find(self.config.path.as_deref())?;
        let first = self.picture(&client).await?;
        if !self.watch {
            return Ok(print(&first)?);
        }
        let mut stop = Stop::listen()?;
        let mut picture = first;
        loop {
            self.show(&picture)?;
            tokio::select! {
                biased;
                () = stop.asked() => return Ok(()),
                () = tokio::time::sleep(REDRAW) => {}
            }
            picture = match self.picture(&client).await {
                Ok(picture) => picture,
                Err(error) => format!("{error}\n"),
            };
        }
    }

    async fn picture(&self, client: &Client) -> anyhow::Result<String> {
        if self.json {
            let status: Json = client.get(PATH).await?;
            return Ok(if self.watch { format!("{status}\n") } else { serde_json::to_string_pretty(&status)? + "\n" });
        }
        Ok(draw(Style::of_stdout(), &client.get(PATH).await?))
    }

    /// On a terminal the new picture takes the place of the old one.
    fn show(&self, picture: &str) -> anyhow::Result<()> {
        const HOME_AND_CLEAR: &str = "\u{1b}[H\u{1b}[2J";
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stdout());
        let clear = if terminal && !self.json { HOME_AND_CLEAR } else { "" };
        Ok(print(&format!("{clear}{picture}"))?)
    }
}

fn draw(style: Style, view: &View) -> String {
    let (Some(mesh), Some(myself)) = (&view.mesh, &view.myself) else { return OFF.to_owned() };
    let headers = ["Name", "Address", "State", "RTT", "News", "Backends", "Models", "In flight", "Queue", "Version"];
    let mut table = style.table(headers);
    let others = view.peers.iter().filter(|peer| peer.id != myself.id);
    for peer in std::iter::once(myself).chain(others) {
        table.add_row(row(peer));
    }
    let mut text = style.draw(&table);
    let key = if mesh.keyed { "keyed" } else { "open" };
    let plural = if mesh.size == 1 { "" } else { "s" };
    // Writing to a String does not fail.
    if let Some(budget) = &view.budget {
        let usd = |amount: Option<f64>| amount.map_or_else(|| "unknown".to_owned(), |amount| format!("${amount:.2}"));
        let Budget { spent_usd, limit_usd, share_usd } = *budget;
        let (spent, limit, share) = (usd(spent_usd), usd(limit_usd), usd(share_usd));
        let _ = writeln!(text, "Budget: {spent} spent of {limit}, share of this peer {share}");
    }
    let _ = writeln!(text, "Mesh: {} ({key}), {} peer{plural}", clean(&mesh.name), mesh.size);
    for warning in &view.warnings {
        let peer = warning.peer.as_deref().filter(|peer| !warning.message.contains(peer));
        let about = peer.map(|peer| format!(" ({peer})")).unwrap_or_default();
        let _ = writeln!(text, "Warning: {}{}", clean(&warning.message), clean(&about));
    }
    text
}

fn row(peer: &Peer) -> [Cell; 10] {
    let healthy = peer.backends.iter().filter(|backend| backend.status == "healthy").count();
    let models: BTreeSet<_> = peer.backends.iter().flat_map(|backend| &backend.models).filter_map(model_id).collect();
    let or_dash = |milliseconds: Option<f64>| milliseconds.map_or_else(|| "-".to_owned(), span);
    let colour = match peer.state.as_str() {
        "alive" | "self" => Color::Green,
        "dead" => Color::Red,
        _ => Color::Yellow,
    };
    [
        Cell::new(clean(&peer.name)),
        Cell::new(peer.addresses.first().map_or_else(|| "-".to_owned(), |address| clean(address))),
        Cell::new(clean(&peer.state)).fg(colour),
        Cell::new(or_dash(peer.rtt_ms)),
        Cell::new(or_dash(peer.fact_age_ms)),
        Cell::new(format!("{healthy}/{}", peer.backends.len())),
        Cell::new(models.len()),
        Cell::new(peer.in_flight),
        Cell::new(peer.queued),
        Cell::new(clean(&peer.version)),
    ]
}

/// A model is listed by its name, or as an object with an id.
fn model_id(model: &Json) -> Option<&str> {
    model.as_str().or_else(|| model["id"].as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_mesh_is_a_table_and_a_few_lines() {
        let view = json!({
            "mesh": {"name": "home", "keyed": true, "size": 2},
            "self": {"id": "a", "name": "desk", "state": "self", "addresses": ["10.0.0.1:8001"], "version": "0.1.0",
                "backends": [{"name": "o", "status": "healthy", "models": ["m", "k"]}], "in_flight": 1, "queued": 0},
            "peers": [{"id": "b", "name": "attic", "state": "suspect", "addresses": ["10.0.0.2:8001"], "rtt_ms": 0.42,
                "fact_age_ms": 2400, "version": "0.2.0", "draining": false, "in_flight": 0, "queued": 3,
                "backends": [{"name": "v", "status": "unhealthy", "models": [{"id": "m"}]}]}],
            "budget": null,
            "warnings": [{"code": "version_skew", "message": "runs version 0.2.0, this peer 0.1.0", "peer": "attic"}],
        });
        let view: View = serde_json::from_value(view).expect("a view");
        insta::assert_snapshot!(draw(Style::plain(), &view), @r"
        ┌───────┬───────────────┬─────────┬───────┬──────┬──────────┬────────┬───────────┬───────┬─────────┐
        │ Name  │ Address       │ State   │ RTT   │ News │ Backends │ Models │ In flight │ Queue │ Version │
        ├───────┼───────────────┼─────────┼───────┼──────┼──────────┼────────┼───────────┼───────┼─────────┤
        │ desk  │ 10.0.0.1:8001 │ self    │ -     │ -    │ 1/1      │ 2      │ 1         │ 0     │ 0.1.0   │
        │ attic │ 10.0.0.2:8001 │ suspect │ 0.4ms │ 2.4s │ 0/1      │ 1      │ 0         │ 3     │ 0.2.0   │
        └───────┴───────────────┴─────────┴───────┴──────┴──────────┴────────┴───────────┴───────┴─────────┘
        Mesh: home (keyed), 2 peers
        Warning: runs version 0.2.0, this peer 0.1.0 (attic)
        ");
    }

    #[test]
    fn a_mesh_that_is_off_is_no_error() {
        let off = json!({"mesh": null, "self": null, "peers": [], "budget": null, "warnings": []});
        let view: View = serde_json::from_value(off).expect("a view");
        assert!(draw(Style::plain(), &view).contains("mesh.enabled = true"));
    }
}

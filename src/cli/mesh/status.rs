//! `nexus mesh status`: the peers, as the running one sees them, once or again and again.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::Duration;

use clap::Args;
use comfy_table::{Cell, Color};
use serde::Deserialize;
use serde_json::Value as Json;
use tokio::time::{Instant, sleep};

use super::screen::Screen;
use super::watch::{self, MOST_REQUESTS, Requests, Room, fit, wrap};
use crate::cli::client::{Client, ClientError};
use crate::cli::render::{Style, clean, span};
use crate::cli::signals::Stop;
use crate::cli::{ConfigFile, print, tell};

/// Show every peer of the mesh, as the running peer of this machine sees it.
///
/// News is the age of the last fact heard from a peer. Exits 0 if the peer of this machine answers, else 1.
/// With --watch there are backends and recent requests of all peers as well, in as much room as the terminal has.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Print JSON; with --watch one object a line
    #[arg(long)]
    json: bool,
    /// Again every second, until Ctrl-C
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Deserialize)]
pub(super) struct View {
    /// `None` where the mesh is off.
    mesh: Option<About>,
    #[serde(rename = "self")]
    pub(super) myself: Option<Peer>,
    #[serde(default)]
    pub(super) peers: Vec<Peer>,
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
pub(super) struct Peer {
    id: String,
    pub(super) name: String,
    pub(super) state: String,
    addresses: Vec<String>,
    rtt_ms: Option<f64>,
    fact_age_ms: Option<f64>,
    version: String,
    draining: bool,
    pub(super) backends: Vec<Backend>,
    in_flight: u64,
    queued: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Backend {
    pub(super) name: String,
    pub(super) status: String,
    pub(super) models: Vec<Json>,
    pub(super) in_flight: u64,
    pub(super) queued: u64,
    pub(super) concurrency: Option<u64>,
    pub(super) ttft_ms: Option<f64>,
    pub(super) tokens_per_second: Option<f64>,
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
const REQUESTS: &str = "/nexus/v1/requests?scope=mesh";

/// What there is to say of a node without a mesh.
const OFF: &str = "The mesh is off on this node: set mesh.enabled = true in its configuration and start it again.\n";

/// Time between two pictures of `--watch`.
const REDRAW: Duration = Duration::from_secs(1);

impl Status {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let client = Client::find_anyhow(self.config.path.as_deref())?;
        let first: Json = client.get(PATH).await?;
        match (self.json, self.watch) {
            (true, false) => Ok(print(&(serde_json::to_string_pretty(&first)? + "\n"))?),
            (false, false) => Ok(print(&draw(Style::of_stdout(), &serde_json::from_value(first)?))?),
            (json, true) => {
                let mut stop = Stop::listen()?;
                // Also while a peer that is slow is waited for.
                tokio::select! {
                    biased;
                    () = stop.asked() => Ok(()),
                    ended = follow(&client, first, json) => ended,
                }
            }
        }
    }
}

/// Tells how everything stands, again and again, for as long as anybody reads it.
async fn follow(client: &Client, first: Json, json: bool) -> anyhow::Result<()> {
    let ended = if json { follow_json(client, first).await } else { follow_picture(client, first).await };
    match ended {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        ended => Ok(ended?),
    }
}

async fn follow_json(client: &Client, first: Json) -> io::Result<()> {
    let mut status = Some(first);
    loop {
        if let Some(status) = status {
            let mut stdout = io::stdout().lock();
            writeln!(stdout, "{status}")?;
            stdout.flush()?;
        }
        sleep(REDRAW).await;
        status = client.get(PATH).await.map_err(|error| tell(&error.to_string())).ok();
    }
}

async fn follow_picture(client: &Client, first: Json) -> io::Result<()> {
    let style = Style::of_stdout();
    let mut screen = Screen::open()?;
    let (mut status, mut seen) = (first, Instant::now());
    let (mut requests, mut silent) = (Requests::default(), None::<ClientError>);
    loop {
        // An older peer knows no requests of others.
        let path = format!("{REQUESTS}&limit={MOST_REQUESTS}");
        let asked = async { client.get(&path).await.map(watch::requests).unwrap_or_default() };
        if silent.is_none() {
            requests = asked.await;
        }
        let room = screen.size().map_or(Room::ANY, |(columns, lines)| Room { columns, lines });
        let stale = silent.take().map(|error| format!("{error}; what follows is {} old", since(seen)));
        let picture = match serde_json::from_value(status.clone()) {
            Ok(view) => watch::picture(style, &view, &requests, room, stale.as_deref()),
            Err(error) => format!("{error}\n"),
        };
        screen.show(picture)?;
        sleep(REDRAW).await;
        silent = match client.get(PATH).await {
            Ok(fresh) => {
                (status, seen) = (fresh, Instant::now());
                None
            }
            Err(error) => Some(error),
        };
    }
}

fn since(moment: Instant) -> String {
    span(moment.elapsed().as_secs_f64() * 1e3)
}

fn draw(style: Style, view: &View) -> String {
    draw_in(style, view, Room::ANY)
}

/// Lines of a table beside its rows: borders, headers, and how many rows are left out.
pub(super) const AROUND: usize = 5;

/// Peers, and what there is to know of the mesh.
pub(super) fn draw_in(style: Style, view: &View, room: Room) -> String {
    let (Some(mesh), Some(myself)) = (&view.mesh, &view.myself) else {
        return OFF.to_owned() + &warnings(view, room);
    };
    let below = about(view, mesh, room);
    let headers = ["Name", "Address", "State", "RTT", "News", "Backends", "Models", "In flight", "Queue", "Version"];
    let mut table = style.table(headers);
    let others: Vec<&Peer> = view.peers.iter().filter(|peer| peer.id != myself.id).collect();
    let most = room.lines.saturating_sub(AROUND + below.lines().count()).max(2);
    for peer in std::iter::once(&myself).chain(&others).take(most) {
        table.add_row(row(peer));
    }
    fit(&mut table, room.columns, &[(104, 1), (86, 9), (76, 3), (66, 6), (56, 8), (46, 5), (38, 7)]);
    let more = (others.len() + 1).saturating_sub(most);
    let rest = if more == 0 { String::new() } else { format!("and {more} more\n") };
    style.draw(&table) + &rest + &below
}

/// What there is to know beside the peers.
fn about(view: &View, mesh: &About, room: Room) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    if let Some(budget) = &view.budget {
        let usd = |amount: Option<f64>| amount.map_or_else(|| "unknown".to_owned(), |amount| format!("${amount:.2}"));
        let Budget { spent_usd, limit_usd, share_usd } = *budget;
        let (spent, limit, share) = (usd(spent_usd), usd(limit_usd), usd(share_usd));
        let _ = writeln!(text, "Budget: {spent} spent of {limit}, share of this peer {share}");
    }
    let key = if mesh.keyed { "keyed" } else { "open" };
    let plural = if mesh.size == 1 { "" } else { "s" };
    let _ = writeln!(text, "Mesh: {} ({key}), {} peer{plural}", clean(&mesh.name), mesh.size);
    text + &warnings(view, room)
}

fn warnings(view: &View, room: Room) -> String {
    let mut text = String::new();
    for warning in &view.warnings {
        let peer = warning.peer.as_deref().filter(|peer| !warning.message.contains(peer));
        let about = peer.map(|peer| format!(" ({peer})")).unwrap_or_default();
        text.push_str(&wrap(&format!("Warning: {}{about}", warning.message), room.columns));
    }
    text
}

fn row(peer: &Peer) -> [Cell; 10] {
    let healthy = peer.backends.iter().filter(|backend| backend.status == "healthy").count();
    let models: BTreeSet<_> = peer.backends.iter().flat_map(|backend| &backend.models).filter_map(model_id).collect();
    let or_dash = |milliseconds: Option<f64>| milliseconds.map_or_else(|| "-".to_owned(), span);
    let state = if peer.draining && peer.state == "self" { "self, draining" } else { &peer.state };
    let colour = match state {
        "alive" | "self" => Color::Green,
        "dead" => Color::Red,
        _ => Color::Yellow,
    };
    [
        Cell::new(clean(&peer.name)),
        Cell::new(peer.addresses.first().map_or_else(|| "-".to_owned(), |address| clean(address))),
        Cell::new(clean(state)).fg(colour),
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
        let bad = json!({"mesh": null, "self": null, "peers": [], "budget": null,
            "warnings": [{"code": "config_rejected", "message": "peer attic could not take it", "peer": "attic"}]});
        let drawn = draw(Style::plain(), &serde_json::from_value(bad).expect("an answer"));
        assert_eq!(drawn, format!("{OFF}Warning: peer attic could not take it\n"));
        let off = json!({"mesh": null, "self": null, "peers": [], "budget": null, "warnings": []});
        let view: View = serde_json::from_value(off).expect("a view");
        assert!(draw(Style::plain(), &view).contains("mesh.enabled = true"));
    }
}

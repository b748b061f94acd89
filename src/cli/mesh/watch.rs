//! The picture of `nexus mesh status --watch`: what the page shows, in as much room as there is. Peers and what needs somebody
//! come first, then backends, then requests.

use comfy_table::{Cell, Color, ColumnConstraint, Table};
use serde::Deserialize;
use serde_json::Value as Json;

use super::status::{AROUND, Backend, Peer, View, draw_in};
use crate::cli::render::{Style, clean, span};

/// Requests of all peers.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Requests {
    requests: Vec<Request>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Request {
    state: String,
    model: String,
    entry: String,
    peer: Option<String>,
    backend: Option<String>,
    elapsed_ms: Option<f64>,
    error: Option<String>,
}

/// Room that is there: columns and lines.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub(super) columns: usize,
    pub(super) lines: usize,
}

impl Room {
    /// As much as anybody likes.
    pub(super) const ANY: Room = Room { columns: usize::MAX, lines: usize::MAX };
}

/// Letters of a name.
const NAME: usize = 24;

/// Rows that are worth a table.
const LEAST: usize = 1;

/// Requests that are shown at most, and asked for.
pub(super) const MOST_REQUESTS: usize = 20;

/// Everything, in `room`. `stale` says why it is not of now.
pub(super) fn picture(style: Style, view: &View, requests: &Requests, room: Room, stale: Option<&str>) -> String {
    let mut text = stale.map(|stale| wrap(stale, room.columns)).unwrap_or_default();
    let lines = room.lines.saturating_sub(text.lines().count());
    text.push_str(&draw_in(style, view, Room { lines, ..room }));
    for table in [backends_table, requests_table] {
        let rest = room.lines.saturating_sub(text.lines().count()).saturating_sub(AROUND);
        if rest >= LEAST
            && let Some(table) = table(style, view, requests, rest, room)
        {
            text.push_str(&table);
        }
    }
    text
}

fn backends_table(style: Style, view: &View, _: &Requests, most: usize, room: Room) -> Option<String> {
    let peers: Vec<&Peer> = view.myself.iter().chain(&view.peers).collect();
    let all: Vec<(&Peer, &Backend)> =
        peers.iter().flat_map(|peer| peer.backends.iter().map(move |backend| (*peer, backend))).collect();
    let mut table = style.table(["Backend", "Peer", "Status", "Models", "In flight", "Queue", "First byte", "Speed"]);
    for (peer, backend) in all.iter().take(most) {
        table.add_row(backend_row(peer, backend));
    }
    fit(&mut table, room.columns, &[(92, 7), (80, 6), (66, 3), (52, 5)]);
    told(style, &table, all.len(), most)
}

fn backend_row(peer: &Peer, backend: &Backend) -> [Cell; 8] {
    let (status, colour) = match (peer.state.as_str(), backend.status.as_str()) {
        ("dead", _) => ("out of reach", Color::Red),
        (_, "healthy") => ("healthy", Color::Green),
        (_, "unhealthy") => ("unhealthy", Color::Red),
        (_, other) => (other, Color::Yellow),
    };
    let slots = backend.concurrency.map(|slots| format!(" of {slots}")).unwrap_or_default();
    [
        Cell::new(short(&backend.name)),
        Cell::new(short(&peer.name)),
        Cell::new(clean(status)).fg(colour),
        Cell::new(backend.models.len()),
        Cell::new(format!("{}{slots}", backend.in_flight)),
        Cell::new(backend.queued),
        Cell::new(backend.ttft_ms.map_or_else(dash, span)),
        Cell::new(backend.tokens_per_second.map_or_else(dash, |speed| format!("{speed:.0}/s"))),
    ]
}

fn requests_table(style: Style, _: &View, requests: &Requests, most: usize, room: Room) -> Option<String> {
    let all = &requests.requests;
    let mut table = style.table(["Request", "Model", "Way", "Elapsed", "Error"]);
    for request in all.iter().take(most.min(MOST_REQUESTS)) {
        table.add_row(request_row(request));
    }
    fit(&mut table, room.columns, &[(92, 4), (60, 1)]);
    told(style, &table, all.len().min(MOST_REQUESTS), most)
}

fn request_row(request: &Request) -> [Cell; 5] {
    let colour = match request.state.as_str() {
        "done" | "streaming" => Color::Green,
        "failed" => Color::Red,
        _ => Color::Yellow,
    };
    let mut way = vec![short(&request.entry)];
    way.extend(request.peer.as_deref().filter(|peer| *peer != request.entry).map(short));
    way.extend(request.backend.as_deref().map(short));
    [
        Cell::new(clean(&request.state)).fg(colour),
        Cell::new(short(&request.model)),
        Cell::new(way.join(" → ")),
        Cell::new(request.elapsed_ms.map_or_else(dash, span)),
        Cell::new(request.error.as_deref().map(short).unwrap_or_default()),
    ]
}

/// A table and how many rows it has not; `None` where there is nothing in it.
fn told(style: Style, table: &Table, all: usize, most: usize) -> Option<String> {
    if all == 0 {
        return None;
    }
    let more = all.saturating_sub(most);
    let rest = if more == 0 { String::new() } else { format!("and {more} more\n") };
    Some(style.draw(table) + &rest)
}

/// A table of the width that there is, without those columns for which `by_width` wants more.
pub(super) fn fit(table: &mut Table, columns: usize, by_width: &[(usize, usize)]) {
    if let Ok(columns) = u16::try_from(columns) {
        table.set_width(columns);
    }
    for (_, column) in by_width.iter().filter(|(width, _)| columns < *width) {
        if let Some(column) = table.column_mut(*column) {
            column.set_constraint(ColumnConstraint::Hidden);
        }
    }
}

/// A sentence in lines of so many letters, broken between words, without anything that a terminal obeys.
pub(super) fn wrap(sentence: &str, columns: usize) -> String {
    let (mut text, mut used) = (String::new(), 0);
    for word in clean(sentence).split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > columns {
            text.push('\n');
            used = 0;
        } else if used > 0 {
            text.push(' ');
            used += 1;
        }
        text.push_str(word);
        used += length;
    }
    text.push('\n');
    text
}

/// The beginning of a name, without anything that a terminal obeys.
pub(super) fn short(name: &str) -> String {
    let clean = clean(name);
    match clean.char_indices().nth(NAME) {
        Some(_) => clean.chars().take(NAME - 1).chain(['…']).collect(),
        None => clean,
    }
}

fn dash() -> String {
    "-".to_owned()
}

/// What was asked for may be less than this peer knows: an older one has no requests of others.
pub(super) fn requests(told: Json) -> Requests {
    serde_json::from_value(told).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn view(peers: usize) -> View {
        let backend = |name: String| {
            json!({"name": name, "status": "healthy", "models": ["m"], "in_flight": 1, "queued": 2, "concurrency": 4,
                   "ttft_ms": 40, "tokens_per_second": 61.7})
        };
        let peer = |at: usize| {
            let state = ["self", "alive", "suspect", "dead"][at.min(3)];
            json!({"id": format!("{at}"), "name": format!("peer-{at}"), "state": state, "addresses": ["10.0.0.1:8001"],
                   "version": "0.1.0", "draining": at == 0, "backends": [backend(format!("b{at}"))], "in_flight": 1})
        };
        let all: Vec<Json> = (1..peers).map(peer).collect();
        let view = json!({"mesh": {"name": "home", "keyed": true, "size": peers}, "self": peer(0), "peers": all,
            "budget": {"spent_usd": 1.0, "limit_usd": 5.0, "share_usd": 2.0},
            "warnings": [{"code": "config_rejected", "message": "peer peer-1 could not take its configuration"}]});
        serde_json::from_value(view).expect("a view")
    }

    fn asked() -> Requests {
        requests(json!({"requests": [
            {"state": "streaming", "model": "m", "entry": "peer-0", "peer": "peer-1", "backend": "b1", "elapsed_ms": 1250},
            {"state": "failed", "model": "x\u{1b}[2J", "entry": "peer-2", "peer": null, "backend": null, "elapsed_ms": 3,
             "error": "nobody has it"}]}))
    }

    #[test]
    fn it_is_the_page_in_words() {
        insta::assert_snapshot!(picture(Style::plain(), &view(4), &asked(), Room::ANY, None));
    }

    #[test]
    fn it_fits_into_whatever_room_there_is() {
        for lines in [1, 10, 16, 24, 60, 200] {
            let room = Room { columns: 80, lines };
            let picture = picture(Style::plain(), &view(30), &asked(), room, Some("cannot reach nexus"));
            // Two peers and what stands below them are always there; a screen shows what it can.
            assert!(picture.lines().count() <= lines.max(AROUND + 2 + 4), "{lines}: {picture}");
            assert!(picture.contains("cannot reach nexus") && picture.contains("config"), "{picture}");
        }
        let narrow = picture(Style::fitting(), &view(4), &asked(), Room { columns: 40, lines: 60 }, None);
        let is_table = |line: &&str| line.starts_with(['│', '┌', '├', '└']);
        assert!(narrow.lines().filter(is_table).all(|line| line.chars().count() <= 40), "{narrow}");
        assert!(narrow.contains("suspect") && narrow.contains("draining"), "{narrow}");
    }

    #[test]
    fn names_of_others_are_no_commands() {
        assert_eq!(short("a\u{1b}[2J"), "a\u{fffd}[2J");
        assert_eq!(short(&"é".repeat(100)).chars().count(), NAME);
        assert_eq!(wrap("peer a\u{1b} is gone", 9), "peer a\u{fffd}\nis gone\n");
        assert_eq!(wrap("peer a is gone", usize::MAX), "peer a is gone\n");
    }
}

//! What commands print: tables for people, and what is in them. Every function returns text, so that what is printed
//! can be tested; whatever came from another machine is stripped of terminal control characters on its way in.

use std::io::IsTerminal;

use comfy_table::{Cell, Color, ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle};
use serde::{Deserialize, Serialize};

use crate::fleet::Status;

/// A backend as the management API shows it, and as `backends list --json` prints it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct BackendView {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) url: String,
    #[serde(default)]
    pub(super) backend_type: String,
    #[serde(default, rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) status: Status,
    #[serde(default)]
    pub(super) models: Vec<ModelView>,
    #[serde(default)]
    pub(super) priority: i64,
    #[serde(default)]
    pub(super) pending_requests: u64,
    #[serde(default)]
    pub(super) total_requests: u64,
    #[serde(default)]
    pub(super) avg_latency_ms: Option<u64>,
    #[serde(default)]
    pub(super) discovery_source: String,
    #[serde(default = "here")]
    pub(super) peer: String,
    #[serde(default, skip_serializing)]
    pub(super) last_check_seconds_ago: Option<u64>,
    #[serde(default, skip_serializing)]
    pub(super) last_error: Option<String>,
}

/// What the management API calls the peer that answers.
const HERE: &str = "self";

fn here() -> String {
    HERE.to_owned()
}

/// A model of a backend.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ModelView {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) context_length: Option<u64>,
    pub(super) supports_vision: bool,
    pub(super) supports_tools: bool,
    pub(super) supports_json_mode: bool,
    pub(super) max_output_tokens: Option<u64>,
}

impl BackendView {
    /// Whether it belongs to the peer that answers.
    pub(super) fn is_here(&self) -> bool {
        self.peer == HERE
    }

    /// Where it was heard of: `[static]`, `[mdns]`, `[peer:NAME]`.
    fn tag(&self) -> String {
        if self.is_here() { format!("[{}]", self.discovery_source) } else { format!("[peer:{}]", self.peer) }
    }

    /// Its latency, where it was ever measured.
    pub(super) fn latency(&self) -> Option<u64> {
        self.avg_latency_ms.filter(|latency| *latency > 0 || self.status != Status::Unknown)
    }
}

/// How to print: decided once, by what stdout is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    colour: bool,
    fit: bool,
}

impl Style {
    /// Colour and fitting to the width are for terminals only.
    pub(super) fn of_stdout() -> Self {
        let stdout = std::io::stdout();
        Style {
            colour: anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never,
            fit: stdout.is_terminal(),
        }
    }

    /// No colour, any width.
    #[cfg(test)]
    pub(super) fn plain() -> Self {
        Style { colour: false, fit: false }
    }

    /// No colour, and no wider than a table is told to be.
    #[cfg(test)]
    pub(super) fn fitting() -> Self {
        Style { colour: false, fit: true }
    }

    /// An empty table with these headers.
    pub(super) fn table<const N: usize>(self, headers: [&str; N]) -> Table {
        const LINES: TableStyle = TableStyle::new()
            .top_border(LineStyle::new('┌', '─', '┬', '┐'))
            .header_lines(ContentLineStyle::new('│', '│', '│'))
            .header_separator(LineStyle::new('├', '─', '┼', '┤'))
            .content_lines(ContentLineStyle::new('│', '│', '│'))
            .bottom_border(LineStyle::new('└', '─', '┴', '┘'));
        let mut table = Table::new();
        table.load_style(LINES);
        if !self.fit {
            table.force_no_tty();
        }
        if self.colour {
            table.enforce_styling();
        }
        let arrangement = if self.fit { ContentArrangement::Dynamic } else { ContentArrangement::Disabled };
        table.set_content_arrangement(arrangement).set_header(headers);
        table
    }

    /// A table with its last newline.
    pub(super) fn draw(self, table: &Table) -> String {
        format!("{}\n", table.trim_fmt())
    }

    pub(super) fn status(self, status: Status) -> Cell {
        let colour = match status {
            Status::Healthy => Color::Green,
            Status::Unhealthy => Color::Red,
            Status::Draining => Color::Yellow,
            Status::Unknown | Status::Unrecognised => Color::Reset,
        };
        Cell::new(format!("{} {}", icon(status), word(status))).fg(colour)
    }
}

/// `✓`, `✗`, `?` or `~`.
pub(super) fn icon(status: Status) -> char {
    match status {
        Status::Healthy => '✓',
        Status::Unhealthy => '✗',
        Status::Unknown | Status::Unrecognised => '?',
        Status::Draining => '~',
    }
}

/// The status as a word with a capital.
pub(super) fn word(status: Status) -> &'static str {
    match status {
        Status::Healthy => "Healthy",
        Status::Unhealthy => "Unhealthy",
        Status::Unknown | Status::Unrecognised => "Unknown",
        Status::Draining => "Draining",
    }
}

/// Names of other machines are data: no control character of theirs reaches a terminal.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

/// The table of `backends list`.
pub(super) fn backends(style: Style, backends: &[BackendView]) -> String {
    let mut table = style.table(["Name", "URL", "Type", "Status", "Models", "Latency", "Source"]);
    for backend in backends {
        table.add_row([
            Cell::new(clean(&backend.name)),
            Cell::new(clean(&backend.url)),
            Cell::new(clean(&backend.kind)),
            style.status(backend.status),
            Cell::new(backend.models.len()),
            Cell::new(backend.latency().map_or_else(|| "N/A".to_owned(), |latency| format!("{latency}ms"))),
            Cell::new(clean(&backend.tag())),
        ]);
    }
    style.draw(&table)
}

/// `2h 34m 12s`; units that are zero at the front are left out.
pub(super) fn uptime(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m {rest}s"),
        _ => format!("{hours}h {minutes}m {rest}s"),
    }
}

/// A short span, from milliseconds: `45ms`, `1.2s`, `3m 5s`.
pub(super) fn span(milliseconds: f64) -> String {
    match milliseconds {
        short if short < 10.0 => format!("{short:.1}ms"),
        short if short < 1000.0 => format!("{short:.0}ms"),
        middle if middle < 60_000.0 => format!("{:.1}s", middle / 1000.0),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "seconds of a long span, saturating"
        )]
        long => uptime((long / 1000.0) as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(json: serde_json::Value) -> BackendView {
        serde_json::from_value(json).expect("a backend")
    }

    #[test]
    fn backends_are_drawn_as_a_table() {
        let list = [
            view(serde_json::json!({
                "id": "local-ollama", "name": "local-ollama", "url": "http://localhost:11434", "type": "ollama",
                "backend_type": "ollama", "status": "healthy", "models": [{"id": "m"}], "avg_latency_ms": 12,
                "discovery_source": "static", "peer": "self", "zone": "restricted",
            })),
            view(serde_json::json!({
                "id": "gpu", "name": "gpu\u{1b}[31m", "url": "http://gpu:8000", "type": "vllm", "status": "sleeping",
                "avg_latency_ms": null, "discovery_source": "mdns", "peer": "attic",
            })),
        ];
        insta::assert_snapshot!(backends(Style::plain(), &list), @r"
        ┌──────────────┬────────────────────────┬────────┬───────────┬────────┬─────────┬──────────────┐
        │ Name         │ URL                    │ Type   │ Status    │ Models │ Latency │ Source       │
        ├──────────────┼────────────────────────┼────────┼───────────┼────────┼─────────┼──────────────┤
        │ local-ollama │ http://localhost:11434 │ ollama │ ✓ Healthy │ 1      │ 12ms    │ [static]     │
        │ gpu�[31m     │ http://gpu:8000        │ vllm   │ ? Unknown │ 0      │ N/A     │ [peer:attic] │
        └──────────────┴────────────────────────┴────────┴───────────┴────────┴─────────┴──────────────┘
        ");
        insta::assert_snapshot!(backends(Style::plain(), &[]), @r"
        ┌──────┬─────┬──────┬────────┬────────┬─────────┬────────┐
        │ Name │ URL │ Type │ Status │ Models │ Latency │ Source │
        ├──────┼─────┼──────┼────────┼────────┼─────────┼────────┤
        └──────┴─────┴──────┴────────┴────────┴─────────┴────────┘
        ");
    }

    #[test]
    fn colour_is_for_terminals_only() {
        let list = [view(serde_json::json!({"id": "a", "name": "a", "status": "healthy"}))];
        assert!(!backends(Style::plain(), &list).contains('\u{1b}'));
        assert!(backends(Style { colour: true, fit: false }, &list).contains('\u{1b}'));
    }

    #[test]
    fn spans_are_short() {
        for (seconds, text) in [(0, "0s"), (61, "1m 1s"), (9252, "2h 34m 12s"), (360_000, "100h 0m 0s")] {
            assert_eq!(uptime(seconds), text);
        }
        for (milliseconds, text) in [(0.25, "0.2ms"), (45.4, "45ms"), (1250.0, "1.2s"), (185_000.0, "3m 5s")] {
            assert_eq!(span(milliseconds), text);
        }
    }
}

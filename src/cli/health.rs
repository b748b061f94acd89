//! `nexus health`: how a running peer and its own backends are. It exits 0 whenever the peer answers: whether its
//! backends do is what it says, not what it returns.

use std::fmt::Write;

use clap::{Args, ValueEnum};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::client::Client;
use super::render::{self, BackendView, clean, icon, word};
use super::{ConfigFile, print};

/// Show how a running peer and its backends are.
///
/// Exits 0 if the peer answers, and 1 if it does not: fit for a container's health check.
#[derive(Debug, Args)]
pub(super) struct Health {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// How to print
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text, conflicts_with = "json")]
    format: Format,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// `GET /health`.
#[derive(Deserialize)]
struct State {
    status: String,
    #[serde(default)]
    version: String,
    uptime_seconds: u64,
    backends: Counts,
    models: u64,
}

#[derive(Deserialize)]
struct Counts {
    total: u64,
    healthy: u64,
    unhealthy: u64,
}

#[derive(Deserialize)]
struct Listing {
    backends: Vec<BackendView>,
}

impl Health {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let client = Client::find(self.config.path.as_deref())?;
        let state: State = client.get("/health").await?;
        let Listing { mut backends } = client.get("/nexus/v1/backends").await?;
        backends.retain(BackendView::is_here);
        let text = if self.json || self.format == Format::Json {
            serde_json::to_string_pretty(&as_json(&state, &backends))? + "\n"
        } else {
            as_text(&state, &backends)
        };
        Ok(print(&text)?)
    }
}

fn as_text(state: &State, backends: &[BackendView]) -> String {
    let mut initial = state.status.chars();
    let status: String = initial.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(initial).collect();
    let mut text = format!(
        "System Health: {}\nVersion: {}\nUptime: {}\nBackends: {}/{} healthy\nModels: {} available\n",
        clean(&status),
        clean(&state.version),
        render::uptime(state.uptime_seconds),
        state.backends.healthy,
        state.backends.total,
        state.models,
    );
    if !backends.is_empty() {
        text.push_str("\nBackends:\n");
    }
    for backend in backends {
        // Writing to a String does not fail.
        let _ = writeln!(text, "  {} {} ({})", icon(backend.status), clean(&backend.name), word(backend.status));
        let checked =
            backend.last_check_seconds_ago.map_or("never".to_owned(), |ago| format!("{} ago", render::uptime(ago)));
        let _ = writeln!(text, "    Last check: {checked}");
        let latency = backend.latency().map_or("N/A".to_owned(), |latency| format!("{latency}ms"));
        let _ = writeln!(text, "    Response time: {latency}");
        if let Some(error) = &backend.last_error {
            let _ = writeln!(text, "    Last error: {}", clean(error));
        }
    }
    text
}

fn as_json(state: &State, backends: &[BackendView]) -> Json {
    let detail = |backend: &BackendView| {
        json!({
            "name": backend.name,
            "status": backend.status.as_str(),
            "models": backend.models.len(),
            "avg_latency_ms": backend.avg_latency_ms,
            "pending_requests": backend.pending_requests,
        })
    };
    json!({
        "status": state.status,
        "version": state.version,
        "uptime_seconds": state.uptime_seconds,
        "backends": {
            "total": state.backends.total,
            "healthy": state.backends.healthy,
            "unhealthy": state.backends.unhealthy,
        },
        "models": { "total": state.models },
        "backend_details": backends.iter().map(detail).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> (State, Vec<BackendView>) {
        let state = json!({"status": "degraded", "version": "0.1.0", "uptime_seconds": 9252, "models": 4,
            "backends": {"total": 2, "healthy": 1, "unhealthy": 1}, "mesh": {}});
        let backends = json!([
            {"id": "a", "name": "a", "status": "healthy", "avg_latency_ms": 45, "last_check_seconds_ago": 2},
            {"id": "b", "name": "b", "status": "unhealthy", "last_error": "cannot connect"},
        ]);
        (serde_json::from_value(state).expect("a state"), serde_json::from_value(backends).expect("backends"))
    }

    #[test]
    fn health_is_told_in_words() {
        let (state, backends) = example();
        insta::assert_snapshot!(as_text(&state, &backends), @r"
        System Health: Degraded
        Version: 0.1.0
        Uptime: 2h 34m 12s
        Backends: 1/2 healthy
        Models: 4 available

        Backends:
          ✓ a (Healthy)
            Last check: 2s ago
            Response time: 45ms
          ✗ b (Unhealthy)
            Last check: never
            Response time: N/A
            Last error: cannot connect
        ");
    }

    #[test]
    fn health_is_told_in_json() {
        let (state, backends) = example();
        insta::assert_snapshot!(as_json(&state, &backends), @r#"{"status":"degraded","version":"0.1.0","uptime_seconds":9252,"backends":{"total":2,"healthy":1,"unhealthy":1},"models":{"total":4},"backend_details":[{"name":"a","status":"healthy","models":0,"avg_latency_ms":45,"pending_requests":0},{"name":"b","status":"unhealthy","models":0,"avg_latency_ms":null,"pending_requests":0}]}"#);
    }
}

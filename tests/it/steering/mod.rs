//! The hand on a running node: what is changed without a restart, from outside and from the file.

mod calls;
mod commands;
mod drain;
mod leaving;
mod peers;
mod reload;
mod settings;

use crate::support::Log;

/// The audit lines so far, as action, subject and peer.
pub(crate) fn audited(log: &Log) -> Vec<(String, String, String)> {
    let lines = log.lines().into_iter().filter(|line| line["target"] == "nexus::audit");
    let text = |line: &serde_json::Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    lines.map(|line| (text(&line, "action"), text(&line, "subject"), text(&line, "peer"))).collect()
}

//! `nexus mesh events`: what happens in the mesh, as it happens, as the peer of this machine sees it.

use clap::Args;
use http_body_util::BodyExt;
use serde_json::Value as Json;

use crate::cli::client::Client;
use crate::cli::render::clean;
use crate::cli::signals::Stop;
use crate::cli::{ConfigFile, print};

/// Follow what happens in the mesh: who comes and goes, falls ill and is well again, what money and keys do.
///
/// Ends on Ctrl-C with 0, and when the peer goes with 1.
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Print one JSON object in each line
    #[arg(long)]
    json: bool,
    /// So many of the last events first
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(0..=256))]
    last: u16,
    #[command(flatten)]
    config: ConfigFile,
}

impl Events {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut stop = Stop::listen()?;
        let client = Client::find(self.config.path.as_deref())?;
        let path = format!("/nexus/v1/events?follow=true&limit={}", self.last);
        let (mut body, place) = client.follow(&path).await?;
        let mut lines = Lines::default();
        loop {
            let frame = tokio::select! {
                biased;
                () = stop.asked() => return Ok(()),
                frame = body.frame() => frame,
            };
            let Some(Ok(frame)) = frame else {
                anyhow::bail!("nexus at {place} has stopped, or cannot be reached any more")
            };
            for data in lines.push(frame.data_ref().map_or(&[], |data| &data[..])) {
                print(&if self.json { data + "\n" } else { told(&data) })?;
            }
        }
    }
}

/// Bytes of a line that has no end are given up after this.
const MOST_LINE: usize = 64 << 10;

/// The data of a stream of events, line by line. Ours has one line for each.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        self.0.extend_from_slice(bytes);
        let mut data = Vec::new();
        while let Some(end) = self.0.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.0.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            data.extend(line.trim_end().strip_prefix("data:").map(|data| data.trim_start().to_owned()));
        }
        if self.0.len() > MOST_LINE {
            self.0.clear();
        }
        data
    }
}

/// One event for people.
fn told(data: &str) -> String {
    let event: Json = serde_json::from_str(data).unwrap_or_default();
    let text = |key: &str| clean(event[key].as_str().unwrap_or_default());
    let at = text("at");
    let at = at.get(..19).map_or(at.as_str(), |seconds| seconds).replace('T', " ");
    format!("{at:19}  {:18}  {}\n", text("kind"), text("message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let stream =
            ": events\n\nid: 1-1\ndata: {\"kind\":\"peer_joined\",\"message\":\"é\"}\n\n:\n\ndata: {}\n\n".as_bytes();
        let mut lines = Lines::default();
        let read: Vec<String> = stream.iter().flat_map(|byte| lines.push(&[*byte])).collect();
        assert_eq!(read, ["{\"kind\":\"peer_joined\",\"message\":\"é\"}", "{}"]);
        assert_eq!(Lines::default().push(stream), read);
    }

    #[test]
    fn an_event_is_a_line_and_hostile_names_are_no_commands() {
        let event = r#"{"at":"2026-11-21T06:00:00.123Z","kind":"peer_joined","message":"Peer 'a\u001b[2J' joined"}"#;
        let line = told(event);
        assert!(line.starts_with("2026-11-21 06:00:00  peer_joined "), "{line}");
        assert!(!line.contains('\u{1b}') && line.ends_with("joined\n"), "{line:?}");
    }
}

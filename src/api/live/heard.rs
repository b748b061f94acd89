//! What has been heard of requests of other peers: which ends are news.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::gateway::State;

/// For how long an end is remembered that nobody tells any more: its peer may come back.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Ends that are remembered at most, besides those that are told.
const MOST: usize = 16_384;

/// The ends that have been heard of.
#[derive(Default)]
pub(super) struct Heard {
    /// By the id of the request, when it was told last.
    ends: BTreeMap<String, Instant>,
    /// The peers that have told once. What one tells at first is old.
    peers: BTreeSet<String>,
}

impl Heard {
    /// Those of `lines` that have ended since the last time, oldest first; `told` are the peers that were heard.
    pub(super) fn news(&mut self, told: &BTreeSet<String>, lines: &[Arc<Value>], now: Instant) -> Vec<Arc<Value>> {
        let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let mut news = Vec::new();
        for line in lines.iter().rev().filter(|line| State::is_word_of_end(&text(line, "state"))) {
            let is_new = self.ends.insert(text(line, "id"), now).is_none();
            if is_new && self.peers.contains(&text(line, "told_by")) {
                news.push(line.clone());
            }
        }
        self.peers.extend(told.iter().cloned());
        let longest = if self.ends.len() > MOST { Duration::ZERO } else { REMEMBERED };
        self.ends.retain(|_, at| now.saturating_duration_since(*at) <= longest);
        news
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(id: &str, told_by: &str, state: &str) -> Arc<Value> {
        Arc::new(json!({ "id": id, "told_by": told_by, "state": state }))
    }

    #[test]
    fn an_end_is_news_once() {
        let (mut heard, now) = (Heard::default(), Instant::now());
        let mut news = |told: &[&str], lines: &[Arc<Value>]| -> Vec<String> {
            let told = told.iter().map(|name| (*name).to_owned()).collect();
            let news = heard.news(&told, lines, now);
            news.iter().map(|line| line["id"].as_str().expect("an id").to_owned()).collect()
        };
        let old = line("old", "a", "done");
        assert!(news(&["a", "b"], std::slice::from_ref(&old)).is_empty(), "what was over before is no news");
        let live = line("r", "b", "streaming");
        assert!(news(&["a", "b"], &[live, old.clone()]).is_empty());
        let ended = line("r", "b", "failed");
        let other = line("q", "a", "done");
        let all = [other, ended.clone(), old];
        assert_eq!(news(&["a", "b"], &all), ["r", "q"], "oldest first");
        assert!(news(&["a", "b"], &all).is_empty());
        assert!(news(&["b"], &[ended]).is_empty());
        assert!(news(&["a", "b"], &all).is_empty(), "who comes back tells nothing anew");
        assert!(news(&["a", "b", "c"], &[line("of c", "c", "done")]).is_empty(), "nor who comes");
        assert_eq!(news(&["a", "b", "c"], &[line("of c too", "c", "done")]), ["of c too"]);
    }
}

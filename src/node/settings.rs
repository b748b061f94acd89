//! Changes that managers make in the configuration file: done in its text, checked whole as at a start, written in one piece
//! and taken up. A file that somebody else has changed since it was looked at stays as it is.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;

use super::reload::{Reload, etag};
use crate::api::{Declined, Edit, Reloaded, Settings};
use crate::config::{ChangeError, Config, MOST_KEYS, changed, differing, replace};
use crate::mesh::Membership;
use crate::route::{self, turned};

/// States of the file that are remembered, so that it can be told what has changed since one of them was seen.
const STATES: usize = 16;

/// The settings of this node.
pub(super) struct Steward {
    pub(super) reload: Arc<Reload>,
    shown: Mutex<VecDeque<(String, String)>>,
    /// One writes at a time; what only looks does not wait for the disk.
    writing: tokio::sync::Mutex<()>,
}

impl Steward {
    pub(super) fn new(reload: Arc<Reload>) -> Self {
        Steward { reload, shown: Mutex::default(), writing: tokio::sync::Mutex::default() }
    }

    /// Remembers a state of the file that somebody was shown.
    fn remember(&self, text: Option<&str>) {
        let Some(text) = text else { return };
        let tag = etag(text);
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.iter().all(|(known, _)| *known != tag) {
            shown.push_back((tag, text.to_owned()));
            while shown.len() > STATES {
                shown.pop_front();
            }
        }
    }

    /// What has changed since `seen`, for people.
    fn since(&self, seen: &str, text: &str) -> String {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let old = shown.iter().find(|(tag, _)| tag == seen).map(|(_, text)| text.clone());
        drop(shown);
        let read = |text: &str| toml::from_str::<Config>(text).ok();
        let keys = match (old.as_deref().and_then(read), read(text)) {
            (Some(old), Some(new)) => named(&old, &new),
            _ => Vec::new(),
        };
        let file = self.reload.file().display();
        let what = if keys.is_empty() { String::new() } else { format!(": {}", keys.join(", ")) };
        format!("{file} was changed by somebody else since you looked at it{what}. Look again, then change it")
    }

    async fn change(&self, edit: Edit, seen: Option<String>, dry_run: bool) -> Result<Reloaded, Declined> {
        let file = self.reload.file();
        let _alone = self.writing.lock().await;
        let text = self.reload.text().map_err(Declined::NoFile)?.ok_or_else(|| {
            Declined::NoFile(
                "there is no configuration file to write this into: `nexus config init` makes one; start the peer with it \
                 (-c FILE)"
                    .to_owned(),
            )
        })?;
        if let Some(seen) = seen.filter(|seen| *seen != etag(&text)) {
            return Err(Declined::Outdated(self.since(&seen, &text)));
        }
        let after = changed(&text, &edit).map_err(|error| match error {
            ChangeError::Absent(_) => Declined::Unknown(error.to_string()),
            ChangeError::Taken(_) | ChangeError::Form(_) => Declined::Wrong(error.to_string()),
        })?;
        let foreseen = self.reload.take_up(&mut self.reload.lock(), after.clone(), true)?;
        self.writable()?;
        if dry_run || after == text {
            return Ok(Reloaded { dry_run, ..foreseen });
        }
        let (path, text_after) = (file.to_owned(), after.clone());
        // A disk may take its time; requests do not wait behind it.
        let replaced = tokio::task::spawn_blocking(move || replace(&path, &text_after)).await;
        let replaced = replaced.unwrap_or_else(|error| Err(io::Error::other(error)));
        replaced.map_err(|error| read_only(file, &error.to_string()))?;
        self.reload.take_up(&mut self.reload.lock(), after, false)?;
        self.remember(Some(&text));
        // Whoever watches the file may have taken it up first, and would be told that nothing has changed.
        Ok(Reloaded { dry_run: false, ..foreseen })
    }

    fn writable(&self) -> Result<(), Declined> {
        let file = self.reload.file();
        let is_read_only = fs::metadata(file).is_ok_and(|about| about.permissions().readonly());
        if is_read_only { Err(read_only(file, "it is read-only")) } else { Ok(()) }
    }
}

impl Settings for Steward {
    fn reload(&self, dry_run: bool) -> Result<Reloaded, Declined> {
        self.reload.read_again(dry_run)
    }

    fn routing(&self) -> (Arc<route::Config>, Option<String>) {
        self.remember(self.reload.lock().text().as_deref());
        self.reload.routing_now()
    }

    fn overruled(&self, membership: &Membership) -> Vec<String> {
        let wins = |variable: &str| {
            format!(
                "{variable} is set in the environment of this peer to something else, which wins over its configuration file at \
                 the next start: change it there, or unset it."
            )
        };
        self.reload.overruling(membership).into_iter().map(wins).collect()
    }

    fn rejected(&self) -> Option<String> {
        self.reload.lock().rejected()
    }

    fn write(&self, edit: Edit, seen: Option<String>, dry_run: bool) -> BoxFuture<'_, Result<Reloaded, Declined>> {
        Box::pin(self.change(edit, seen, dry_run))
    }
}

fn read_only(file: &Path, why: &str) -> Declined {
    let file = file.display();
    Declined::NoFile(format!("cannot write {file}: {why}. Let this peer write it, or change it there by hand"))
}

/// The keys that differ, with each policy by its pattern.
fn named(old: &Config, new: &Config) -> Vec<String> {
    let mut keys = differing(old, new);
    let policies = turned(&old.routing.policies, &new.routing.policies);
    // Where only their order is another, no pattern says so.
    keys.retain(|key| key != POLICIES || policies.is_empty());
    keys.extend(policies.iter().map(|turned| format!("{POLICIES}.{}", turned.pattern)));
    keys.truncate(MOST_KEYS);
    keys
}

const POLICIES: &str = "routing.policies";

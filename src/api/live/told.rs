//! What is told to those who follow, as JSON. No message is longer than 10 KB: what is longer goes as several of the same
//! kind, and nothing is left out.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::Looked;
use crate::api::View;
use crate::api::backends::BackendView;
use crate::exchange::text;
use crate::fleet::{Model, PeerId, PeerState, Status};
use crate::gateway::History;
use crate::mesh::{Mesh, Peer};

/// The longest message, in bytes.
pub(super) const MOST: usize = 10 << 10;

/// What stands around a part of it, at most.
const AROUND: usize = 2_560;

/// Of the models of a backend, what its status shows, in bytes; all of them are told by themselves.
const MOST_MODELS: usize = 2 << 10;

/// Characters of a name or an error.
const MOST_CHARACTERS: usize = 200;

/// A backend: the peer that owns it, where that is another one, and its name. Two peers may be called alike.
pub(super) type Named = (Option<PeerId>, String);

/// How a backend stands.
pub(super) struct Standing {
    /// The peer that owns it, where that is another one.
    pub(super) owner: Option<Owner>,
    /// An entry of `BackendStatus`.
    pub(super) status: String,
    /// Entries of `ModelChange`.
    pub(super) models: Vec<String>,
}

/// A peer as it is told.
#[derive(Clone)]
pub(super) struct Owner {
    id: String,
    name: String,
}

impl Owner {
    fn of(peer: &Peer) -> Self {
        Owner { id: peer.id.to_string(), name: cut(&peer.name).to_owned() }
    }

    /// Members of the JSON of what is its.
    fn members(&self) -> [(&'static str, &str); 2] {
        [("peer", &self.name), ("peer_id", &self.id)]
    }
}

/// This peer's backends. `began` is one moment by both clocks.
pub(super) fn own(view: &View, began: (Instant, Duration)) -> Looked {
    let snapshot = view.registry.snapshot();
    let standing = |entry: &std::sync::Arc<crate::registry::Entry>| {
        let (facts, condition) = (entry.facts(), entry.condition());
        let mut told = json!(BackendView::own(entry));
        told["last_health_check"] = condition.checked_at.map(|at| stamp(at, began)).into();
        ((None, facts.about.name.clone()), Standing::new(told, facts.about.status, &facts.models, None))
    };
    snapshot.entries.iter().map(standing).collect()
}

/// Those of the other peers, as far as they are alive.
pub(super) fn others(mesh: &Mesh) -> Looked {
    let (peers, now, config) = (mesh.peers(), Instant::now(), mesh.config());
    let mut looked = Looked::new();
    for peer in peers.list.iter().filter(|peer| peer.state(now, config) != PeerState::Dead) {
        for backend in &peer.backends {
            let facts = backend.facts(now);
            let told = json!(BackendView::of_peer(&facts, peer));
            let named = (Some(peer.id.clone()), facts.about.name.clone());
            looked.insert(named, Standing::new(told, facts.about.status, &facts.models, Some(Owner::of(peer))));
        }
    }
    looked
}

/// One that is there no more, as it stood last.
pub(super) fn gone(name: &str, last: &Standing) -> Standing {
    let name = cut(name);
    let mut told = json!({ "id": name, "name": name, "status": "Unknown", "removed": true, "models": [] });
    for (key, value) in last.owner.iter().flat_map(Owner::members) {
        told[key] = value.into();
    }
    Standing { owner: last.owner.clone(), status: told.to_string(), models: Vec::new() }
}

impl Standing {
    fn new(mut told: Value, status: Status, models: &[Model], owner: Option<Owner>) -> Self {
        let models: Vec<String> = models.iter().map(|model| of_model(model).to_string()).collect();
        let mut room = MOST_MODELS;
        let fits = |model: &&String| {
            let fits = model.len() < room;
            room = room.saturating_sub(model.len() + 1);
            fits
        };
        let shown: Vec<&str> = models.iter().take_while(fits).map(String::as_str).collect();
        told["models"] = serde_json::from_str(&format!("[{}]", shown.join(","))).unwrap_or_default();
        told["models_total"] = models.len().into();
        told["status"] = word(status).into();
        for key in ["id", "name", "url", "last_error"] {
            if let Some(text) = told[key].as_str() {
                told[key] = cut(text).into();
            }
        }
        if let Some(map) = told.as_object_mut() {
            // What changes with every second would be news with every look.
            map.shift_remove("last_check_seconds_ago");
            map.shift_remove("type");
            map.shift_remove("peer");
            for (key, value) in owner.iter().flat_map(Owner::members) {
                map.insert(key.to_owned(), value.into());
            }
        }
        let breakers = told["breakers"].as_array_mut().into_iter().flatten();
        for breaker in breakers.filter_map(Value::as_object_mut) {
            breaker.retain(|key, _| matches!(key.as_str(), "kind" | "state"));
        }
        Standing { owner, status: told.to_string(), models }
    }
}

/// `BackendStatus` of all of these.
pub(super) fn statuses<'a>(standings: impl Iterator<Item = &'a Standing>) -> Vec<String> {
    let parts = parts(standings.map(|standing| standing.status.as_str()));
    parts.into_iter().map(|part| format!(r#"{{"update_type":"BackendStatus","data":[{part}]}}"#)).collect()
}

/// `ModelChange` of one backend. Where it takes several messages, each says which of how many it is.
pub(super) fn models(name: &str, standing: &Standing) -> Vec<String> {
    let mut pages = parts(standing.models.iter().map(String::as_str));
    if pages.is_empty() {
        pages.push(String::new());
    }
    let of = pages.len();
    let told = |(at, page): (usize, String)| {
        let members = standing.owner.iter().flat_map(Owner::members);
        let peer: String = members.map(|(key, value)| format!(r#""{key}":{},"#, json!(value))).collect();
        let part = if of > 1 { format!(r#""part":{},"parts":{of},"#, at + 1) } else { String::new() };
        let id = json!(cut(name));
        format!(r#"{{"update_type":"ModelChange","data":{{"backend_id":{id},{peer}{part}"models":[{page}]}}}}"#)
    };
    pages.into_iter().enumerate().map(told).collect()
}

/// Appends `RequestComplete`.
pub(super) fn complete<T: AsRef<str>>(entry: &History<T>, to: &mut String) {
    let begin = to.len();
    push_complete(entry, to);
    // Names and errors may be of characters that take six bytes each.
    if to.len() - begin > MOST {
        to.truncate(begin);
        push_complete(&entry.shortened(MOST_CHARACTERS), to);
    }
}

fn push_complete<T: AsRef<str>>(entry: &History<T>, to: &mut String) {
    to.push_str(r#"{"update_type":"RequestComplete","data":"#);
    entry.push(to);
    to.push('}');
}

/// As many of these together as go into one message, with commas between them.
fn parts<'a>(entries: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for entry in entries {
        match parts.last_mut() {
            Some(part) if part.len() + entry.len() + AROUND < MOST => {
                part.push(',');
                part.push_str(entry);
            }
            _ => parts.push(entry.to_owned()),
        }
    }
    parts
}

fn of_model(model: &Model) -> Value {
    json!({
        "id": cut(&model.id),
        "name": cut(&model.id),
        "context_length": model.context_length.unwrap_or(Model::DISPLAY_CONTEXT),
        "supports_vision": model.vision.is_yes(),
        "supports_tools": model.tools.is_yes(),
        "supports_json_mode": model.json_mode.is_yes(),
        "max_output_tokens": model.max_output_tokens,
    })
}

/// Other words than those of lists: dashboards know these.
fn word(status: Status) -> &'static str {
    match status {
        Status::Healthy => "Healthy",
        Status::Unhealthy => "Unhealthy",
        Status::Draining => "Draining",
        Status::Unknown | Status::Unrecognised => "Unknown",
    }
}

/// A moment of the one clock by the other, RFC 3339.
fn stamp(at: Instant, (began, wall): (Instant, Duration)) -> String {
    let since = wall.saturating_add(at.saturating_duration_since(began));
    let moment = i64::try_from(since.as_secs()).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    moment.unwrap_or_default().to_string()
}

fn cut(text: &str) -> &str {
    text::cut(text, MOST_CHARACTERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Large fleets once got no updates at all: what was longer than 10 KB was dropped.
    #[test]
    fn what_is_long_goes_as_several_messages_and_nothing_is_left_out() {
        let models: Vec<Model> =
            (0..500).map(|number| Model::named(format!("m{number}\u{1}{}", "é\"".repeat(500)))).collect();
        let owner = Owner { id: "i".repeat(52), name: cut(&"p\u{1}".repeat(1_000)).to_owned() };
        let name = "</script>".repeat(1_000);
        let told = json!({ "name": name, "id": name, "url": "x".repeat(9_000), "breakers": [], "last_error": null });
        let standing = Standing::new(told, Status::Healthy, &models, Some(owner));
        let statuses = statuses([&standing, &standing].into_iter());
        let of_models = super::models(&name, &standing);
        assert!(statuses.iter().chain(&of_models).all(|message| message.len() <= MOST), "no message is too long");
        let mut seen = Vec::new();
        for (at, message) in of_models.iter().enumerate() {
            let message: Value = serde_json::from_str(message).expect("JSON");
            assert_eq!(
                (&message["data"]["part"], &message["data"]["parts"]),
                (&json!(at + 1), &json!(of_models.len()))
            );
            seen.extend(message["data"]["models"].as_array().expect("models").iter().map(|one| one["id"].to_string()));
        }
        let expected: Vec<String> = models.iter().map(|model| json!(cut(&model.id)).to_string()).collect();
        assert_eq!(seen, expected);
        let told: Value = serde_json::from_str(&statuses[0]).expect("JSON");
        assert_eq!(told["data"][0]["models_total"], 500);
    }

    #[test]
    fn an_end_of_a_request_is_no_longer_than_that_whatever_another_peer_says() {
        let long = "\u{1}".repeat(10_000);
        let told = json!({
            "timestamp": u64::MAX, "model": long, "backend_id": long, "duration_ms": u64::MAX, "status": long,
            "error_message": long, "request_id": "r".repeat(128), "origin": long, "entry": long, "peer": long,
        });
        let mut message = "before".to_owned();
        complete(&History::of_entry(&told).expect("an entry"), &mut message);
        let message = message.strip_prefix("before").expect("what was there stays");
        assert!(message.len() <= MOST, "{}", message.len());
        let told: Value = serde_json::from_str(message).expect("JSON");
        assert_eq!(told["data"]["error_message"].as_str().map(str::len), Some(MOST_CHARACTERS));
    }

    #[test]
    fn a_backend_without_models_says_so() {
        let standing = Standing { owner: None, status: String::new(), models: Vec::new() };
        let told = super::models("gpu", &standing);
        assert_eq!(told, [r#"{"update_type":"ModelChange","data":{"backend_id":"gpu","models":[]}}"#]);
    }
}

//! Requests as rows: those under way with their way through the mesh, the last that ended, and what went wrong of late with what
//! to do. They are told as the interface tells them; what is missing there is a dash here.

use std::sync::Arc;

use serde_json::Value;

use super::rows::{Cut, Standing};
use super::words::{NOTHING, Name, escaped, millis, or_dash};

/// Errors that are shown.
const ERRORS_SHOWN: usize = 8;

/// One request.
#[derive(Clone, Debug)]
pub struct RequestRow {
    /// Where its decision is told; empty where this peer is not told it.
    pub href: String,
    /// Its id.
    pub id: Name,
    /// How far it is.
    pub standing: Standing,
    /// The model that was asked for.
    pub model: Name,
    /// The one that serves, where that is another.
    pub served: Option<Name>,
    /// The peer that was asked, the one that owns the backend where that is another, and the backend.
    pub way: Vec<Name>,
    /// From its coming to its end, or to now.
    pub elapsed: String,
    /// To the first byte.
    pub first_byte: String,
    /// Of prompt and answer.
    pub tokens: String,
    /// The HTTP status.
    pub status: String,
}

/// A request that went wrong.
#[derive(Clone, Debug)]
pub struct ErrorRow {
    /// Where its decision is told; empty where this peer is not told it.
    pub href: String,
    /// The peer that was asked.
    pub entry: Name,
    /// The model that was asked for.
    pub model: Name,
    /// The HTTP status.
    pub status: String,
    /// What went wrong.
    pub error: Name,
    /// What to do.
    pub advice: &'static str,
    /// When it came.
    pub since: String,
}

/// How far a request is, in the words of the interface.
pub(super) fn standing(state: &str) -> Standing {
    let (word, class) = match state {
        "waiting" => ("waiting", "waning"),
        "trying" => ("trying", "plain"),
        "streaming" => ("streaming", "good"),
        "done" => ("done", "good"),
        "failed" => ("failed", "bad"),
        "refused" => ("refused", "away"),
        _ => ("unknown", "plain"),
    };
    Standing { word, class }
}

/// The first `limit` of `lines`.
pub(super) fn rows(lines: &[Arc<Value>], limit: usize) -> Cut<RequestRow> {
    Cut::of(lines, limit, |line| row(line))
}

pub(super) fn row(line: &Value) -> RequestRow {
    let text = |key: &str| line[key].as_str().unwrap_or_default();
    let ms = |key: &str| or_dash(line[key].as_u64().map(millis));
    let served = line["served_model"].as_str().filter(|served| *served != text("model"));
    let (prompt, completion) = (line["tokens_prompt"].as_u64(), line["tokens_completion"].as_u64());
    RequestRow {
        href: href_of(line),
        id: Name::of(text("id")),
        standing: standing(text("state")),
        model: Name::of(text("model")),
        served: served.map(Name::of),
        way: way(line),
        elapsed: ms("elapsed_ms"),
        first_byte: ms("first_byte_ms"),
        tokens: prompt
            .zip(completion)
            .map_or_else(|| NOTHING.to_owned(), |(prompt, answer)| format!("{prompt} + {answer}")),
        status: or_dash(line["status_code"].as_u64().map(|status| status.to_string())),
    }
}

/// Where it went, each place once.
fn way(line: &Value) -> Vec<Name> {
    let mut way: Vec<Name> = Vec::new();
    for key in ["entry", "peer", "backend"] {
        let Some(place) = line[key].as_str() else { continue };
        // A backend may be called as its peer is; two peers in a row are one.
        let is_same = key == "peer" && way.last().is_some_and(|last| last.whole == place);
        if !is_same {
            way.push(Name::within(place, 32));
        }
    }
    way
}

/// In an open mesh the decision of other peers is told by them alone.
fn href_of(line: &Value) -> String {
    if line["decided_here"] == false { String::new() } else { href(line["id"].as_str().unwrap_or_default()) }
}

pub(super) fn href(id: &str) -> String {
    format!("/requests/{}", escaped(id))
}

/// Those of `lines` that went wrong.
pub(super) fn errors(lines: &[Arc<Value>]) -> Cut<ErrorRow> {
    let failed: Vec<&Arc<Value>> = lines.iter().filter(|line| line["error"].is_string()).collect();
    Cut::of(&failed, ERRORS_SHOWN, |line| ErrorRow {
        href: href_of(line),
        entry: Name::within(line["entry"].as_str().unwrap_or_default(), 32),
        model: Name::of(line["model"].as_str().unwrap_or_default()),
        status: or_dash(line["status_code"].as_u64().map(|status| status.to_string())),
        error: Name::within(line["error"].as_str().unwrap_or_default(), 200),
        advice: advice(line["error_type"].as_str().unwrap_or_default()),
        since: clock(line["since"].as_str().unwrap_or_default()),
    })
}

/// The time of day of a stamp, in UTC.
pub(super) fn clock(stamp: &str) -> String {
    stamp.get(11..19).map_or_else(|| NOTHING.to_owned(), |time| format!("{time} UTC"))
}

fn advice(kind: &str) -> &'static str {
    match kind {
        "bad_request" => "The client has to change its request.",
        "overloaded" | "queued" => "More slots, another backend with this model, or fewer requests at once.",
        "forbidden" => "Its key may not use this model: see Keys.",
        "rate_limited" => "A limit in a minute was reached: wait, or raise it.",
        "draining" => "The peer takes no more: ask another one.",
        "capability_mismatch" => "No backend of this model can do what was asked.",
        "no_healthy_backend" => "See what is wrong with the backends that have this model.",
        "routing_rejected" => "A policy or the budget forbids every place: the decision says which.",
        "model_not_found" => "Nobody has this model: see Models for its name, or load it.",
        "timeout" => "The backend was too slow: see its card.",
        "client_left" => "Nothing: the client closed its connection.",
        "backend_error" => "The log of the backend's own server says more.",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_way_names_every_place_once() {
        let names = |line: &Value| way(line).into_iter().map(|name| name.short).collect::<Vec<_>>();
        assert_eq!(names(&json!({"entry": "a", "peer": "a", "backend": "gpu"})), ["a", "gpu"]);
        assert_eq!(names(&json!({"entry": "a", "peer": "b", "backend": "b"})), ["a", "b", "b"]);
        assert_eq!(names(&json!({"entry": "a", "peer": null, "backend": null})), ["a"]);
    }

    #[test]
    fn what_is_not_told_is_a_dash() {
        let row = row(&json!({"id": "a/b?c", "state": "strange"}));
        assert_eq!((row.href.as_str(), row.standing.word, row.elapsed.as_str()), ("/requests/a/b%3Fc", "unknown", "–"));
        assert_eq!(super::row(&json!({"id": "a", "decided_here": false})).href, "");
        assert_eq!(clock("2026-11-21T07:00:01.5Z"), "07:00:01 UTC");
    }
}

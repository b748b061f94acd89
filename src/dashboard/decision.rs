//! How one request was decided: candidates, verdicts, terms, attempts and timings, at its entry and at the owner of the backend.

use serde_json::Value;

use super::requests::{self, RequestRow};
use super::words::{NOTHING, Name, millis, or_dash};

/// Candidates of one peer that are shown.
const CANDIDATES_SHOWN: usize = 100;

/// The decision, at both peers.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The request.
    pub request: RequestRow,
    /// When it came.
    pub since: String,
    /// What went wrong with it.
    pub error: Option<Name>,
    /// Why the other peer says nothing.
    pub missing: Option<Name>,
    /// What each peer decided: the entry first.
    pub parts: Vec<Part>,
}

/// What one peer decided.
#[derive(Clone, Debug)]
pub struct Part {
    /// `Entry`, `Owner` or `Entry and owner`.
    pub role: &'static str,
    /// The peer.
    pub peer: Name,
    /// What it went by, a label and a value each.
    pub facts: Vec<(&'static str, String)>,
    /// Who was tried.
    pub attempts: Vec<Attempt>,
    /// Who might have been.
    pub candidates: Vec<CandidateRow>,
    /// How many more there were.
    pub left_out: u64,
}

/// One attempt.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Where.
    pub place: Place,
    /// When it began.
    pub at: String,
    /// How long it took to the first byte, or to nothing.
    pub took: String,
    /// What came of it.
    pub result: Name,
    /// Why nothing did.
    pub reason: Name,
}

/// One candidate.
#[derive(Clone, Debug)]
pub struct CandidateRow {
    /// Where.
    pub place: Place,
    /// Whether it was kept.
    pub kept: bool,
    /// Its rank, or the rule that rejected it.
    pub verdict: Name,
    /// Why it was rejected, and what to do about it.
    pub reason: Name,
    /// What its rank went by.
    pub terms: Vec<(String, String)>,
    /// How old the news of it were.
    pub age: String,
}

/// A model on a backend of a peer.
#[derive(Clone, Debug)]
pub struct Place {
    /// The peer.
    pub peer: Name,
    /// The backend.
    pub backend: Name,
    /// The model.
    pub model: Name,
}

impl Decision {
    /// What the interface tells of a request.
    pub fn of(told: &Value) -> Self {
        let (entry, owner) = (&told["entry"], &told["owner"]);
        let first = if entry.is_null() { owner } else { entry };
        let role = if owner.is_null() && told["missing"].is_null() { "Entry and owner" } else { "Entry" };
        let parts = [(role, entry), ("Owner", owner)];
        let missing = &told["missing"];
        Decision {
            request: requests::row(first),
            since: Name::of(first["since"].as_str().unwrap_or(NOTHING)).short,
            error: first["error"].as_str().map(|error| Name::within(error, 300)),
            missing: missing["reason"].as_str().map(|reason| {
                Name::within(&format!("{}: {reason}", missing["peer"].as_str().unwrap_or_default()), 200)
            }),
            parts: parts.into_iter().filter(|(_, told)| !told.is_null()).map(|(role, told)| part(role, told)).collect(),
        }
    }
}

fn part(role: &'static str, told: &Value) -> Part {
    let list = |key: &str| told[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let shown = list("candidates").iter().take(CANDIDATES_SHOWN);
    let hidden = list("candidates").len().saturating_sub(CANDIDATES_SHOWN) as u64;
    Part {
        role,
        peer: Name::of(told["told_by"].as_str().unwrap_or(NOTHING)),
        facts: facts(told),
        attempts: list("attempts").iter().map(attempt).collect(),
        candidates: shown.map(candidate).collect(),
        left_out: hidden + told["candidates_left_out"].as_u64().unwrap_or(0),
    }
}

fn facts(told: &Value) -> Vec<(&'static str, String)> {
    let pairs = |value: &Value| {
        let steps = value.as_array().map(Vec::as_slice).unwrap_or_default();
        steps.iter().map(|step| [&step[0], &step[1]].map(said).join(" → ")).collect::<Vec<_>>().join(", ")
    };
    let names = |value: &Value| {
        value.as_array().map(|all| all.iter().map(said).collect::<Vec<_>>().join(", ")).unwrap_or_default()
    };
    let ms = |key: &str| told[key].as_u64().map(millis).unwrap_or_default();
    let all = [
        ("Aliases", pairs(&told["aliases"])),
        ("Fallbacks", names(&told["fallbacks"])),
        ("Strategy", said(&told["strategy"])),
        ("Zone demanded", said(&told["zone"])),
        ("Tier demanded", said(&told["tier"])),
        ("Reason", said(&told["route_reason"])),
        (
            "Planned",
            told["plans"].as_u64().filter(|plans| *plans > 1).map(|plans| format!("{plans} times")).unwrap_or_default(),
        ),
        ("Waited", ms("queued_ms")),
        ("First byte", ms("first_byte_ms")),
        ("In all", ms("elapsed_ms")),
    ];
    all.into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(label, value)| (label, Name::within(&value, 120).short))
        .collect()
}

fn attempt(told: &Value) -> Attempt {
    Attempt {
        place: place(told),
        at: or_dash(told["at_ms"].as_u64().map(began)),
        took: or_dash(told["took_ms"].as_u64().map(millis)),
        result: Name::of(&said(&told["result"])),
        reason: Name::within(&said(&told["reason"]), 300),
    }
}

fn began(ms: u64) -> String {
    if ms == 0 { "at once".to_owned() } else { format!("after {}", millis(ms)) }
}

fn candidate(told: &Value) -> CandidateRow {
    let kept = told["verdict"] == "kept";
    let verdict = if kept { format!("rank {}", told["rank"]) } else { format!("rejected by {}", said(&told["rule"])) };
    let reason = [said(&told["reason"]), said(&told["suggested_action"])];
    let reason = reason.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(". ");
    let terms = told["terms"].as_object().into_iter().flatten();
    let terms = terms.filter(|(_, value)| !value.is_null()).take(24);
    CandidateRow {
        place: place(told),
        kept,
        verdict: Name::of(&verdict),
        reason: Name::within(&reason, 400),
        terms: terms.map(|(name, value)| (Name::of(name).short, Name::of(&said(value)).short)).collect(),
        age: or_dash(told["fact_age_ms"].as_u64().map(millis)),
    }
}

fn place(told: &Value) -> Place {
    let name = |key: &str| Name::within(told[key].as_str().unwrap_or(NOTHING), 40);
    Place { peer: name("peer"), backend: name("backend"), model: name("model") }
}

/// A value in words; nothing where there is none.
fn said(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_peers_say_what_they_decided() {
        let part = |by: &str| {
            json!({"id": "r1", "state": "done", "told_by": by, "aliases": [["a", "b"]], "candidates": [
                {"peer": "p", "backend": "x", "model": "b", "verdict": "kept", "rank": 1, "terms": {"wait_ms": 3, "none": null}},
                {"peer": "p", "backend": "y", "model": "b", "verdict": "rejected", "rule": "zone", "reason": "too open"},
            ], "attempts": [{"peer": "p", "backend": "x", "model": "b", "at_ms": 2, "took_ms": 40, "result": "answered"}]})
        };
        let told = json!({"entry": part("near"), "owner": part("far"), "missing": null});
        let decision = Decision::of(&told);
        let roles: Vec<_> = decision.parts.iter().map(|part| (part.role, part.peer.short.as_str())).collect();
        assert_eq!(roles, [("Entry", "near"), ("Owner", "far")]);
        let first = &decision.parts[0];
        assert_eq!(first.facts, [("Aliases", "a → b".to_owned())]);
        assert_eq!(first.candidates[0].terms, [("wait_ms".to_owned(), "3".to_owned())]);
        assert_eq!(first.candidates[1].verdict.short, "rejected by zone");
        assert_eq!((first.attempts[0].at.as_str(), first.attempts[0].took.as_str()), ("after 2 ms", "40 ms"));
    }

    #[test]
    fn whatever_is_told_is_shown_somehow() {
        for told in [
            json!(null),
            json!({}),
            json!({"entry": {"candidates": 3, "attempts": [null]}, "missing": {"reason": "away"}}),
        ] {
            let _ = Decision::of(&told);
        }
    }
}

//! What has happened of late, as rows: newest first.

use serde_json::Value;

use super::requests::clock;
use super::rows::Cut;
use super::words::Name;

/// One event.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// Names it.
    pub id: Name,
    /// When it was seen.
    pub at: String,
    /// Its kind, for programs.
    pub kind: Name,
    /// What has happened.
    pub message: Name,
}

/// The longest message, in characters.
const LONGEST: usize = 240;

/// The last `limit` of `events`, which are oldest first.
pub(super) fn rows(events: &[Value], limit: usize) -> Cut<EventRow> {
    let newest: Vec<&Value> = events.iter().rev().collect();
    Cut::of(&newest, limit, |event| {
        let text = |key: &str| event[key].as_str().unwrap_or_default();
        EventRow {
            id: Name::of(text("id")),
            at: clock(text("at")),
            kind: Name::of(text("kind")),
            message: Name::within(text("message"), LONGEST),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_newest_is_first_and_what_is_missing_hurts_nobody() {
        let event = |id: &str| json!({"id": id, "at": "2026-11-21T07:00:01.5Z", "kind": "k", "message": "m"});
        let told = rows(&[event("1-1"), event("1-2"), json!({})], 2);
        assert_eq!((told.shown.len(), told.more), (2, 1));
        assert_eq!((told.shown[1].id.whole.as_str(), told.shown[1].at.as_str()), ("1-2", "07:00:01 UTC"));
    }
}

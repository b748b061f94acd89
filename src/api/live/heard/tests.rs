use serde_json::json;

use super::*;

fn key(entry: &str, id: &str) -> Key {
    (PeerId::from_text(entry), RequestId::from_outside(id).expect("fit"))
}

/// The end of a request of a client of `entry`; `teller` has told it.
fn end(entry: &str, id: &str, teller: &str) -> End {
    let told = json!({
        "timestamp": 1, "model": "m", "backend_id": "b", "duration_ms": 2, "status": "Success",
        "request_id": id, "entry": entry, "peer": teller,
    });
    End { key: key(entry, id), is_part: entry != teller, entry: History::of_entry(&told).expect("an entry") }
}

/// The peers that have told what is told.
fn tellers(news: impl IntoIterator<Item = History>) -> Vec<String> {
    news.into_iter().filter_map(|entry| entry.way?.peer).collect()
}

#[test]
fn two_peers_clients_may_choose_one_id_and_one_client_may_use_it_twice() {
    let (mut heard, now) = (Heard::default(), Instant::now());
    let ends = [end("a", "r", "a"), end("b", "r", "b"), end("a", "r", "a")];
    assert_eq!(tellers(ends.into_iter().filter_map(|end| heard.hear(end, false, now))), ["a", "b", "a"]);
}

#[test]
fn what_this_peer_has_a_part_in_is_told_once_whoever_is_first() {
    let (mut heard, now) = (Heard::default(), Instant::now());
    assert!(heard.own(key("a", "r")));
    assert!(heard.hear(end("a", "r", "a"), false, now).is_none());
    assert!(heard.hear(end("a", "q", "a"), false, now).is_some());
    assert!(!heard.own(key("a", "q")));
    // While its own part is under way, the other's word for it waits, and is told where no part comes of it.
    assert!(heard.hear(end("a", "s", "a"), true, now).is_none());
    assert!(heard.again(|_| true, now).is_empty());
    assert_eq!(tellers(heard.again(|_| false, now)), ["a"]);
    assert!(heard.hear(end("a", "t", "a"), true, now).is_none());
    assert!(heard.own(key("a", "t")));
    assert!(heard.again(|_| false, now).is_empty() && heard.holds_nothing());
}

#[test]
fn a_part_is_told_where_the_peer_that_its_client_asked_is_silent() {
    let (mut heard, now) = (Heard::default(), Instant::now());
    for id in ["q", "r", "s"] {
        assert!(heard.hear(end("a", id, "b"), true, now).is_none(), "it may tell yet");
    }
    assert!(heard.hear(end("a", "r", "c"), true, now).is_none());
    assert_eq!(tellers(heard.hear(end("a", "q", "a"), false, now)), ["a"]);
    assert_eq!(tellers(heard.again(|end| end.key.1.as_str() == "s", now)), ["b"], "it told of one and fell silent");
    assert_eq!(tellers(heard.hear(end("a", "t", "c"), false, now)), ["c"]);
    let late = ["q", "r", "t"].map(|id| end("a", id, "c"));
    assert!(late.into_iter().all(|end| heard.hear(end, false, now).is_none()));
    let back = ["r", "t"].map(|id| end("a", id, "a"));
    assert!(back.into_iter().all(|end| heard.hear(end, false, now).is_none()), "who comes back tells nothing anew");
    assert!(heard.again(|_| true, now + LONGEST_HELD / 2).is_empty());
    assert_eq!(
        tellers(heard.again(|_| true, now + LONGEST_HELD)),
        ["b"],
        "it answers, and knows nothing of the last one"
    );
    assert!(heard.holds_nothing(), "nothing waits for ever");
}

#[test]
fn what_is_remembered_and_what_waits_has_a_bound() {
    let (mut heard, now) = (Heard::default(), Instant::now());
    for number in 0..MOST + 10 {
        let id = number.to_string();
        assert!(heard.hear(end("a", &id, "a"), false, now).is_some());
        assert!(heard.hear(end("silent", &id, "b"), true, now).is_none());
    }
    assert_eq!((heard.marks.len(), heard.order.len(), heard.held.len()), (MOST, MOST, MOST_HELD));
    assert!(heard.hear(end("a", "last", "a"), true, now).is_some(), "no end is lost for want of room");
}

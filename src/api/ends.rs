//! Ends of this peer's requests, for another peer that follows them: in the order in which they ended, each once, a frame at a
//! time. Who follows is not known here: each question says how far the answers were heard.

use serde::Serialize;
use serde_json::Value;

use super::sums::MOST_BYTES;
use crate::exchange::{Ends, RequestId, Stand, Written};
use crate::fleet::PeerId;
use crate::gateway::{Gateway, History, Page, State};

/// Ends that are taken of one answer.
const MOST: usize = 1_024;

/// Characters of a peer's id, and more: whoever names a longer one names no peer.
const MOST_ID: usize = 64;

/// What a peer writes of a request.
#[derive(Serialize)]
struct Line<'a> {
    /// The peer that its client asked, where that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry_id: Option<&'a PeerId>,
    #[serde(flatten)]
    entry: History<&'a str>,
}

/// The end of a request, as one of the peers tells it that have a part in it.
#[derive(Debug)]
pub(super) struct End {
    /// The peer that its client asked, and its id. Clients choose ids: at two peers they may choose alike.
    pub(super) key: (PeerId, RequestId),
    /// Whether another peer than that tells of its own part.
    pub(super) is_part: bool,
    pub(super) entry: History,
}

/// What has ended behind `after`. This peer was started at `run`. Peers of an open mesh are not proven: of an error they are
/// told no more than its kind.
pub(super) fn told(gateway: &Gateway, keyed: bool, run: u64, after: Option<Stand>) -> Ends {
    let last = gateway.book().last_ended();
    let behind = begin(after, run, last);
    let pages = if behind < last { gateway.book().ended_since(behind) } else { Vec::new() };
    let lines = pages.iter().map(|page| (page.ordinal(), written(gateway, page, keyed)));
    as_many_as_fit(Stand { run, last: behind }, lines)
}

/// Behind which end the answer begins; the last one is `last`. Who asks for the first time is told what comes from now on. What
/// was told before this peer was started anew counts for nothing.
fn begin(after: Option<Stand>, run: u64, last: u64) -> u64 {
    match after {
        None => last,
        Some(stand) if stand.run == run && stand.last <= last => stand.last,
        Some(_) => 0,
    }
}

/// That a peer was refused is the end of no request.
fn written(gateway: &Gateway, page: &Page, keyed: bool) -> Option<Written> {
    if page.state() == State::Refused {
        return None;
    }
    let (entry_id, kind) = (page.from(), page.error_type());
    let line = |entry: History<&str>| {
        let error_message = if keyed { entry.error_message } else { kind };
        Written::new(&Line { entry_id, entry: History { error_message, ..entry } })
    };
    gateway.read_way(page, line)?
}

/// The first of `lines`, each with its ordinal. One for which no frame is long enough is left out.
fn as_many_as_fit(mut stand: Stand, lines: impl Iterator<Item = (u64, Option<Written>)>) -> Ends {
    let (mut told, mut room) = (Vec::new(), MOST_BYTES);
    for (ordinal, line) in lines {
        if let Some(line) = line.filter(|line| line.bytes() < MOST_BYTES) {
            let Some(left) = room.checked_sub(line.bytes() + 1) else { return Ends { told, stand, more: true } };
            room = left;
            told.push(line);
        }
        stand.last = ordinal;
    }
    Ends { told, stand, more: false }
}

/// What `peer` has told, as far as it makes sense.
pub(super) fn read(peer: &PeerId, told: &[Written]) -> Vec<End> {
    let end = |line: &Written| {
        let line: Value = line.read()?;
        let entry_id = line["entry_id"].as_str();
        if entry_id.is_some_and(|id| id.len() > MOST_ID) {
            return None;
        }
        let entry_id = entry_id.map(PeerId::from_text);
        let entry = History::of_entry(&line)?;
        let id = RequestId::from_outside(&entry.request_id)?;
        let is_part = entry_id.is_some();
        Some(End { key: (entry_id.unwrap_or_else(|| peer.clone()), id), is_part, entry })
    };
    told.iter().take(MOST).filter_map(end).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(id: &str, more: &str) -> Written {
        let line = json!({
            "timestamp": 1, "model": more, "backend_id": "b", "duration_ms": 2, "status": "Success", "error_message": null,
            "request_id": id, "origin": "client", "entry": "a", "peer": "b",
        });
        Written::new(&line).expect("JSON")
    }

    #[test]
    fn an_answer_fits_into_a_frame_and_the_next_goes_on_behind_it() {
        let long = "\u{1}".repeat(256);
        let lines: Vec<Written> = (0..600).map(|number| line(&format!("r{number}"), &long)).collect();
        let of =
            |last: u64| (last + 1..).zip(lines.iter().cloned().map(Some).skip(usize::try_from(last).expect("few")));
        let (mut stand, mut heard, mut answers) = (Stand { run: 7, last: 0 }, Vec::new(), 0);
        loop {
            let ends = as_many_as_fit(stand, of(stand.last));
            let frame = serde_json::to_string(&json!({ "v": 1, "ordered": { "ended": ends } })).expect("JSON");
            assert!(frame.len() < 60 << 10 && !ends.told.is_empty());
            heard.extend(read(&PeerId::from_text("a"), &ends.told));
            (stand, answers) = (ends.stand, answers + 1);
            if !ends.more {
                break;
            }
            assert!(frame.len() > 50 << 10, "as many as fit");
        }
        let ids: Vec<String> = heard.iter().map(|end| end.key.1.to_string()).collect();
        assert_eq!(ids, (0..600).map(|number| format!("r{number}")).collect::<Vec<_>>());
        assert_eq!(stand, Stand { run: 7, last: 600 });
        assert!(answers > 10, "{answers}");
    }

    #[test]
    fn what_is_left_out_is_behind_as_well() {
        let too_long = line("r2", &"x".repeat(MOST_BYTES));
        let lines = [(4, None), (5, Some(line("r1", "m"))), (6, Some(too_long)), (9, None)];
        let ends = as_many_as_fit(Stand { run: 7, last: 3 }, lines.into_iter());
        assert_eq!((ends.told.len(), ends.stand.last, ends.more), (1, 9, false));
    }

    #[test]
    fn who_asks_first_is_told_what_comes_and_a_peer_that_was_started_anew_tells_all() {
        let stand = |run, last| Some(Stand { run, last });
        assert_eq!([begin(None, 7, 30), begin(stand(7, 30), 7, 30), begin(stand(7, 8), 7, 30)], [30, 30, 8]);
        assert_eq!([begin(stand(6, 8), 7, 30), begin(stand(7, 31), 7, 30)], [0, 0]);
    }

    #[test]
    fn a_peer_may_say_anything() {
        let peer = PeerId::from_text("a");
        let long = "x".repeat(10_000);
        let odd = [json!(7), json!({}), json!({ "request_id": ["r"] }), json!(null)];
        let mut told: Vec<Written> = odd.iter().filter_map(Written::new).collect();
        told.extend([line("", "m"), line("r\u{1}", "m"), line(&long, "m"), line("good", &long)]);
        let of = |entry_id: &str| {
            let mut of: Value = line("of another", "m").read().expect("JSON");
            of["entry_id"] = entry_id.into();
            Written::new(&of).expect("JSON")
        };
        told.push(of(&long));
        let ends = read(&peer, &told);
        assert_eq!((ends.len(), ends[0].entry.model.len(), &ends[0].key.0), (1, 256, &peer));
        let many: Vec<Written> = (0..2 * MOST).map(|_| line("r", "m")).collect();
        assert_eq!(read(&peer, &many).len(), MOST);
    }
}

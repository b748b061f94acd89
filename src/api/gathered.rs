//! Requests of the whole mesh: every peer knows its own part, and tells it to a peer that asks. One request that several of them
//! have a part in is one line, with its way from the peer that its client asked to the one that owns the backend.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::recent::Recent;
use super::sums::shorten;
use crate::env::Tasks;
use crate::exchange::{Order, Outcome};
use crate::fleet::{PeerId, PeerState};
use crate::gateway::{Gateway, Page, State};
use crate::mesh::Mesh;

/// How long a peer may take to tell its requests. People wait for it.
const DEADLINE: Duration = Duration::from_millis(500);

/// How old what the others have told may be. With the time that the page takes between two looks, and the time that a peer may
/// take, a request is seen anywhere within 2 s.
const FRESH: Duration = Duration::from_millis(300);

/// How old the decision behind a request may be.
const FRESH_DECISION: Duration = Duration::from_secs(1);

/// Requests under way, and such that have ended, that a peer tells another one.
const MOST_TOLD: usize = 48;

/// Far halves of decisions that are asked for at once.
const MOST_AT_ONCE: usize = 16;

/// Peers that a request passes, at most, as far as its way is followed.
const MOST_HOPS: usize = 8;

/// Asks about requests, of this peer and of the others.
pub(super) struct Asked {
    pub(super) gateway: Arc<Gateway>,
    mesh: Option<Mesh>,
    others: Recent<(), Arc<Others>>,
    decisions: Recent<String, Option<Arc<Value>>>,
    turns: Arc<Semaphore>,
}

/// What the other peers have told. It is put together once for all who read it.
#[derive(Default)]
struct Others {
    /// What was told of each request, with the name of the peer that told it.
    parts: BTreeMap<String, Vec<Value>>,
    /// Each request once, newest first.
    lines: Vec<Arc<Value>>,
    /// Who tells the decision behind it.
    tellers: BTreeMap<String, Tellers>,
    missing: Vec<Value>,
}

/// The peers that tell how a request was decided, as far as they have told of it.
#[derive(Clone, Default)]
struct Tellers {
    /// The one that its client asked.
    entry: Option<PeerId>,
    /// The one that owns the backend.
    owner: Option<PeerId>,
}

/// Requests of all peers.
#[derive(Default)]
pub(super) struct Gathered {
    /// Those under way, newest first.
    pub(super) live: Vec<Arc<Value>>,
    /// Those that have ended, newest first.
    pub(super) ended: Vec<Arc<Value>>,
    /// Who did not tell, and why.
    pub(super) missing: Vec<Value>,
}

impl Asked {
    pub(super) fn new(gateway: Arc<Gateway>, mesh: Option<Mesh>, tasks: &Tasks) -> Self {
        let (others, decisions) = (Recent::new(tasks.clone(), FRESH), Recent::new(tasks.clone(), FRESH_DECISION));
        Asked { gateway, mesh, others, decisions, turns: Arc::new(Semaphore::new(MOST_AT_ONCE)) }
    }

    /// Whether other peers tell this one of requests in which it has no part.
    fn is_keyed(&self) -> bool {
        self.mesh.as_ref().is_some_and(Mesh::is_keyed)
    }

    /// How a request was decided, as far as this peer knows of it, or those know that have told of it; what another peer adds
    /// may be a second old.
    pub(super) async fn decision(&self, id: &str) -> Option<Arc<Value>> {
        let tellers = match self.gateway.book().find(id) {
            Some(_) => None,
            // What nobody has told of is no question to anybody.
            None if self.is_keyed() => Some(self.others().await.tellers.get(id)?.clone()),
            None => return None,
        };
        let (gateway, turns, wanted) = (self.gateway.clone(), self.turns.clone(), id.to_owned());
        let ask = async move {
            let _turn = turns.acquire().await;
            let told = match tellers {
                None => gateway.decision(&wanted).await,
                Some(Tellers { entry, owner }) => gateway.decision_of_others(&wanted, entry, owner).await,
            };
            told.map(Arc::new)
        };
        self.decisions.get(id.to_owned(), ask).await
    }

    /// What the other peers have told within the last moment.
    async fn others(&self) -> Arc<Others> {
        match self.mesh.clone() {
            Some(mesh) => self.others.get((), async move { Arc::new(ask_all(&mesh).await) }).await,
            None => Arc::default(),
        }
    }

    /// This peer's requests as they are now, `most` of each, and those of the others as they were a moment ago.
    pub(super) async fn gather(&self, most: usize) -> Gathered {
        let others = self.others().await;
        let here = self.gateway.here();
        let book = self.gateway.book();
        let own = book.live().into_iter().take(most).chain(book.ended().into_iter().take(most));
        let own = own.map(|page| self.gateway.told_line(&page)).collect();
        let all = with_own(own, &others, &here, self.is_keyed());
        let (ended, live) = all.into_iter().partition(|line| State::is_word_of_end(text(line, "state")));
        Gathered { live, ended, missing: others.missing.clone() }
    }
}

/// This peer's requests, for another one. Peers of an open mesh are not proven: they are told no name of a client key and no
/// more of an error than its kind.
pub(super) fn own(gateway: &Gateway, keyed: bool) -> Value {
    let lines = |pages: Vec<Arc<Page>>| -> Vec<Value> {
        let line = |page: &Arc<Page>| {
            let mut line = gateway.told_line(page);
            if !keyed {
                line["client"] = Value::Null;
                line["error"] = line["error_type"].clone();
            }
            line
        };
        pages.iter().take(MOST_TOLD).map(line).collect()
    };
    let mut told = json!({ "live": lines(gateway.book().live()), "ended": lines(gateway.book().ended()) });
    shorten(&mut told, &["live", "ended"]);
    told
}

async fn ask_all(mesh: &Mesh) -> Others {
    let (peers, now, config) = (mesh.peers(), Instant::now(), mesh.config());
    let answers = |state: PeerState| matches!(state, PeerState::Alive | PeerState::Draining);
    let well = peers.list.iter().filter(|peer| answers(peer.state(now, config)));
    let asked = well.map(|peer| async move {
        let told = mesh.order(&peer.id, Order::Requests, DEADLINE).await;
        (peer, told)
    });
    let mut others = Others::default();
    for (peer, told) in join_all(asked).await {
        let reason = match told {
            Ok(Outcome::Requests { told }) => {
                others.hear(&peer.id, &peer.name, told);
                continue;
            }
            Ok(_) => "it answered something else".to_owned(),
            Err(error) => error.to_string(),
        };
        others.missing.push(json!({ "peer": peer.name, "reason": reason }));
    }
    others.put_together(mesh.is_keyed());
    others
}

impl Others {
    /// What the peer called `name` has told.
    fn hear(&mut self, peer: &PeerId, name: &str, mut told: Value) {
        for list in ["live", "ended"] {
            let lines = told[list].as_array_mut().map(std::mem::take).unwrap_or_default();
            for mut line in lines.into_iter().filter(Value::is_object).take(MOST_TOLD) {
                line["told_by"] = name.into();
                let id = text(&line, "id").to_owned();
                let tellers = self.tellers.entry(id.clone()).or_default();
                if line["origin"] == "client" {
                    tellers.entry.get_or_insert_with(|| peer.clone());
                } else if line["peer"] == name {
                    tellers.owner.get_or_insert_with(|| peer.clone());
                }
                self.parts.entry(id).or_default().push(line);
            }
        }
    }

    fn put_together(&mut self, keyed: bool) {
        let lines = self.parts.values().flat_map(|parts| one_of(parts.clone(), "", keyed));
        self.lines = lines.map(Arc::new).collect();
        newest_first(&mut self.lines);
    }
}

/// Every request once, newest first. `here` is this peer; in a `keyed` mesh the others tell it any decision.
fn with_own(own: Vec<Value>, others: &Others, here: &str, keyed: bool) -> Vec<Arc<Value>> {
    let mut by_id: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for mut line in own {
        line["told_by"] = here.into();
        by_id.entry(text(&line, "id").to_owned()).or_default().push(line);
    }
    let is_theirs = |line: &&Arc<Value>| !by_id.contains_key(text(line, "id"));
    let mut all: Vec<Arc<Value>> = others.lines.iter().filter(is_theirs).cloned().collect();
    for (id, mut parts) in by_id {
        parts.extend(others.parts.get(&id).into_iter().flatten().cloned());
        all.extend(one_of(parts, here, keyed).into_iter().map(Arc::new));
    }
    newest_first(&mut all);
    all
}

fn newest_first(lines: &mut [Arc<Value>]) {
    lines.sort_by(|one, other| text(other, "since").cmp(text(one, "since")));
}

/// What is to be told of one request whose `parts` several peers have told. Clients choose ids, so two of them may choose alike.
fn one_of(parts: Vec<Value>, here: &str, keyed: bool) -> Vec<Value> {
    let is_told = keyed || parts.iter().any(|part| text(part, "told_by") == here);
    let (asked, served): (Vec<Value>, Vec<Value>) = parts.into_iter().partition(|part| part["origin"] == "client");
    let mut lines: Vec<Value> = if asked.is_empty() { served.first().cloned().into_iter().collect() } else { asked };
    for line in &mut lines {
        for _ in 0..MOST_HOPS {
            let at = text(line, "peer");
            let on = served
                .iter()
                .find(|part| text(part, "told_by") == at && part["peer"].is_string() && part["peer"] != at);
            let Some(on) = on else { break };
            for key in ["peer", "backend", "served_model"] {
                line[key] = on[key].clone();
            }
        }
        line["decided_here"] = is_told.into();
    }
    lines
}

fn text<'a>(line: &'a Value, key: &str) -> &'a str {
    line[key].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str, told_by: &str, origin: &str, way: [&str; 3]) -> Value {
        let [entry, peer, backend] = way;
        json!({ "id": id, "told_by": told_by, "origin": origin, "entry": entry, "peer": peer, "backend": backend,
                "state": "streaming", "since": format!("2026-11-21T07:00:0{}Z", id.len()) })
    }

    fn others(lines: impl IntoIterator<Item = Value>, keyed: bool) -> Others {
        let mut others = Others::default();
        for line in lines {
            let by = text(&line, "told_by").to_owned();
            others.hear(&peer(&by), &by, json!({ "live": [line] }));
        }
        others.put_together(keyed);
        others
    }

    fn peer(name: &str) -> PeerId {
        PeerId::from_text(name)
    }

    fn ways(lines: &[Arc<Value>]) -> Vec<[&str; 4]> {
        let way = |line| ["id", "entry", "peer", "backend"].map(|key| text(line, key));
        lines.iter().map(|line| way(line)).collect()
    }

    #[test]
    fn a_request_that_two_peers_have_a_part_in_is_one() {
        let own = vec![line("r", "", "client", ["a", "b", "gpu"])];
        let others = [
            line("r", "b", "peer", ["a", "b", "gpu"]),
            line("rr", "b", "client", ["b", "b", "gpu"]),
            line("rrr", "c", "peer", ["lost", "c", "cpu"]),
        ];
        for keyed in [false, true] {
            let all = with_own(own.clone(), &self::others(others.clone(), keyed), "a", keyed);
            assert_eq!(ways(&all), [["rrr", "lost", "c", "cpu"], ["rr", "b", "b", "gpu"], ["r", "a", "b", "gpu"]]);
            let here: Vec<bool> = all.iter().map(|line| line["decided_here"] == true).collect();
            assert_eq!(here, [keyed, keyed, true]);
        }
    }

    #[test]
    fn who_tells_a_decision_is_known() {
        let others = others([line("r", "a", "client", ["a", "b", "x"]), line("r", "b", "peer", ["a", "b", "x"])], true);
        let tellers = &others.tellers["r"];
        assert_eq!((tellers.entry.as_ref(), tellers.owner.as_ref()), (Some(&peer("a")), Some(&peer("b"))));
    }

    #[test]
    fn a_way_of_several_hops_leads_to_the_owner() {
        let lines = [
            line("r", "a", "client", ["a", "b", "x"]),
            line("r", "b", "peer", ["a", "c", "gpu"]),
            line("r", "c", "peer", ["b", "c", "gpu"]),
        ];
        assert_eq!(ways(&others(lines, true).lines), [["r", "a", "c", "gpu"]]);
        let round = [
            line("r", "a", "client", ["a", "b", "x"]),
            line("r", "b", "peer", ["a", "c", "y"]),
            line("r", "c", "peer", ["b", "b", "z"]),
        ];
        assert_eq!(others(round, true).lines.len(), 1, "nonsense ends");
    }

    #[test]
    fn two_clients_may_choose_one_id_and_peers_may_say_anything() {
        let lines = [
            line("r", "a", "client", ["a", "a", "x"]),
            line("r", "b", "client", ["b", "b", "y"]),
            json!({}),
            json!({ "id": 7, "peer": ["x"] }),
        ];
        let all = others(lines, true).lines;
        assert_eq!(all.iter().filter(|line| line["id"] == "r").count(), 2);
        let mut others = Others::default();
        others.hear(&peer("a"), "a", json!({ "live": 7, "ended": [1, null, "x"] }));
        assert!(others.parts.is_empty());
    }

    /// The page looks again so often.
    #[test]
    fn a_request_anywhere_is_on_the_page_within_two_seconds() {
        let script = include_str!("../dashboard/assets/dashboard.js");
        let period = script.split("const PERIOD = ").nth(1).and_then(|rest| rest.split(';').next());
        let period: u64 = period.and_then(|number| number.parse().ok()).expect("a number");
        // It came just after a peer had told, and that answer was still waited for by the look before.
        let longest = DEADLINE.max(FRESH) + Duration::from_millis(period) + DEADLINE;
        assert!(longest < Duration::from_secs(2), "{longest:?}");
    }
}

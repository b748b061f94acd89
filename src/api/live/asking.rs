//! What has ended at the other peers: each is asked by itself, a few times a second, for what has ended since, so one that is
//! slow or silent keeps nothing of the others back. Nobody is asked while nobody follows the mesh.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{Hub, State, told};
use crate::api::ends::{self, End};
use crate::exchange::{Ends, Order, Outcome, Stand};
use crate::fleet::{PeerId, PeerState};
use crate::gateway::History;
use crate::mesh::{Mesh, OrderError};

/// How often each is asked. A peer keeps the last 256 requests of its clients: of 1,000 a second none is missed, where answers
/// take less than 50 ms.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_millis(500);

/// Answers that are asked for at once, one after the other: what a peer keeps fits into fewer.
const MOST_ANSWERS: u32 = 8;

/// Turns in which a peer is left alone that does not know the question: 10 s.
const REST: u32 = 50;

/// How the other peers are asked.
#[derive(Default)]
struct Others(BTreeMap<PeerId, Asked>);

/// How one of them is.
struct Asked {
    /// How far it has told; `None` where it was not heard yet.
    stand: Option<Stand>,
    under_way: bool,
    /// Whether the last answer came, as far as one was waited for.
    answers: bool,
    /// Answers of this turn that are still asked for.
    left: u32,
    /// Turns in which it is left alone.
    rest: u32,
}

/// A question that is to be asked.
type Question = (PeerId, Option<Stand>);

/// What has come of one.
type Answer = Result<Ends, OrderError>;

impl Others {
    /// Whom to ask in this turn. `peers` are all that are known, and whether they are well.
    fn turn(&mut self, peers: &BTreeMap<PeerId, bool>) -> Vec<Question> {
        self.0.retain(|id, asked| asked.under_way || peers.contains_key(id));
        for (id, asked) in &mut self.0 {
            asked.answers &= peers.get(id) == Some(&true);
        }
        let mut questions = Vec::new();
        for (id, _) in peers.iter().filter(|(_, is_well)| **is_well) {
            let new = Asked { stand: None, under_way: false, answers: true, left: 0, rest: 0 };
            let asked = self.0.entry(id.clone()).or_insert(new);
            if asked.rest > 0 {
                asked.rest -= 1;
            } else if !asked.under_way {
                (asked.under_way, asked.left) = (true, MOST_ANSWERS);
                questions.push((id.clone(), asked.stand));
            }
        }
        questions
    }

    /// What to ask `peer` at once, now that it has answered.
    fn answered(&mut self, peer: &PeerId, answer: &Answer) -> Option<Question> {
        let asked = self.0.get_mut(peer)?;
        asked.under_way = false;
        asked.answers = answer.is_ok();
        match answer {
            Ok(ends) => {
                let is_on = asked.stand.replace(ends.stand) != Some(ends.stand);
                asked.left -= 1;
                asked.under_way = ends.more && is_on && asked.left > 0;
                asked.under_way.then(|| (peer.clone(), asked.stand))
            }
            Err(error) => {
                asked.rest = if *error == OrderError::Unknown { REST } else { 0 };
                None
            }
        }
    }

    /// Whether `peer` will tell by itself what it knows, as far as that is known.
    fn answers(&self, peer: &PeerId) -> bool {
        self.0.get(peer).is_some_and(|asked| asked.answers)
    }
}

impl Hub {
    /// Tells what has ended at other peers for as long as anybody follows the whole mesh.
    pub(super) async fn ask(&self, mesh: Mesh) {
        let mut tick = interval(ASK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut others, mut asked) = (Others::default(), FuturesUnordered::new());
        loop {
            tokio::select! {
                biased;
                Some((peer, answer)) = asked.next() => {
                    let next = others.answered(&peer, &answer);
                    if let Ok(ends) = answer {
                        self.hear(&mesh, &others, ends::read(&peer, &ends.told));
                    }
                    asked.extend(next.map(|question| question_to(mesh.clone(), question)));
                }
                _ = tick.tick() => {
                    if self.stops_asking() {
                        return;
                    }
                    let questions = others.turn(&known(&mesh));
                    self.look_again(&others);
                    asked.extend(questions.into_iter().map(|question| question_to(mesh.clone(), question)));
                }
            }
        }
    }

    /// Whether nobody follows the whole mesh any more. If so, nothing is kept of what was heard.
    fn stops_asking(&self) -> bool {
        let mut state = self.lock();
        let is_over = state.mesh.is_empty();
        if is_over {
            state.asking = false;
            state.heard = super::Heard::default();
        }
        is_over
    }

    /// Tells what is news of `ended`. What this peer has a part in it tells by itself, as soon as that has ended.
    fn hear(&self, mesh: &Mesh, others: &Others, ended: Vec<End>) {
        if ended.is_empty() {
            return;
        }
        let mut state = self.lock();
        let ours = self.ours(&state);
        for end in ended.into_iter().filter(|end| end.key.0 != *mesh.id()) {
            let waits = if end.is_part { others.answers(&end.key.0) } else { ours.contains(&end.key) };
            let news = state.heard.hear(end, waits, Instant::now());
            news.iter().for_each(|entry| state.tell_of_other(entry));
        }
    }

    /// Tells what has waited in vain.
    fn look_again(&self, others: &Others) {
        let mut state = self.lock();
        if state.heard.holds_nothing() {
            return;
        }
        let ours = self.ours(&state);
        let waits = |end: &End| if end.is_part { others.answers(&end.key.0) } else { ours.contains(&end.key) };
        let news = state.heard.again(waits, Instant::now());
        news.iter().for_each(|entry| state.tell_of_other(entry));
    }

    /// Requests of other peers that are under way here, or have ended here and are not told yet.
    pub(super) fn ours(&self, state: &State) -> BTreeSet<super::heard::Key> {
        let book = self.gateway.book();
        let live = book.live();
        let all = live.into_iter().chain(book.ended_since(state.last));
        all.filter_map(|page| Some((page.from()?.clone(), page.id.clone()))).collect()
    }
}

impl State {
    fn tell_of_other(&mut self, entry: &History) {
        self.told += 1;
        self.mesh.tell_end(self.told, |to| told::complete(entry, to));
    }
}

async fn question_to(mesh: Mesh, (peer, after): Question) -> (PeerId, Answer) {
    let answer = match mesh.order(&peer, Order::Ended { after }, DEADLINE).await {
        Ok(Outcome::Ended(ends)) => Ok(ends),
        Ok(_) => Err(OrderError::Unknown),
        Err(error) => Err(error),
    };
    (peer, answer)
}

/// All other peers, and whether they are worth asking.
fn known(mesh: &Mesh) -> BTreeMap<PeerId, bool> {
    let (peers, now, config) = (mesh.peers(), Instant::now(), mesh.config());
    let is_well = |state: PeerState| matches!(state, PeerState::Alive | PeerState::Draining);
    peers.list.iter().map(|peer| (peer.id.clone(), is_well(peer.state(now, config)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &str) -> PeerId {
        PeerId::from_text(name)
    }

    fn ends(last: u64, more: bool) -> Answer {
        Ok(Ends { told: Vec::new(), stand: Stand { run: 1, last }, more })
    }

    #[test]
    fn each_is_asked_once_a_turn_and_on_while_it_has_more() {
        let (mut others, well) = (Others::default(), BTreeMap::from([(peer("a"), true), (peer("b"), true)]));
        assert_eq!(others.turn(&well), [(peer("a"), None), (peer("b"), None)]);
        assert_eq!(others.turn(&well), [], "both are still being asked");
        assert_eq!(others.answered(&peer("a"), &ends(5, false)), None);
        assert_eq!(others.answered(&peer("b"), &Err(OrderError::Silent)), None);
        assert_eq!((others.answers(&peer("a")), others.answers(&peer("b"))), (true, false));
        let stand = |last| Some(Stand { run: 1, last });
        assert_eq!(others.turn(&well), [(peer("a"), stand(5)), (peer("b"), None)]);
        assert_eq!(others.answered(&peer("a"), &ends(9, true)), Some((peer("a"), stand(9))));
        assert_eq!(others.turn(&well), []);
        assert_eq!(others.answered(&peer("a"), &ends(9, true)), None, "who says that there is more and tells nothing");
        assert_eq!(others.turn(&BTreeMap::from([(peer("a"), false), (peer("b"), false)])), []);
        assert!(!others.answers(&peer("a")), "nobody asks it");
        assert_eq!(others.turn(&well), [(peer("a"), stand(9))], "who comes back tells what was missed");
    }

    #[test]
    fn a_turn_ends_and_who_does_not_know_the_question_is_left_alone() {
        let (mut others, well) = (Others::default(), BTreeMap::from([(peer("a"), true)]));
        others.turn(&well);
        let on = (1..100).take_while(|last| others.answered(&peer("a"), &ends(*last, true)).is_some()).count();
        assert_eq!(on, MOST_ANSWERS as usize - 1);
        others.turn(&well);
        others.answered(&peer("a"), &Err(OrderError::Unknown));
        let asked: Vec<usize> = (0..=REST).map(|_| others.turn(&well).len()).collect();
        assert_eq!((asked.iter().sum::<usize>(), asked.last()), (1, Some(&1)));
    }
}

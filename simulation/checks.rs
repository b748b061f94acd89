//! The claims: what must hold in every run. Each is checked where it can first be seen to be broken, or at the end.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nexus::fleet::PeerState;

use crate::book::{Ending, Served};
use crate::client::{Answer, End};
use crate::peer::Sight;
use crate::trace;

/// Enough to see what is wrong.
const MOST_BROKEN: usize = 20;

/// Claims that were found broken.
#[derive(Clone, Default)]
pub(crate) struct Claims(Arc<Mutex<Vec<String>>>);

impl Claims {
    /// Writes down that `claim` does not hold.
    pub(crate) fn broken(&self, claim: &str, detail: fmt::Arguments<'_>) {
        let mut broken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if broken.len() < MOST_BROKEN {
            broken.push(format!("{claim}: {detail} (at {:.3} s)", trace::now().as_secs_f64()));
        }
    }

    /// Writes it down unless `holds`.
    pub(crate) fn hold(&self, holds: bool, claim: &str, detail: fmt::Arguments<'_>) {
        if !holds {
            self.broken(claim, detail);
        }
    }

    /// All that were found.
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What must be true of every answer by itself.
    pub(crate) fn check_answer(&self, answer: &Answer, keyed: bool) {
        let id = &answer.request;
        if let Some(hops) = answer.hops {
            self.hold(hops <= 1, "a request takes at most one hop", format_args!("{id} took {hops}"));
        }
        if answer.model.starts_with(SECRET) && answer.status == 200 {
            let zone = answer.zone.as_deref();
            self.hold(zone == Some("restricted"), "a restricted request stays", format_args!("{id}: zone {zone:?}"));
            let stayed = keyed || answer.hops == Some(0);
            self.hold(stayed, "a restricted request never leaves an open mesh's machine", format_args!("{id}"));
        }
        if let End::Late(waited) = answer.end {
            self.broken("a request ends within its deadline", format_args!("{id}: nothing for {waited:?}"));
        }
        if let End::Cut(why) = &answer.end
            && !answer.entry_died
        {
            self.broken("a request ends with an answer or an error", format_args!("{id} was cut: {why}"));
        }
        if let Err(why) = is_one_voice(answer) {
            self.broken("an answer is of one backend, whole and in order", format_args!("{id}: {why}"));
        }
    }

    /// What must be true of what the backends did, beside what the clients got.
    /// `calm`: nothing was wrong with hosts, network and backends, so nothing had to be tried twice.
    pub(crate) fn check_book(&self, served: &[Served], answers: &[Answer], calm: bool) {
        let entries: BTreeMap<&str, usize> =
            answers.iter().map(|answer| (answer.request.as_str(), answer.entry)).collect();
        for act in served.iter().filter(|act| act.open) {
            let entry = entries.get(act.request.as_str()).copied();
            if holds(act.owner, &act.model) || entry.is_some_and(|entry| holds(entry, &act.model)) {
                self.broken("a restricted request stays", format_args!("{} reached {}", act.request, act.backend));
            }
        }
        let mut by_request: BTreeMap<&str, Vec<&Served>> = BTreeMap::new();
        for act in served {
            by_request.entry(&act.request).or_default().push(act);
        }
        for answer in answers {
            let acts = by_request.get(answer.request.as_str()).map_or(&[][..], Vec::as_slice);
            let Some(first) = answer.first_byte.filter(|_| answer.status == 200) else { continue };
            for act in acts.iter().filter(|act| act.begun > first) {
                let (id, backend) = (&answer.request, &act.backend);
                self.broken("nothing is retried after the first byte", format_args!("{id} began again on {backend}"));
            }
            let whole = acts.iter().filter(|act| act.ended == Some(Ending::Whole)).count();
            let once = if calm { acts.len() == 1 } else { whole > 0 };
            let (id, end) = (&answer.request, &answer.end);
            self.hold(*end != End::Whole || once, "a request is served once", format_args!("{id}: {acts:?}"));
        }
    }
}

/// Models whose names begin so may be served by backends of the zone `restricted` only.
pub(crate) const SECRET: &str = "secret";

/// Models that may be served by backends of the zone `restricted` only where peers of even numbers have a say, as entry or as
/// owner, and where those of odd numbers have.
pub(crate) const HELD: [&str; 2] = ["held-by-even", "held-by-odd"];

/// Whether the policies of peer `at` demand the zone `restricted` for `model`.
pub(crate) fn holds(at: usize, model: &str) -> bool {
    model.starts_with(SECRET) || model == HELD[at % HELD.len()]
}

/// The tasks that run as long as a node does.
const LOOPS: [&str; 18] = [
    "config-watch",
    "discovery-local",
    "discovery-mdns",
    "discovery-peers",
    "health",
    "health-watch",
    "http",
    "mesh-accept",
    "mesh-gossip",
    "mesh-hints",
    "advisor",
    "whereabouts",
    "keys",
    "treasury",
    "treasury-claims",
    "ledger",
    "pulse",
    "events",
];

/// The tasks that keep connections between peers; they come and go with the peers.
const LINKS: [&str; 5] = ["mesh-link", "mesh-dial", "mesh-handshake", "mesh-seed", "mesh-gossip-large"];

/// Why a node is not at rest.
pub(crate) fn unrest(sight: &Sight) -> Option<String> {
    if sight.in_flight > 0 || sight.serving > 0 {
        return Some(format!("{} in flight, {} forwarded to it", sight.in_flight, sight.serving));
    }
    let strays: Vec<_> =
        sight.tasks.iter().filter(|(name, _)| !LOOPS.contains(name) && !LINKS.contains(name)).collect();
    (!strays.is_empty()).then(|| format!("tasks {strays:?}"))
}

/// Where live peers disagree; `None` when each of them lists every other as alive, with exactly what it has.
pub(crate) fn disagreement(live: &[(String, Sight)]) -> Option<String> {
    for (name, sight) in live {
        let alive = sight.peers.iter().filter(|(_, (state, _))| *state == PeerState::Alive).count();
        if alive != live.len() - 1 {
            let states: Vec<_> = sight.peers.iter().map(|(id, (state, _))| format!("{} {state:?}", &id[..6])).collect();
            return Some(format!("{name} sees {alive} alive of {}: {states:?}", live.len() - 1));
        }
        for (other, truth) in live.iter().filter(|(other, _)| other != name) {
            match sight.peers.get(&truth.id) {
                Some((PeerState::Alive, offers)) if *offers == truth.own => {}
                Some((state, offers)) => {
                    return Some(format!("{name} takes {other} for {state:?} with {offers:?}, not {:?}", truth.own));
                }
                None => return Some(format!("{name} does not know {other}")),
            }
        }
    }
    None
}

/// How often peers gossip, as they are configured.
pub(crate) const ROUND: Duration = Duration::from_millis(250);

/// What the network, looking and asking may add to a bound.
pub(crate) const MARGIN: Duration = Duration::from_millis(100);

/// Gossip rounds within which `peers` live peers must agree on a fact, as time.
pub(crate) fn gossip_bound(peers: usize, round: Duration) -> Duration {
    (round * 3).mul_f64((peers as f64).log2().max(1.0))
}

/// Every word names the same backend and its place; a whole answer has all of them.
fn is_one_voice(answer: &Answer) -> Result<(), String> {
    let mut speaker = None;
    for (at, word) in answer.text.split_whitespace().enumerate() {
        let Some((backend, number)) = word.split_once(':') else { return Err(format!("word `{word}`")) };
        if *speaker.get_or_insert(backend) != backend || number.parse() != Ok(at) {
            return Err(format!("word {at} is `{word}`"));
        }
    }
    let words = answer.text.split_whitespace().count();
    if answer.end == End::Whole && words != answer.tokens as usize {
        return Err(format!("{words} words of {}", answer.tokens));
    }
    Ok(())
}

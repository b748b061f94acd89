//! Gossip to peers: reads the rows of others, believes what makes sense, and notices who came, went, and came back. It is
//! given the rows and the time; it neither waits nor locks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Bound;
use std::sync::Arc;

use chitchat::NodeState;
use tokio::time::Instant;

use super::Config;
use super::facts::ledger::LedgerFact;
use super::facts::{self, Fact, MAX_BACKENDS, MAX_BREAKERS, MAX_MODELS, peer::PeerFact};
use super::links::{Reach, gossip_address};
use super::peers::{Peer, PeerBackend, Peers};
use crate::fleet::{Breaker, LedgerFacts, Load, Model, ModelFacts, PeerId, PeerState};

/// Peers that are listed; an open mesh must not fill this node.
const MAX_PEERS: usize = 1_024;

/// One row of the gossip.
pub(super) struct Heard<'a> {
    pub(super) id: &'a str,
    pub(super) address: SocketAddr,
    pub(super) generation: u64,
    pub(super) heartbeat: u64,
    pub(super) state: &'a NodeState,
}

/// The time, in both ways of telling it.
#[derive(Clone, Copy)]
pub(super) struct Now {
    pub(super) instant: Instant,
    /// Milliseconds since 1970.
    pub(super) wall: u64,
}

/// What a look has brought.
pub(super) struct Seen {
    pub(super) peers: Peers,
    /// Whether anything but the age of the news has changed.
    pub(super) changed: bool,
    pub(super) events: Vec<Event>,
    /// Facts that were not believed: whose, which, why.
    pub(super) dropped: Vec<(PeerId, String, &'static str)>,
}

/// Somebody came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) id: PeerId,
    pub(super) name: String,
    pub(super) address: Option<SocketAddr>,
    pub(super) before: Option<PeerState>,
    pub(super) now: PeerState,
}

/// What is remembered between looks.
pub(super) struct View {
    me: PeerId,
    my_name: String,
    rows: BTreeMap<(PeerId, u64), Row>,
    states: BTreeMap<PeerId, PeerState>,
    listed: Vec<(PeerId, u64)>,
    peers: Peers,
}

/// A peer, and which generation of it that is.
type Listed = ((PeerId, u64), Arc<Peer>);

/// One generation of one peer.
struct Row {
    heartbeat: u64,
    advances: u32,
    version: u64,
    heard_at: Instant,
    confirmed: bool,
    facts: BTreeMap<String, Known>,
    about: Option<PeerFact>,
    sees: Vec<PeerId>,
    ledger: Option<Arc<LedgerFacts>>,
    keys: Option<Arc<str>>,
    backends: Vec<Arc<PeerBackend>>,
    skews: Vec<i64>,
}

struct Known {
    version: u64,
    heard_at: Instant,
    fact: Option<Fact>,
}

impl View {
    pub(super) fn new(me: PeerId, my_name: String) -> Self {
        let (rows, states, peers) = (BTreeMap::new(), BTreeMap::new(), Peers::default());
        View { me, my_name, rows, states, listed: Vec::new(), peers }
    }

    /// Takes in every row as it is now.
    pub(super) fn look<'a>(
        &mut self,
        heard: impl Iterator<Item = Heard<'a>>,
        reach: impl Fn(&PeerId) -> Reach,
        now: Now,
        config: &Config,
    ) -> Seen {
        let mut dropped = Vec::new();
        let mut present = BTreeSet::new();
        let (mut news, mut new_shape) = (false, false);
        for row in heard {
            let id = PeerId::from_text(row.id);
            if id == self.me {
                continue;
            }
            let key = (id.clone(), row.generation);
            if self.is_superseded(&key, now.instant, config) {
                continue;
            }
            let full = self.rows.len() >= MAX_PEERS && !self.rows.contains_key(&key);
            if full || row.address != gossip_address(&id) || id.as_str().len() > 64 {
                dropped.push((id, "peer".to_owned(), if full { "too many peers" } else { "not its address" }));
                continue;
            }
            let linked = reach(&id).rtt.is_some();
            let known = self.rows.entry(key.clone()).or_insert_with(|| Row::new(row.heartbeat, now.instant));
            known.hear(row.heartbeat, linked, now.instant, config);
            let change = known.take(row.state, now, |fact, why| dropped.push((id.clone(), fact, why)));
            news |= change.news;
            new_shape |= change.shape;
            present.insert(key);
        }
        present.retain(|key| !self.is_superseded(key, now.instant, config));
        self.rows.retain(|key, _| present.contains(key));
        let (list, namesake) = self.list(&reach, now.instant, config);
        let (listed, list): (Vec<_>, Vec<_>) = list.into_iter().unzip();
        if new_shape || listed != self.listed {
            (self.peers, self.listed) = (Peers::new(list, namesake), listed);
            news = true;
        } else {
            self.peers = self.peers.with(list, namesake);
        }
        let events = self.events(now.instant, config);
        Seen { peers: self.peers.clone(), changed: news || !events.is_empty(), events, dropped }
    }

    /// Whether a later generation of the same peer lives: gossip remembers every restart for a day.
    fn is_superseded(&self, (id, generation): &(PeerId, u64), now: Instant, config: &Config) -> bool {
        let later = (Bound::Excluded((id.clone(), *generation)), Bound::Included((id.clone(), u64::MAX)));
        let lives = |row: &Row| row.confirmed && now.saturating_duration_since(row.heard_at) < config.suspect_after();
        self.rows.range(later).any(|(_, row)| lives(row))
    }

    /// The one generation of each peer that was heard of last, and whether one of them goes by our name.
    fn list(&self, reach: &impl Fn(&PeerId) -> Reach, now: Instant, config: &Config) -> (Vec<Listed>, bool) {
        let mut newest: BTreeMap<&PeerId, (&u64, &Row)> = BTreeMap::new();
        for ((id, generation), row) in &self.rows {
            let rank = |generation: &u64, row: &Row| (row.confirmed.then_some(row.heard_at), *generation);
            match newest.get(id) {
                Some((known, other)) if rank(known, other) > rank(generation, row) => {}
                _ => drop(newest.insert(id, (generation, row))),
            }
        }
        let peer = |(id, (generation, row)): (&PeerId, (&u64, &Row))| {
            Some(((id.clone(), *generation), row.peer(id, reach(id))?))
        };
        let (keys, mut peers): (Vec<_>, Vec<_>) = newest.into_iter().filter_map(peer).unzip();
        let namesake = Peers::tell_apart(&mut peers, &self.my_name, now, config);
        let mut list: Vec<Listed> = keys.into_iter().zip(peers.into_iter().map(Arc::new)).collect();
        list.sort_by(|(_, one), (_, other)| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
        (list, namesake)
    }

    fn events(&mut self, now: Instant, config: &Config) -> Vec<Event> {
        let mut events = Vec::new();
        let mut states = BTreeMap::new();
        for peer in &self.peers.list {
            let state = peer.state(now, config);
            let before = self.states.get(&peer.id).copied();
            if before.is_none() && state == PeerState::Dead {
                // What others remember of a dead peer is no news.
                continue;
            }
            if before != Some(state) {
                let (id, name, address) = (peer.id.clone(), peer.name.clone(), peer.addresses.first().copied());
                events.push(Event { id, name, address, before, now: state });
            }
            states.insert(peer.id.clone(), state);
        }
        self.states = states;
        events
    }
}

#[derive(Default)]
struct Change {
    news: bool,
    shape: bool,
}

impl Row {
    fn new(heartbeat: u64, now: Instant) -> Self {
        Row {
            heartbeat,
            advances: 0,
            version: 0,
            heard_at: now,
            confirmed: false,
            facts: BTreeMap::new(),
            about: None,
            sees: Vec::new(),
            ledger: None,
            keys: None,
            backends: Vec::new(),
            skews: Vec::new(),
        }
    }

    /// Notes signs of life. What others remember of a dead peer may advance once or so, when one remembers more than
    /// another: it takes two advances, or a connection of our own, to be believed, and the same again after death.
    fn hear(&mut self, heartbeat: u64, linked: bool, now: Instant, config: &Config) {
        if heartbeat > self.heartbeat {
            if now.saturating_duration_since(self.heard_at) >= config.dead_after() {
                (self.confirmed, self.advances) = (false, 0);
            }
            self.advances = self.advances.saturating_add(1);
            (self.heartbeat, self.heard_at) = (heartbeat, now);
        }
        self.confirmed |= linked || self.advances >= 2;
    }

    fn take(&mut self, state: &NodeState, now: Now, drop_fact: impl FnMut(String, &'static str)) -> Change {
        if state.max_version() == self.version {
            return Change::default();
        }
        self.version = state.max_version();
        let shape = self.read(state, now, drop_fact);
        self.assemble();
        Change { news: true, shape }
    }

    /// Reads the facts that have changed. Says whether backends or models came, went or changed.
    fn read(&mut self, state: &NodeState, now: Now, mut drop_fact: impl FnMut(String, &'static str)) -> bool {
        let mut shape = false;
        let mut gone: BTreeSet<String> = self.facts.keys().cloned().collect();
        for (key, value) in state.key_values_including_deleted() {
            if value.is_deleted() {
                continue;
            }
            gone.remove(key);
            if self.facts.get(key).is_some_and(|known| known.version == value.version) {
                continue;
            }
            let fact = match facts::decode(key, &value.value) {
                Ok(fact) => Some(fact),
                Err(why) => {
                    drop_fact(key.chars().take(80).collect(), why.as_str());
                    None
                }
            };
            if let Some(Fact::Peer(about)) = &fact {
                self.compare_clocks(about.clock, now.wall);
            }
            let is_shape = |fact: &Fact| matches!(fact, Fact::Backend(_) | Fact::Model(..));
            shape |= fact.as_ref().is_none_or(is_shape);
            self.facts.insert(key.to_owned(), Known { version: value.version, heard_at: now.instant, fact });
        }
        for key in gone {
            let fact = self.facts.remove(&key).and_then(|known| known.fact);
            let is_small = |fact: &Fact| {
                matches!(
                    fact,
                    Fact::Pace(..)
                        | Fact::Warm(..)
                        | Fact::Breaker(..)
                        | Fact::Keys(_)
                        | Fact::Ledger(_)
                        | Fact::Row(_)
                )
            };
            shape |= !fact.as_ref().is_some_and(is_small);
        }
        shape
    }

    /// A clock is read off a fact that has just been written: the first one heard may be old.
    fn compare_clocks(&mut self, theirs: u64, ours: u64) {
        if self.about.is_some() {
            let skew = i64::try_from(theirs).unwrap_or(i64::MAX).saturating_sub(i64::try_from(ours).unwrap_or(0));
            self.skews.insert(0, skew);
            self.skews.truncate(2);
        }
    }

    fn assemble(&mut self) {
        (self.about, self.sees, self.keys) = (None, Vec::new(), None);
        let mut models: BTreeMap<&str, Vec<(&Model, Instant)>> = BTreeMap::new();
        let mut loads: BTreeMap<&str, (Load, Instant)> = BTreeMap::new();
        let mut served: BTreeMap<&str, BTreeMap<&str, ModelFacts>> = BTreeMap::new();
        let mut breakers: BTreeMap<&str, Vec<(Breaker, Instant)>> = BTreeMap::new();
        let (mut ledger, mut rows) = (None, Vec::new());
        let mut abouts = Vec::new();
        for known in self.facts.values() {
            match &known.fact {
                Some(Fact::Peer(about)) => self.about = Some(about.clone()),
                Some(Fact::Sees(peers)) => self.sees.clone_from(peers),
                Some(Fact::Keys(hash)) => self.keys = Some(hash.clone()),
                Some(Fact::Backend(about)) => abouts.push((about, known.heard_at)),
                Some(Fact::Model(backend, model)) => models.entry(backend).or_default().push((model, known.heard_at)),
                Some(Fact::Load(backend, load)) => drop(loads.insert(backend, (*load, known.heard_at))),
                Some(Fact::Pace(backend, model, pace)) => of_model(&mut served, backend, model).pace = *pace,
                Some(Fact::Warm(backend, model, digest)) => {
                    of_model(&mut served, backend, model).digest = digest.clone();
                }
                Some(Fact::Breaker(backend, breaker)) => {
                    breakers.entry(backend).or_default().push((breaker.clone(), known.heard_at));
                }
                Some(Fact::Ledger(fact)) => ledger = Some(fact.clone()),
                Some(Fact::Row(row)) => rows.push(crate::fleet::Row::clone(row)),
                None => {}
            }
        }
        self.ledger = ledger.map(|LedgerFact { holder, founding, terms, lost }| {
            Arc::new(LedgerFacts { holder, founding, terms, lost, rows })
        });
        let before = std::mem::take(&mut self.backends);
        abouts.sort_by(|one, other| one.0.name.cmp(&other.0.name));
        for (about, heard_at) in abouts.into_iter().take(MAX_BACKENDS) {
            let old = before.iter().find(|old| old.about.name == about.name);
            let mut offered = models.remove(about.name.as_str()).unwrap_or_default();
            offered.sort_by(|one, other| one.0.id.cmp(&other.0.id));
            offered.truncate(MAX_MODELS);
            let (load, load_heard_at) = loads.remove(about.name.as_str()).unwrap_or((Load::default(), heard_at));
            let mut breakers = breakers.remove(about.name.as_str()).unwrap_or_default();
            breakers.truncate(MAX_BREAKERS);
            let newest = offered.iter().map(|(_, at)| *at).chain([heard_at, load_heard_at]).max();
            let models = offered.into_iter().map(|(model, _)| kept(old, model)).collect();
            let heard_at = newest.unwrap_or(heard_at);
            let served =
                served.remove(about.name.as_str()).unwrap_or_default().into_values().take(MAX_MODELS).collect();
            let (about, load_heard_at) = (about.clone(), load_heard_at);
            self.backends.push(Arc::new(PeerBackend {
                about,
                models,
                load,
                served,
                breakers,
                heard_at,
                load_heard_at,
            }));
        }
    }

    /// `None` while it has not said who it is.
    fn peer(&self, id: &PeerId, reach: Reach) -> Option<Peer> {
        let about = self.about.as_ref()?;
        let agreed =
            self.skews.iter().copied().min_by_key(|skew| skew.unsigned_abs()).filter(|_| self.skews.len() == 2);
        Some(Peer {
            id: id.clone(),
            name: about.name.clone(),
            version: about.version.clone(),
            protocol: about.protocol,
            addresses: about.addresses.clone(),
            draining: about.draining,
            left: about.left || reach.left,
            started: about.started,
            policies: about.policies.clone(),
            rejected: about.rejected.clone(),
            clock_skew_ms: agreed,
            heard_at: self.heard_at,
            confirmed: self.confirmed,
            rtt: reach.rtt,
            reached_at: reach.address,
            unreachable: reach.failing && reach.rtt.is_none(),
            backends: self.backends.clone(),
            sees: self.sees.clone(),
            ledger: self.ledger.clone(),
            keys: self.keys.clone(),
        })
    }
}

fn of_model<'s, 'f>(
    served: &'s mut BTreeMap<&'f str, BTreeMap<&'f str, ModelFacts>>,
    backend: &'f str,
    model: &'f str,
) -> &'s mut ModelFacts {
    let unknown = || ModelFacts { model: model.to_owned(), ..ModelFacts::default() };
    served.entry(backend).or_default().entry(model).or_insert_with(unknown)
}

/// The same model as before where it is the same: thousands of them are not copied because a load has changed.
fn kept(old: Option<&Arc<PeerBackend>>, model: &Model) -> Arc<Model> {
    let at =
        old.and_then(|old| old.models.binary_search_by(|known| known.id.cmp(&model.id)).ok().map(|at| &old.models[at]));
    at.filter(|known| ***known == *model).cloned().unwrap_or_else(|| Arc::new(model.clone()))
}

#[cfg(test)]
mod tests;

//! The loop of gossip: tells what is ours, looks at what was heard, and keeps gossip going with everyone we are connected
//! to. One task; it is started again where chitchat itself has failed.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use chitchat::ChitchatHandle;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::accept::Accept;
use super::config::{Config, Configured};
use super::counters::Counters;
use super::facts::Dropped;
use super::facts::peer::{PROTOCOL, PeerFact};
use super::gossip::{self, Courier};
use super::links::gossip_address;
use super::peers::Peers;
use super::publish;
use super::view::{Event, Heard, Now, View};
use super::{KeysHash, Ledger, Membership, Mine};
use crate::env::Env;
use crate::fleet::{BackendFacts, LedgerFacts, PeerId, PeerState};

/// How often our clock and addresses are told anew, in milliseconds.
const REFRESH_MS: u64 = 10_000;

/// A pause before gossip that has failed is started again.
const RESTART_PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

/// What this node is and has, to be told to others.
pub(super) struct Ours {
    pub(super) name: String,
    pub(super) version: &'static str,
    pub(super) configured: ArcSwap<Configured>,
    pub(super) started: u64,
    /// `advertise` of the configuration, resolved; empty: whatever addresses the machine has.
    pub(super) advertise: Vec<SocketAddr>,
    pub(super) listen: SocketAddr,
    pub(super) mine: Mine,
    pub(super) ledger: Ledger,
    pub(super) keys: KeysHash,
}

impl Ours {
    /// Says from the next round on that this node goes by another configuration, or could not.
    pub(super) fn configure(&self, configured: Configured) {
        self.configured.store(Arc::new(configured));
    }
}

/// Everything a round needs.
pub(super) struct Rounds {
    pub(super) config: Config,
    pub(super) ours: Ours,
    pub(super) env: Env,
    pub(super) accept: Arc<Accept>,
    pub(super) courier: Courier,
    pub(super) counters: Arc<Counters>,
    pub(super) peers: ArcSwap<Peers>,
    pub(super) changed: watch::Sender<u64>,
    pub(super) now: Notify,
    generation: AtomicU64,
    leaving: std::sync::atomic::AtomicBool,
}

impl Rounds {
    pub(super) fn new(
        config: Config,
        ours: Ours,
        env: Env,
        accept: Arc<Accept>,
        courier: Courier,
        counters: Arc<Counters>,
    ) -> Self {
        Rounds {
            config,
            ours,
            env,
            accept,
            courier,
            counters,
            peers: ArcSwap::default(),
            changed: watch::Sender::new(0),
            now: Notify::new(),
            generation: AtomicU64::new(0),
            leaving: std::sync::atomic::AtomicBool::new(false),
        }
    }

    /// Says in every further round that this node has stopped.
    pub(super) fn set_leaving(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Where others may dial us, best first.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let Ours { advertise, listen, .. } = &self.ours;
        if !advertise.is_empty() {
            return advertise.clone();
        }
        if !listen.ip().is_unspecified() {
            return vec![*listen];
        }
        let own = self.env.net.own_addresses().into_iter();
        own.filter(|ip| listen.is_ipv6() || ip.is_ipv4()).map(|ip| SocketAddr::new(ip, listen.port())).collect()
    }

    /// Gossips as a peer of `membership` until dropped.
    pub(super) async fn run(&self, membership: &Membership) {
        loop {
            let generation = self.next_generation();
            let started =
                gossip::start(&membership.name, self.config.gossip_interval(), generation, Vec::new(), &self.courier);
            match started.await {
                Ok(handle) => Gossiping { rounds: self, handle, membership }.run().await,
                Err(error) => {
                    tracing::error!(target: "nexus::mesh", event = "gossip_failed", %error, "gossip did not start");
                }
            }
            tokio::time::sleep(RESTART_PAUSE).await;
        }
    }

    fn next_generation(&self) -> u64 {
        let now = self.env.clock.unix_millis();
        let next = |last: u64| Some(now.max(last + 1));
        let last = self.generation.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or_default();
        now.max(last + 1)
    }

    /// Forgets every peer.
    pub(super) fn forget(&self) {
        self.show(Peers::default(), true);
    }

    fn show(&self, peers: Peers, changed: bool) {
        self.peers.store(Arc::new(peers));
        if changed {
            self.changed.send_modify(|count| *count += 1);
        }
    }
}

/// What our row says.
#[derive(Default, PartialEq)]
struct Told {
    about: PeerFact,
    sees: Vec<PeerId>,
    keys: Option<Arc<str>>,
    mine: Vec<BackendFacts>,
    ledger: Option<LedgerFacts>,
}

/// Gossip that is running, and ended where this is dropped.
struct Gossiping<'a> {
    rounds: &'a Rounds,
    handle: ChitchatHandle,
    membership: &'a Membership,
}

impl Drop for Gossiping<'_> {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

impl Gossiping<'_> {
    /// Goes round until gossip itself ends, which it does not do unless it has failed.
    async fn run(&self) {
        let Rounds { config, courier, ours, .. } = self.rounds;
        let mut view = View::new(courier.endpoint.me.clone(), ours.name.clone());
        let mut tick = interval(config.gossip_interval());
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut news = self.handle.with_chitchat(|chitchat| chitchat.live_nodes_watcher()).await;
        let mut links = courier.endpoint.links.changed();
        let mut end = std::pin::pin!(self.handle.termination_watcher());
        let mut told = Told::default();
        loop {
            tokio::select! {
                biased;
                end = &mut end => {
                    tracing::error!(target: "nexus::mesh", event = "gossip_failed", error = ?end.err(), "gossip ended: starting it again");
                    return;
                }
                () = self.rounds.now.notified() => self.tell(&mut told).await,
                _ = tick.tick() => {
                    self.tell(&mut told).await;
                    self.look(&mut view).await;
                    self.nudge().await;
                }
                Ok(()) = news.changed() => self.look(&mut view).await,
                Ok(()) = links.changed() => self.nudge().await,
            }
        }
    }

    fn about(&self) -> PeerFact {
        let Rounds { ours, accept, env, leaving, .. } = self.rounds;
        let configured = ours.configured.load();
        PeerFact {
            name: ours.name.clone(),
            version: ours.version.to_owned(),
            protocol: PROTOCOL,
            addresses: self.rounds.addresses(),
            draining: accept.is_draining(),
            left: leaving.load(Ordering::Relaxed),
            started: ours.started,
            policies: configured.policies.clone(),
            rejected: configured.rejected.clone(),
            clock: env.clock.unix_millis(),
        }
    }

    /// Makes our row say what is true now.
    async fn tell(&self, told: &mut Told) {
        let Rounds { ours, accept, env, config, leaving, .. } = self.rounds;
        let (draining, left) = (accept.is_draining(), leaving.load(Ordering::Relaxed));
        let never = told.about == PeerFact::default();
        let stale = never || env.clock.unix_millis().abs_diff(told.about.clock) >= REFRESH_MS;
        let configured = ours.configured.load();
        let is_as_configured =
            (&told.about.policies, &told.about.rejected) == (&configured.policies, &configured.rejected);
        let about = if stale || !is_as_configured || (told.about.draining, told.about.left) != (draining, left) {
            self.about()
        } else {
            told.about.clone()
        };
        let is_keyed = self.membership.key.is_keyed();
        let mut mine = (ours.mine)(is_keyed);
        let keys = if is_keyed { (ours.keys)() } else { None };
        accept.set_loads(mine.iter().map(|backend| (backend.about.name.clone(), backend.load)).collect());
        let (peers, now) = (self.rounds.peers.load_full(), Instant::now());
        let alive =
            peers.list.iter().filter(|peer| matches!(peer.state(now, config), PeerState::Alive | PeerState::Draining));
        for about in mine.iter_mut().map(|backend| &mut backend.about).filter(|about| !about.near) {
            about.machine = peers.machine_at(&about.endpoint).unwrap_or_default().to_owned();
        }
        let mut sees: Vec<PeerId> = alive.map(|peer| peer.id.clone()).collect();
        sees.sort();
        let now_true = Told { about, sees, keys, mine, ledger: (ours.ledger)() };
        if *told == now_true {
            return;
        }
        *told = now_true;
        let Told { about, sees, keys, mine, ledger } = told;
        let facts = publish::facts(about, sees.iter().cloned(), keys.as_deref(), mine, ledger.as_ref());
        self.handle.with_chitchat(|chitchat| publish::tell(chitchat.self_node_state(), &facts)).await;
    }

    /// Makes what we show of the others what was heard of them.
    async fn look(&self, view: &mut View) {
        let Rounds { config, courier, env, .. } = self.rounds;
        let links = &courier.endpoint.links;
        // Before the lock of gossip, not under it.
        let reaches = links.reaches();
        let now = Now { instant: Instant::now(), wall: env.clock.unix_millis() };
        let look = |chitchat: &mut chitchat::Chitchat| {
            let heard = chitchat.node_states().iter().map(|(id, state)| Heard {
                id: &id.node_id,
                address: id.gossip_advertise_addr,
                generation: id.generation_id,
                heartbeat: state.heartbeat().into(),
                state,
            });
            view.look(heard, |id| reaches.get(id).copied().unwrap_or_default(), now, config)
        };
        let seen = self.handle.with_chitchat(look).await;
        for (id, fact, why) in &seen.dropped {
            self.rounds.counters.fact_dropped();
            // A kind that nobody knows is what a later version looks like, not a fault.
            if *why != Dropped::Unknown.as_str() {
                courier.junk.complain(id.as_str(), "fact not believed", &format!("{fact}: {why}"));
            }
        }
        for peer in seen.peers.list.iter().filter(|peer| seen.changed && !peer.left) {
            links.know(&peer.id, &peer.addresses);
        }
        seen.events.iter().for_each(log);
        self.rounds.show(seen.peers, seen.changed);
    }

    /// Gossips with whoever is connected and does not count as alive in gossip: newcomers, and those who come back.
    async fn nudge(&self) {
        let links = self.rounds.courier.endpoint.links.linked();
        let live = |chitchat: &mut chitchat::Chitchat| {
            chitchat.live_nodes().map(|id| id.gossip_advertise_addr).collect::<BTreeSet<_>>()
        };
        let live = self.handle.with_chitchat(live).await;
        for address in links.iter().map(|link| gossip_address(&link.peer)).filter(|address| !live.contains(address)) {
            let _ = self.handle.gossip(address);
        }
    }
}

fn log(event: &Event) {
    let Event { id, name, address, before, now } = event;
    let address = address.map(|address| address.to_string()).unwrap_or_default();
    let (event, message) = match (before, now) {
        (None, _) => ("peer_found", "peer found"),
        (Some(PeerState::Dead), _) => ("peer_returned", "peer returned"),
        (_, PeerState::Dead) => ("peer_lost", "peer lost"),
        _ => ("peer_state", "peer changed its state"),
    };
    let (peer_id, state) = (id.short(), now.as_str());
    tracing::info!(target: "nexus::mesh", event, peer = %name, peer_id, %address, state, "{message}");
}

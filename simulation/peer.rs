//! A peer: the real node on a simulated host, and what can be seen of it. Nothing of the node leaves its host but plain
//! data, so that a crash takes everything with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nexus::env::Env;
use nexus::fleet::{PeerState, Status};
use nexus::mesh::Mesh;
use nexus::node::{self, Blueprint, Node};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::checks::Claims;
use crate::host::Machine;
use crate::trace;

/// Where clients come in, on every peer.
pub(crate) const PORT: u16 = 8000;

/// How often a node is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a stopping node may still take to finish its requests.
const GRACE: Duration = Duration::from_secs(10);

/// Models by backend, with what is known of the backend.
pub(crate) type Offers = BTreeMap<String, (Status, Vec<String>)>;

/// A node as it was seen last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sight {
    /// Its id.
    pub(crate) id: String,
    /// Its own backends that it shares.
    pub(crate) own: Offers,
    /// The others, by id, dead ones too.
    pub(crate) peers: BTreeMap<String, (PeerState, Offers)>,
    /// Those of them that it has a connection with.
    pub(crate) linked: BTreeSet<String>,
    /// Requests that hold a slot of one of its backends.
    pub(crate) in_flight: u32,
    /// Forwarded requests it works on.
    pub(crate) serving: usize,
    /// Requests it has forwarded, by peer.
    pub(crate) forwards: BTreeMap<String, u64>,
    /// Those of them that were refused.
    pub(crate) refused: u64,
    /// Its tasks by name.
    pub(crate) tasks: BTreeMap<&'static str, usize>,
}

/// A host that runs a node.
pub(crate) struct Peer {
    /// The host.
    pub(crate) machine: Machine,
    blueprint: Blueprint,
    claims: Claims,
    starts: AtomicU32,
    running: AtomicBool,
    wanted: AtomicBool,
    stop: Notify,
    sight: Mutex<Option<Sight>>,
}

impl Peer {
    /// A peer that runs `blueprint` whenever its host is up.
    pub(crate) fn new(machine: Machine, blueprint: Blueprint, claims: Claims) -> Self {
        Peer {
            machine,
            blueprint,
            claims,
            starts: AtomicU32::new(0),
            running: AtomicBool::new(false),
            wanted: AtomicBool::new(true),
            stop: Notify::new(),
            sight: Mutex::new(None),
        }
    }

    /// The software of its host: runs until it is stopped or the host crashes.
    pub(crate) async fn live(self: Arc<Self>) -> turmoil::Result {
        let start = self.starts.fetch_add(1, Ordering::Relaxed);
        let env = self.machine.env(start);
        let node = node::start(self.blueprint.clone(), env.clone()).await?;
        self.running.store(true, Ordering::Relaxed);
        let asked_to_stop = self.stop.notified();
        tokio::pin!(asked_to_stop);
        loop {
            self.look(&node, &env);
            tokio::select! {
                biased;
                () = &mut asked_to_stop => break,
                () = sleep(LOOK_EVERY) => {}
            }
        }
        node.stop(GRACE).await;
        let left = env.tasks.running();
        if !left.is_empty() {
            self.claims.broken("no task is left after a stop", format_args!("{}: {left:?}", self.machine.name));
        }
        self.ended();
        Ok(())
    }

    fn look(&self, node: &Node, env: &Env) {
        let snapshot = node.registry().snapshot();
        let mut sight = Sight { tasks: env.tasks.running(), ..Sight::default() };
        for entry in snapshot.entries.iter() {
            sight.in_flight += entry.load().in_flight;
            let condition = entry.condition();
            let models = condition.models.iter().map(|model| model.id.clone()).collect();
            sight.own.insert(entry.spec.name.clone(), (condition.status, models));
        }
        if let Some(mesh) = node.mesh() {
            look_at_mesh(mesh, &mut sight);
        }
        *self.sight.lock().unwrap_or_else(PoisonError::into_inner) = Some(sight);
    }

    /// What was seen of the node last, unless it is down.
    pub(crate) fn sight(&self) -> Option<Sight> {
        self.sight.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the node runs.
    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    /// Whether the node runs or is about to.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// The host is about to start.
    pub(crate) fn starting(&self) {
        self.wanted.store(true, Ordering::Relaxed);
        self.machine.set_down(false);
    }

    /// How often it was started.
    pub(crate) fn starts(&self) -> u32 {
        self.starts.load(Ordering::Relaxed)
    }

    /// Asks the node to finish what it has and to go.
    pub(crate) fn ask_to_stop(&self) {
        self.stop.notify_one();
    }

    /// The node is gone, by its own will or not.
    pub(crate) fn ended(&self) {
        trace::event(format_args!("{} is down", self.machine.name));
        self.running.store(false, Ordering::Relaxed);
        self.wanted.store(false, Ordering::Relaxed);
        *self.sight.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.machine.set_down(true);
    }
}

fn look_at_mesh(mesh: &Mesh, sight: &mut Sight) {
    let (now, config) = (Instant::now(), mesh.config());
    sight.id = mesh.myself().id.to_string();
    sight.serving = mesh.serving();
    for peer in &mesh.peers().list {
        let offers = peer.backends.iter().map(|backend| {
            let models = backend.models.iter().map(|model| model.id.clone()).collect();
            (backend.about.name.clone(), (backend.about.status, models))
        });
        if peer.rtt.is_some() {
            sight.linked.insert(peer.id.to_string());
        }
        sight.peers.insert(peer.id.to_string(), (peer.state(now, config), offers.collect()));
    }
    for (peer, forwards) in mesh.counters().forwards() {
        for (result, count) in forwards.by_result() {
            *sight.forwards.entry(peer.to_string()).or_default() += count;
            sight.refused += if result == "refused" { count } else { 0 };
        }
    }
}

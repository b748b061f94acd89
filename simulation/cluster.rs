//! A mesh in turmoil: peers, backends and the hand that breaks them. A scenario holds a [`Cluster`] and runs on a host
//! of its own; what only the outside can do, such as a crash, is ordered here and done between two steps.

mod configured;
mod notes;
mod settle;

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Method;
use nexus::env::{Dice, Env};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::sleep;

use self::configured::{blueprint, peer_name};
use crate::backend::{Mood, Scripted};
use crate::book::Book;
use crate::checks::Claims;
use crate::client::{self, Answer, Ask, End};
use crate::host::Machine;
use crate::layout::Layout;
use crate::net::Weather;
use crate::peer::{LOOK_EVERY, Peer, Sight};
use crate::trace;
use crate::vendor::Bills;

/// A hand on everything there is. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Cluster(Arc<Inner>);

struct Inner {
    layout: Layout,
    peers: Vec<Arc<Peer>>,
    backends: Vec<Arc<Scripted>>,
    weather: Weather,
    claims: Claims,
    book: Book,
    bills: Bills,
    env: Env,
    dice: Mutex<Dice>,
    asked: AtomicU32,
    disturbed: AtomicBool,
    answers: Mutex<Vec<Answer>>,
    measured: Mutex<Vec<(String, Duration)>>,
    figures: Mutex<Vec<(String, f64)>>,
    orders: Mutex<Vec<(Order, oneshot::Sender<()>)>>,
}

/// What can only be done from outside.
#[derive(Clone, Copy, Debug)]
enum Order {
    Crash(usize),
    Start(usize),
}

/// The host that the scenario runs on.
const SCRIPT: &str = "script";

impl Cluster {
    /// Puts every host of `layout` into `sim`.
    pub(crate) fn build(sim: &mut turmoil::Sim<'_>, layout: Layout, seed: u64) -> Self {
        let (weather, claims, book) = (Weather::new(seed), Claims::default(), Book::default());
        let bills = Bills::default();
        let machine = |sim: &turmoil::Sim<'_>, name: &str| Machine::new(name, sim.lookup(name), &weather, seed);
        let backends: Vec<_> = layout
            .backends
            .iter()
            .map(|character| {
                let machine = machine(sim, &character.name);
                Arc::new(Scripted::new(character.clone(), machine, book.clone(), bills.clone()))
            })
            .collect();
        let names: Vec<String> = (0..layout.peers).map(peer_name).collect();
        let peers: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(at, name)| {
                let blueprint = blueprint(&layout, at, &names, &backends);
                let machine = machine(sim, name);
                bills.goes_by(at, machine.clock.clone());
                Arc::new(Peer::new(machine, blueprint, claims.clone()))
            })
            .collect();
        let env = machine(sim, SCRIPT).env(0);
        for backend in &backends {
            let software = backend.clone();
            sim.host(backend.character.name.as_str(), move || software.clone().live());
        }
        for peer in &peers {
            let software = peer.clone();
            sim.host(peer.machine.name.as_str(), move || software.clone().live());
        }
        Cluster(Arc::new(Inner {
            layout,
            peers,
            backends,
            weather,
            claims,
            book,
            bills,
            dice: Mutex::new(env.seed.fork("scenario")),
            env,
            asked: AtomicU32::new(0),
            disturbed: AtomicBool::new(false),
            answers: Mutex::default(),
            measured: Mutex::default(),
            figures: Mutex::default(),
            orders: Mutex::default(),
        }))
    }

    /// Runs `script` on its own host until it ends, doing what it orders.
    ///
    /// # Errors
    /// A host's software failed, or the time of the simulation is up.
    pub(crate) fn run(
        &self,
        sim: &mut turmoil::Sim<'_>,
        script: impl Future<Output = ()> + 'static,
    ) -> Result<(), String> {
        sim.client(SCRIPT, async move {
            script.await;
            Ok(())
        });
        loop {
            if sim.step().map_err(|error| error.to_string())? {
                return Ok(());
            }
            let orders = std::mem::take(&mut *lock(&self.0.orders));
            for (order, done) in orders {
                self.obey(sim, order);
                let _ = done.send(());
            }
        }
    }

    fn obey(&self, sim: &mut turmoil::Sim<'_>, order: Order) {
        match order {
            Order::Crash(at) => {
                sim.crash(self.0.peers[at].machine.ip);
                self.0.peers[at].ended();
            }
            Order::Start(at) => {
                self.0.peers[at].starting();
                sim.bounce(self.0.peers[at].machine.ip);
            }
        }
    }

    async fn order(&self, order: Order) {
        trace::event(format_args!("{order:?}"));
        self.disturb();
        let (done, obeyed) = oneshot::channel();
        lock(&self.0.orders).push((order, done));
        let _ = obeyed.await;
    }

    /// What must hold.
    pub(crate) fn claims(&self) -> &Claims {
        &self.0.claims
    }

    /// Whether the mesh has a key.
    pub(crate) fn is_keyed(&self) -> bool {
        self.0.layout.keyed
    }

    /// What the backends did.
    pub(crate) fn book(&self) -> &Book {
        &self.0.book
    }

    /// What vendors want.
    pub(crate) fn bills(&self) -> &Bills {
        &self.0.bills
    }

    /// Every request so far and what came of it.
    pub(crate) fn answers(&self) -> Vec<Answer> {
        lock(&self.0.answers).clone()
    }

    /// How many peers there are, up or not.
    pub(crate) fn size(&self) -> usize {
        self.0.peers.len()
    }

    /// A peer that is down loses its disk: it will be somebody new.
    pub(crate) fn wipe(&self, at: usize) {
        trace::event(format_args!("wipe {at}"));
        let machine = &self.peer(at).machine;
        machine.disk.wipe();
        machine.clock.forget();
        self.0.bills.lose(at);
    }

    /// Chance for the scenario itself.
    pub(crate) fn dice(&self) -> MutexGuard<'_, Dice> {
        lock(&self.0.dice)
    }

    /// The peer of this number.
    pub(crate) fn peer(&self, at: usize) -> &Arc<Peer> {
        &self.0.peers[at]
    }

    /// The backend of this name.
    pub(crate) fn backend(&self, name: &str) -> &Arc<Scripted> {
        let named = self.0.backends.iter().find(|backend| backend.character.name == name);
        named.expect("scenarios name the backends of their own layout")
    }

    /// From now on something is wrong, so that some requests need more than one attempt.
    pub(crate) fn disturb(&self) {
        self.0.disturbed.store(true, Ordering::Relaxed);
    }

    /// Something is wrong with a backend, or not any more.
    pub(crate) fn set_mood(&self, backend: &str, mood: Mood) {
        self.disturb();
        self.backend(backend).set_mood(mood);
    }

    /// This share of datagrams is lost from now on.
    pub(crate) fn set_loss(&self, share: f64) {
        self.disturb();
        self.0.weather.set_loss(share);
    }

    /// Kills the process of a peer: nothing is said to anybody. Its disk stays.
    pub(crate) async fn crash(&self, at: usize) {
        self.order(Order::Crash(at)).await;
    }

    /// Starts a peer that is down, and waits until its node runs.
    pub(crate) async fn start(&self, at: usize) {
        self.order(Order::Start(at)).await;
        while !self.peer(at).is_running() {
            sleep(LOOK_EVERY).await;
        }
    }

    /// Asks a peer to finish what it has and to go, and waits until it has.
    pub(crate) async fn stop(&self, at: usize) {
        trace::event(format_args!("stop {at}"));
        self.peer(at).ask_to_stop();
        while self.peer(at).is_running() {
            sleep(LOOK_EVERY).await;
        }
    }

    /// No packet passes between any of `some` and any of `others`.
    pub(crate) fn split(&self, some: &[usize], others: &[usize]) {
        trace::event(format_args!("split {some:?} {others:?}"));
        self.disturb();
        self.between(some, others, turmoil::partition);
    }

    /// No packet passes from any of `some` to any of `others`; the other way they do.
    pub(crate) fn silence(&self, some: &[usize], others: &[usize]) {
        trace::event(format_args!("silence {some:?} {others:?}"));
        self.disturb();
        self.between(some, others, turmoil::partition_oneway);
    }

    /// Every packet passes again.
    pub(crate) fn heal(&self, some: &[usize], others: &[usize]) {
        trace::event(format_args!("heal {some:?} {others:?}"));
        self.between(some, others, turmoil::repair);
    }

    fn between(&self, some: &[usize], others: &[usize], change: impl Fn(std::net::IpAddr, std::net::IpAddr)) {
        for one in some {
            for other in others {
                change(self.peer(*one).machine.ip, self.peer(*other).machine.ip);
            }
        }
    }

    /// Asks the peer of this number.
    pub(crate) async fn ask(&self, at: usize, ask: Ask) -> Answer {
        let peer = self.peer(at);
        let (starts, up) = (peer.starts(), peer.is_running());
        let id = format!("req-{}", self.0.asked.fetch_add(1, Ordering::Relaxed));
        let mut answer = client::chat(&self.0.env, &peer.machine.name, id, &ask).await;
        answer.entry = at;
        answer.entry_died = !up || !peer.is_running() || peer.starts() != starts;
        self.0.claims.check_answer(&answer, self.0.layout.keyed);
        self.check_voice(&answer);
        lock(&self.0.answers).push(answer.clone());
        answer
    }

    /// The peer that is named is the one that owns the backend that spoke: there was no further hop. One that came back as
    /// somebody new shares its name with who it was until that one is dead; then its id is behind the name.
    fn check_voice(&self, answer: &Answer) {
        let Some((speaker, _)) = answer.text.split_once(':') else { return };
        let owner = self.backend(speaker).character.owner;
        let (Some(peer), true) = (&answer.peer, owner < self.0.peers.len()) else { return };
        let told = format!("{} names {peer}, but {speaker} spoke", answer.request);
        // A peer that came back as somebody else shares its name with its former life for a while: then ids tell them apart.
        let name = peer_name(owner);
        let is_owner = peer.strip_prefix(&*name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        self.claims().hold(is_owner, "a request is served by the peer it was forwarded to", format_args!("{told}"));
    }

    /// A management call or a view.
    pub(crate) async fn call(&self, at: usize, method: Method, path: &str, body: &Value) -> Result<(u16, Value), End> {
        client::call(&self.0.env, &self.peer(at).machine.name, method, path, body).await
    }

    /// What is seen of every peer that is up.
    pub(crate) fn sights(&self) -> Vec<(String, Sight)> {
        let seen = |peer: &Arc<Peer>| Some((peer.machine.name.clone(), peer.sight()?));
        self.0.peers.iter().filter_map(seen).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

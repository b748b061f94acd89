//! `GET /ws`: what dashboards follow without asking again. Whoever connects is told how everything stands, then what changes.
//! Every message is made once for all who follow, and none is made where nobody does.

mod asking;
mod circle;
mod heard;
mod socket;
mod told;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Utf8Bytes, WebSocketUpgrade};
use axum::extract::{RawQuery, State as Shared};
use axum::response::Response;
use http::HeaderMap;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::query::Query;
use super::serve::Source;
use super::watchers::Watchers;
use super::{View, gate, respond};
use crate::dialect::Fault;
use crate::env::{Clock, Tasks};
use crate::gateway::{Gateway, History, Page, State as How};

use circle::Circle;
use heard::Heard;
use socket::Following;
use told::Standing;

/// What has ended is told so often, and as soon as there is much of it: many together cost little more than one.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// With so many times of telling changes are looked for: many within that are one message.
const LOOK_EVERY: u64 = 2;

/// What a connection holds back at most until its client has taken it, in bytes: what is more waits with all others'.
const HELD_BACK: usize = 64 << 10;

/// What a client may send in one message, in bytes. Nothing that it sends is wanted.
const MOST_MESSAGE: usize = 64 << 10;

/// What is read of a client at once, in bytes. All of it is cleared for each look, and clients say next to nothing.
const READ_AT_ONCE: usize = 4 << 10;

/// Whose part of the world is followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// This peer's.
    Own,
    /// Everybody's, as this peer hears it.
    Mesh,
}

/// Tells those who follow.
pub(super) struct Hub {
    view: View,
    gateway: Arc<Gateway>,
    watchers: Arc<Watchers>,
    tasks: Tasks,
    /// One moment by both clocks.
    began: (Instant, Duration),
    state: Mutex<State>,
}

/// What those who follow have in common.
struct State {
    /// Whether somebody looks for changes.
    running: bool,
    /// How everything stood at the last look, and whether other peers' part is in it.
    looked: Looked,
    of_mesh: bool,
    /// The last end of a request of this peer that was told; see [`Page::ordinal`].
    last: u64,
    /// Ends that were told, of this peer and of others.
    told: u64,
    /// Whether somebody asks the other peers what has ended.
    asking: bool,
    /// What was told of requests in which several peers may have a part.
    heard: Heard,
    own: Circle,
    mesh: Circle,
}

/// How everything stood at the last look.
type Looked = BTreeMap<told::Named, Standing>;

impl Hub {
    pub(super) fn new(
        view: View,
        gateway: Arc<Gateway>,
        watchers: Arc<Watchers>,
        tasks: Tasks,
        clock: &dyn Clock,
    ) -> Self {
        let (own, mesh) = (Circle::new(), Circle::new());
        let (looked, running, of_mesh, asking) = (Looked::new(), false, false, false);
        let heard = Heard::default();
        let state = State { running, looked, of_mesh, last: 0, told: 0, asking, heard, own, mesh };
        let began = (Instant::now(), clock.since_epoch());
        Hub { view, gateway, watchers, tasks, began, state: Mutex::new(state) }
    }

    /// How everything stands and everything that is told from now on; with `since`, also the ends of requests that were told
    /// after that one.
    fn follow(self: &Arc<Self>, scope: Scope, since: Option<u64>) -> Following {
        let mut state = self.lock();
        let of_mesh = scope == Scope::Mesh;
        if !std::mem::replace(&mut state.running, true) {
            let (last, ends) = self.gateway.book().follow();
            (state.looked, state.of_mesh, state.last) = (self.look(of_mesh), of_mesh, last);
            let hub = self.clone();
            self.tasks.spawn("live", async move { hub.run(ends).await });
        } else if of_mesh && !std::mem::replace(&mut state.of_mesh, true) {
            let others = self.others();
            state.looked.extend(others);
        }
        if of_mesh
            && let Some(mesh) = self.view.mesh.clone()
            && !std::mem::replace(&mut state.asking, true)
        {
            let hub = self.clone();
            self.tasks.spawn("live-mesh", async move { hub.ask(mesh).await });
        }
        let state = &mut *state;
        state.tell_ends();
        let until = state.told;
        let circle = match scope {
            Scope::Own => &mut state.own,
            Scope::Mesh => &mut state.mesh,
        };
        let looked = &state.looked;
        let now = circle.now.get_or_insert_with(|| snapshot(looked, scope)).clone();
        let missed = since.map(|since| circle.ends_since(since)).unwrap_or_default();
        Following { now, missed, until, live: circle.follow() }
    }

    /// Tells what changes for as long as anybody follows.
    async fn run(&self, mut ends: broadcast::Receiver<Arc<Page>>) {
        let mut tick = interval(TELL_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut turn = 0_u64;
        loop {
            let is_turn = tokio::select! {
                biased;
                _ = tick.tick() => true,
                () = self.gateway.book().many_ended() => false,
            };
            let mut state = self.lock();
            if is_turn && turn.is_multiple_of(LOOK_EVERY) {
                if state.is_over() {
                    return;
                }
                self.tell_changes(&mut state);
            }
            turn += u64::from(is_turn);
            self.take_ends(&mut state, &mut ends);
            if is_turn {
                state.tell_ends();
            }
        }
    }

    /// Takes what has ended here. What is not enough to be told at once waits for the next turn.
    fn take_ends(&self, state: &mut State, ends: &mut broadcast::Receiver<Arc<Page>>) {
        let mut is_behind = false;
        loop {
            match ends.try_recv() {
                Ok(page) => {
                    // Too many at once: of those that nobody holds back any more, what the book has kept is told.
                    if std::mem::take(&mut is_behind) {
                        let kept = self.gateway.book().ended_since(state.last);
                        let is_lost = |kept: &&Arc<Page>| kept.ordinal() < page.ordinal();
                        kept.iter().take_while(is_lost).for_each(|page| self.tell_end(state, page));
                    }
                    self.tell_end(state, &page);
                }
                Err(TryRecvError::Lagged(_)) => is_behind = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn tell_end(&self, state: &mut State, page: &Page) {
        let ordinal = page.ordinal();
        if ordinal <= state.last {
            return;
        }
        state.last = ordinal;
        state.told += 1;
        let told = state.told;
        let tell = |circle: &mut Circle, entry: &History<&str>| circle.tell_end(told, |to| told::complete(entry, to));
        if !state.own.is_empty() && !page.is_from_peer() {
            page.read_history(None, |entry| tell(&mut state.own, &entry));
        }
        if !state.mesh.is_empty() && self.is_news(&mut state.heard, page) {
            self.gateway.read_way(page, |entry| tell(&mut state.mesh, &entry));
        }
    }

    /// Whether the end of what this peer did is told to those who follow the mesh: it may have been told as another peer saw
    /// it, and that a peer was refused is the end of no request.
    fn is_news(&self, heard: &mut Heard, page: &Page) -> bool {
        match page.from() {
            None => true,
            Some(entry) => page.state() != How::Refused && heard.own((entry.clone(), page.id.clone())),
        }
    }

    fn tell_changes(&self, state: &mut State) {
        let State { looked: before, of_mesh, own, mesh, .. } = state;
        *of_mesh = !mesh.is_empty();
        let now = self.look(*of_mesh);
        if !*of_mesh {
            // Whoever asks for them later gets all of them first.
            before.retain(|(owner, _), _| owner.is_none());
        }
        for (circle, is_in) in
            [(own, (|named| named.0.is_none()) as fn(&told::Named) -> bool), (mesh, |_: &told::Named| true)]
        {
            circle.now = None;
            if circle.is_empty() {
                circle.forget();
                continue;
            }
            let in_scope = || now.iter().filter(|(named, _)| is_in(named));
            let is_new = |(named, standing): &(&told::Named, &Standing)| {
                before.get(*named).is_none_or(|known| known.status != standing.status)
            };
            let has_other_models = |(named, standing): &(&told::Named, &Standing)| {
                before.get(*named).is_none_or(|known| known.models != standing.models)
            };
            let is_gone = |(named, _): &(&told::Named, &Standing)| is_in(named) && !now.contains_key(*named);
            let gone = before.iter().filter(is_gone).map(|((_, name), standing)| told::gone(name, standing));
            let gone: Vec<Standing> = gone.collect();
            let mut changes = told::statuses(in_scope().filter(is_new).map(|(_, standing)| standing).chain(&gone));
            let of_models = in_scope().filter(has_other_models);
            changes.extend(of_models.flat_map(|((_, name), standing)| told::models(name, standing)));
            circle.tell_changes(changes);
        }
        *before = now;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn others(&self) -> Looked {
        self.view.mesh.as_ref().map(told::others).unwrap_or_default()
    }

    fn look(&self, of_mesh: bool) -> Looked {
        let mut looked = told::own(&self.view, self.began);
        if of_mesh {
            looked.extend(self.others());
        }
        looked
    }
}

impl State {
    /// Whether nobody follows any more. If so, nothing of it is kept.
    fn is_over(&mut self) -> bool {
        self.running = !(self.own.is_empty() && self.mesh.is_empty());
        if !self.running {
            self.looked.clear();
            self.own.forget();
            self.mesh.forget();
        }
        !self.running
    }

    /// Tells the ends that are still to be told.
    fn tell_ends(&mut self) {
        self.own.tell_ends(self.told);
        self.mesh.tell_ends(self.told);
    }
}

/// How everything in `scope` stood at a look.
fn snapshot(looked: &Looked, scope: Scope) -> Arc<[Utf8Bytes]> {
    let in_scope = || looked.iter().filter(|((owner, _), _)| scope == Scope::Mesh || owner.is_none());
    let mut messages = told::statuses(in_scope().map(|(_, standing)| standing));
    messages.extend(in_scope().flat_map(|((_, name), standing)| told::models(name, standing)));
    messages.into_iter().map(Utf8Bytes::from).collect()
}

pub(super) async fn connect(
    Shared(hub): Shared<Arc<Hub>>,
    source: Option<Extension<Source>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let admitted = || {
        gate::refuse_other_pages(&headers)?;
        let query = Query::read(query.as_deref(), &["scope"])?;
        let scope = if query.is_of_mesh()? { Scope::Mesh } else { Scope::Own };
        let upgrade = upgrade.map_err(|why| Fault::bad_request(format!("Connect here as a WebSocket: {why}")))?;
        Ok((scope, upgrade, hub.watchers.place(source.map(|Extension(source)| source))?))
    };
    match admitted() {
        Ok((scope, upgrade, place)) => {
            let upgrade = upgrade.max_message_size(MOST_MESSAGE).max_frame_size(MOST_MESSAGE);
            let upgrade = upgrade.read_buffer_size(READ_AT_ONCE);
            let upgrade = upgrade.write_buffer_size(HELD_BACK).max_write_buffer_size(2 * HELD_BACK);
            // Once the connection is a WebSocket it is a task of this node like any other.
            upgrade.on_upgrade(move |socket| async move {
                let tasks = hub.tasks.clone();
                tasks.spawn("websocket", async move {
                    let _place = place;
                    let closing = hub.watchers.closing.clone();
                    socket::serve(socket, |since| hub.follow(scope, since), closing).await;
                });
            })
        }
        Err(fault) => respond::fault(&fault),
    }
}

#[cfg(test)]
mod tests;

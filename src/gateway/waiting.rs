//! Where every slot is taken: a request waits at the owner where its turn comes first. Here, for whichever of this peer's
//! backends frees a slot first; or at another peer, which takes it into its own queue.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::error::Failure;
use super::outcome::{Miss, Missed, Step};
use super::record::Trip;
use super::turns::Turns;
use super::{Ask, Gateway, left};
use crate::exchange::Origin;
use crate::fleet::{Load, Status};
use crate::queue::{Place as Waiter, Priority, Wish};
use crate::registry::{Entry, InFlight};
use crate::route::Place;

/// What an attempt has been given beforehand.
pub(super) enum Grant {
    /// Nothing: it takes a slot, or is refused.
    None,
    /// A slot of a backend here.
    Slot(InFlight),
    /// It may wait for one at its owner.
    MayQueue,
}

impl Gateway {
    /// Waits until one of those that were busy has a slot, or names the peer where it is best to wait. `None`: nobody is
    /// worth waiting for.
    pub(super) async fn wait(
        &self,
        turns: &mut Turns,
        ask: &Ask<'_>,
        deadline: Instant,
        trip: &mut Trip,
    ) -> Result<Option<(Step, Grant)>, Failure> {
        let may_queue = match &ask.request.origin {
            Origin::Client => true,
            Origin::Peer(hop) => hop.may_queue,
        };
        if !may_queue || self.manner.queue.size() == 0 || left(deadline).is_zero() {
            return Ok(None);
        }
        let (here, mut there): (Vec<Missed>, Vec<Missed>) =
            turns.take_busy().into_iter().partition(|missed| missed.step.planned.place.is_here());
        there.sort_by_key(expected_wait_there);
        let nearest = there.first().map(expected_wait_there);
        let wait_here = self.expected_wait_here(&here);
        match (wait_here, nearest) {
            (None, None) => Ok(None),
            (here_wait, Some(wait)) if here_wait.is_none_or(|here_wait| wait < here_wait) => {
                let Missed { step, .. } = there.swap_remove(0);
                trip.waited();
                Ok(Some((Step { deadline, waits: true, ..step }, Grant::MayQueue)))
            }
            (expected, _) => self.wait_here(here, expected.unwrap_or_default(), ask, deadline, trip).await.map(Some),
        }
    }

    fn expected_wait_here(&self, busy: &[Missed]) -> Option<Duration> {
        let snapshot = self.registry.snapshot();
        let waits = busy.iter().filter_map(|missed| snapshot.get(missed.step.planned.place.backend()));
        waits.map(|entry| entry.load().expected_wait()).min()
    }

    async fn wait_here(
        &self,
        mut busy: Vec<Missed>,
        expected: Duration,
        ask: &Ask<'_>,
        deadline: Instant,
        trip: &mut Trip,
    ) -> Result<(Step, Grant), Failure> {
        let priority = Priority::read(ask.request.headers.get("x-nexus-priority").map(|value| value.as_bytes()));
        let snapshot = self.registry.snapshot();
        let named = busy.iter().map(|missed| missed.step.planned.place.backend());
        let entries: Vec<Arc<Entry>> = named.filter_map(|name| snapshot.get(name).cloned()).collect();
        drop(snapshot);
        let backends = entries.iter().map(|entry| entry.name.clone()).collect();
        let wish = Wish { backends, priority, client: ask.request.client.clone() };
        let full = |depth| Failure::QueueFull { depth, priority };
        let mut place = self.queue.enter(wish).map_err(|crate::queue::Full { depth }| full(depth))?;
        trip.queued(place.position, expected);
        let _counted: Vec<_> = entries.iter().map(Entry::wait).collect();
        // A slot that was freed between the refusal and now is offered to nobody else.
        for entry in &entries {
            self.queue.offer(&entry.name, || entry.begin().ok());
        }
        let began = Instant::now();
        let until = deadline.min(began + self.manner.queue.max_wait());
        match self.slot_before(until, &mut place, &entries).await {
            Some(lease) => {
                let name = &lease.entry().name;
                let at = busy.iter().position(|missed| missed.step.planned.place.backend() == name);
                let Missed { step, .. } = busy.swap_remove(at.unwrap_or(0));
                Ok((Step { deadline, ..step }, Grant::Slot(lease)))
            }
            None => {
                let waited = began.elapsed();
                Err(Failure::QueueTimeout { waited, depth: self.queue.depth(), priority })
            }
        }
    }

    /// A slot, unless it takes until `until`, or nobody is left to wait for.
    async fn slot_before(
        &self,
        until: Instant,
        place: &mut Waiter<InFlight>,
        entries: &[Arc<Entry>],
    ) -> Option<InFlight> {
        let mut changed = self.registry.changed();
        loop {
            tokio::select! {
                biased;
                slot = place.slot() => return slot,
                () = tokio::time::sleep_until(until) => return None,
                changed = changed.changed() => {
                    let is_there = |entry: &Arc<Entry>| {
                        let well = !matches!(entry.condition().status, Status::Unhealthy | Status::Draining);
                        well && !entry.gone.is_cancelled()
                    };
                    if changed.is_err() || !entries.iter().any(is_there) {
                        return None;
                    }
                }
            }
        }
    }
}

/// How long one more request would wait at the peer that has just refused this one.
fn expected_wait_there(missed: &Missed) -> Duration {
    let Missed { step, miss } = missed;
    let told = match miss {
        Miss::Refused(refusal) => refusal.load,
        _ => None,
    };
    debug_assert!(matches!(step.planned.place, Place::There { .. }));
    told.as_ref().map_or(UNTOLD_WAIT, Load::expected_wait)
}

/// What is assumed of a peer that does not tell: worse than most that do.
const UNTOLD_WAIT: Duration = Duration::from_secs(10);

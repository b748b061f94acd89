//! Where every slot is taken: a request waits at the owner where its turn comes first. Here, for whichever of this peer's
//! backends frees a slot first; or at another peer, which takes it into its own queue.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::error::Failure;
use super::outcome::{Miss, Step};
use super::record::Trip;
use super::turns::Turns;
use super::{Ask, Gateway, left};
use crate::exchange::Origin;
use crate::fleet::Load;
use crate::queue::{Place as Waiter, Priority, Wish};
use crate::registry::{Entry, InFlight};
use crate::route::{self, Place};

/// What an attempt has been given beforehand.
pub(super) enum Grant {
    /// Nothing: it takes a slot, or is refused.
    None,
    /// A slot of a backend here.
    Slot(InFlight),
    /// It may wait for one at its owner.
    MayQueue,
}

/// What comes of waiting.
pub(super) enum Waited {
    /// A slot, or the peer that will have one.
    Granted(Box<Step>, Grant),
    /// Nobody is worth waiting for.
    ForNobody,
    /// Those that were waited for have gone, or cannot serve any more.
    InVain,
}

/// Who is worth waiting for, and how long it would take there.
struct Spot {
    step: route::Step,
    expected: Duration,
}

impl Gateway {
    /// Waits until one of those that were busy has a slot, or names the peer where it is best to wait.
    ///
    /// # Errors
    /// No slot became free in time, or as many wait as may; nobody else would take it either.
    pub(super) async fn wait(
        &self,
        turns: &mut Turns,
        ask: &Ask<'_>,
        deadline: Instant,
        trip: &mut Trip,
    ) -> Result<Waited, Failure> {
        let may_queue = match &ask.request.origin {
            Origin::Client => true,
            Origin::Peer(hop) => hop.may_queue,
        };
        if !may_queue || self.manner.queue.size() == 0 || left(deadline).is_zero() {
            return Ok(Waited::ForNobody);
        }
        let (here, there) = self.spots(turns);
        let shortest = |spots: &[Spot]| spots.iter().map(|spot| spot.expected).min();
        let is_nearer_there = match (shortest(&here), shortest(&there)) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(here), Some(there)) => there < here,
        };
        if here.is_empty() && there.is_empty() {
            return Ok(Waited::ForNobody);
        }
        if !is_nearer_there {
            match self.wait_here(turns, &here, ask, deadline, trip).await {
                Err(Failure::QueueFull { .. }) if !there.is_empty() => {}
                waited => return waited,
            }
        }
        let Some(best) = there.into_iter().min_by_key(|spot| spot.expected) else { return Ok(Waited::ForNobody) };
        trip.waited();
        Ok(Waited::Granted(Box::new(turns.granted(&best.step, deadline, true)), Grant::MayQueue))
    }

    /// Where it may wait: here, and at other peers.
    fn spots(&self, turns: &Turns) -> (Vec<Spot>, Vec<Spot>) {
        let snapshot = self.registry.snapshot();
        let (mut here, mut there): (Vec<Spot>, Vec<Spot>) = (Vec::new(), Vec::new());
        for missed in turns.busy() {
            let step = &missed.step.planned;
            let (spots, expected) = match &step.place {
                Place::There { .. } => (&mut there, expected_wait_there(&missed.miss)),
                // One that has gone meanwhile is found missing when it is waited for.
                Place::Here { backend } => {
                    (&mut here, snapshot.get(backend).map_or(Duration::ZERO, |entry| entry.load().expected_wait()))
                }
            };
            if spots.iter().all(|spot| spot.step.place != step.place) {
                spots.push(Spot { step: step.clone(), expected });
            }
        }
        (here, there)
    }

    async fn wait_here(
        &self,
        turns: &mut Turns,
        spots: &[Spot],
        ask: &Ask<'_>,
        deadline: Instant,
        trip: &mut Trip,
    ) -> Result<Waited, Failure> {
        let priority = Priority::read(ask.request.headers.get("x-nexus-priority").map(|value| value.as_bytes()));
        // From here on, so that no change is missed.
        let changed = self.registry.changed();
        let snapshot = self.registry.snapshot();
        let named = spots.iter().map(|spot| spot.step.place.backend());
        let entries: Vec<Arc<Entry>> = named.filter_map(|name| snapshot.get(name).cloned()).collect();
        drop(snapshot);
        let may_renew = turns.may_renew();
        let in_vain = || if may_renew { Waited::InVain } else { Waited::ForNobody };
        let Some(soonest) = entries.iter().min_by_key(|entry| (!entry.may_serve(), entry.load().expected_wait()))
        else {
            return Ok(in_vain());
        };

        let max_wait = self.manner.queue.max_wait();
        let backends = entries.iter().map(|entry| entry.name.clone()).collect();
        let wish = Wish { backends, priority, client: ask.request.client.clone() };
        let full = |depth| Failure::QueueFull { max_wait, depth, priority };
        let mut place = self.queue.enter(wish).map_err(|crate::queue::Full { depth }| full(depth))?;
        trip.queued(place.position, soonest.load().expected_wait());
        // It will take one slot, wherever: it counts where that is likeliest.
        let _counted = soonest.wait();
        // A slot that was freed between the refusal and now is offered to nobody else.
        for entry in &entries {
            self.queue.offer(&entry.name, || entry.grant());
        }
        let began = Instant::now();
        let until = deadline.min(began + max_wait);
        match slot_before(until, &mut place, &entries, changed).await {
            Ok(lease) => {
                let is_its = |spot: &&Spot| spot.step.place.backend() == &lease.entry().name;
                let Some(spot) = spots.iter().find(is_its) else { return Ok(in_vain()) };
                Ok(Waited::Granted(Box::new(turns.granted(&spot.step, deadline, false)), Grant::Slot(lease)))
            }
            Err(NoSlot::InVain) => Ok(in_vain()),
            Err(NoSlot::InTime) => {
                Err(Failure::QueueTimeout { waited: until - began, depth: self.queue.depth(), priority })
            }
        }
    }
}

/// Why no slot came.
enum NoSlot {
    InTime,
    InVain,
}

/// A slot, unless it takes until `until`, or nobody is left to wait for.
async fn slot_before(
    until: Instant,
    place: &mut Waiter<InFlight>,
    entries: &[Arc<Entry>],
    mut changed: watch::Receiver<u64>,
) -> Result<InFlight, NoSlot> {
    loop {
        if !entries.iter().any(|entry| entry.is_there()) {
            return Err(NoSlot::InVain);
        }
        tokio::select! {
            biased;
            slot = place.slot() => return slot.ok_or(NoSlot::InVain),
            () = tokio::time::sleep_until(until) => return Err(NoSlot::InTime),
            changed = changed.changed() => changed.map_err(|_| NoSlot::InVain)?,
        }
    }
}

/// How long one more request would wait at the peer that has just refused this one.
fn expected_wait_there(miss: &Miss) -> Duration {
    let told = match miss {
        Miss::Refused(refusal) => refusal.load,
        _ => None,
    };
    told.as_ref().map_or(UNTOLD_WAIT, Load::expected_wait)
}

/// What is assumed of a peer that does not tell: worse than most that do.
const UNTOLD_WAIT: Duration = Duration::from_secs(10);

//! Where every slot is taken: a request waits at the owner where its turn comes first. Here, for whichever of this peer's
//! backends frees a slot first; or at another peer, which takes it into its own queue.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::error::Failure;
use super::line::NoSlot;
use super::outcome::{Miss, Step};
use super::record::Trip;
use super::turns::Turns;
use super::{Ask, Gateway, left};
use crate::exchange::Origin;
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

impl Ask<'_> {
    /// Whether the request may wait somewhere if it has to: here, or where its entry knows of.
    pub(super) fn may_wait(&self) -> bool {
        let goes_back = matches!(&self.request.origin, Origin::Peer(hop) if !hop.may_queue);
        goes_back || self.edition.manner.queue.size() > 0
    }
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
        if self.patience_in_line(ask) < Duration::MAX || left(deadline).is_zero() {
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

    /// How long the request may wait for a slot, but for what the queue allows: all the time there is, or as long as the
    /// entry says it is worth.
    fn patience_in_line(&self, ask: &Ask<'_>) -> Duration {
        match &ask.request.origin {
            _ if ask.edition.manner.queue.size() == 0 => Duration::ZERO,
            Origin::Peer(hop) if !hop.may_queue => hop.may_wait,
            _ => Duration::MAX,
        }
    }

    /// A slot for `step`, where it is worth waiting for one rather than going on to the next candidate; or one of another
    /// backend here that frees one sooner and is as good. `None`: those that were waited for have gone.
    ///
    /// # Errors
    /// No slot became free in time.
    pub(super) async fn grant(
        &self,
        step: Step,
        turns: &mut Turns,
        ask: &Ask<'_>,
        deadline: Instant,
        trip: &mut Trip,
    ) -> Result<Option<(Step, Grant)>, Failure> {
        // Half of the time there is must be left for the answer: whoever gives up in line has waited for nothing.
        let worth = step.planned.worth.min(self.patience_in_line(ask)).min(left(deadline) / 2);
        let Place::Here { backend } = &step.planned.place else { return Ok(Some((step, Grant::None))) };
        let snapshot = self.registry.snapshot();
        // A model that leaves is to be asked for elsewhere, whatever that was thought to take.
        let may_wait_at = |entry: &&Arc<Entry>| entry.may_serve() && !entry.is_leaving(&step.planned.served.id);
        let entry = snapshot.get(backend).filter(|entry| !worth.is_zero() && may_wait_at(entry)).cloned();
        let Some(entry) = entry else { return Ok(Some((step, Grant::None))) };
        match self.slot_of(backend, &step, ask) {
            Ok(lease) => return Ok(Some((step, Grant::Slot(lease)))),
            Err(Miss::Busy) => {}
            Err(_) => return Ok(Some((step, Grant::None))),
        }
        let taken = entry.is_taken_for(&step.planned.served.id);
        if entry.load().expected_wait().max(taken) > worth {
            return Ok(Some((step, Grant::None)));
        }
        let beside = turns.beside(&step.planned);
        let others = beside.iter().filter_map(|other| snapshot.get(other.place.backend()).cloned());
        let entries: Vec<Arc<Entry>> = std::iter::once(entry).chain(others).collect();
        drop(snapshot);
        let began = Instant::now();
        let is_ours = matches!(ask.request.origin, Origin::Client);
        match self.stand_in_line(&entries, &step.planned.served.id, ask, (deadline, worth), trip).await {
            Ok(lease) => {
                // No backend is to blame for the time that went by before it was asked.
                let step = Step { deadline: deadline.min(step.deadline + began.elapsed()), ..step };
                let is_its = |other: &&route::Step| other.place.backend() == &lease.entry().name;
                let step = match beside.iter().find(is_its) {
                    Some(other) => turns.exchanged(step, other),
                    None => step,
                };
                Ok(Some((step, Grant::Slot(lease))))
            }
            // Somebody else is better now. The plan was made for another moment; that of a peer's request is its entry's.
            Err(NoSlot::NotWorthIt) if turns.may_renew() && is_ours => Ok(None),
            Err(NoSlot::InVain) if turns.may_renew() => Ok(None),
            Err(NoSlot::Full(_) | NoSlot::NotWorthIt | NoSlot::InVain) => Ok(Some((step, Grant::None))),
            Err(NoSlot::InTime(failure)) => Err(failure),
        }
    }

    /// Where it may wait: here, and at other peers.
    fn spots(&self, turns: &Turns) -> (Vec<Spot>, Vec<Spot>) {
        let snapshot = self.registry.snapshot();
        let (mut here, mut there): (Vec<Spot>, Vec<Spot>) = (Vec::new(), Vec::new());
        for (step, told) in turns.busy() {
            let (spots, wait) = match &step.place {
                Place::There { .. } => {
                    (&mut there, told.map_or(step.estimate.wait.max(LEAST_WAIT), |load| load.expected_wait()))
                }
                // One that has gone meanwhile is found missing when it is waited for.
                Place::Here { backend } => {
                    let expected =
                        |entry: &Arc<Entry>| entry.load().expected_wait().max(entry.is_taken_for(&step.served.id));
                    (&mut here, snapshot.get(backend).map_or(Duration::ZERO, expected))
                }
            };
            spots.push(Spot { step: step.clone(), expected: wait.saturating_add(step.estimate.service) });
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
        let snapshot = self.registry.snapshot();
        let named = spots.iter().map(|spot| spot.step.place.backend());
        let entries: Vec<Arc<Entry>> = named.filter_map(|name| snapshot.get(name).cloned()).collect();
        drop(snapshot);
        let may_renew = turns.may_renew();
        let in_vain = || if may_renew { Waited::InVain } else { Waited::ForNobody };
        let Some(model) = spots.first().map(|spot| spot.step.served.id.as_str()) else { return Ok(in_vain()) };
        match self.stand_in_line(&entries, model, ask, (deadline, Duration::MAX), trip).await {
            Ok(lease) => {
                let is_its = |spot: &&Spot| spot.step.place.backend() == &lease.entry().name;
                let Some(spot) = spots.iter().find(is_its) else { return Ok(in_vain()) };
                Ok(Waited::Granted(Box::new(turns.granted(&spot.step, deadline, false)), Grant::Slot(lease)))
            }
            Err(NoSlot::InVain | NoSlot::NotWorthIt) => Ok(in_vain()),
            Err(NoSlot::InTime(failure) | NoSlot::Full(failure)) => Err(failure),
        }
    }
}

/// What is assumed of a peer that was not asked because others were busy: that it is, too.
const LEAST_WAIT: Duration = Duration::from_secs(1);

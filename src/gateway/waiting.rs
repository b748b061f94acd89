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
use super::{Ask, Gateway, intent, left, survey};
use crate::exchange::{Origin, Request};
use crate::fleet::Load;
use crate::queue::{self, Place as Waiter, Priority, Wish};
use crate::registry::{Entry, InFlight};
use crate::route::{self, Intent, Place};

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
            _ if self.manner.queue.size() == 0 => Duration::ZERO,
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
        let entry = snapshot.get(backend).filter(|entry| !worth.is_zero() && entry.may_serve()).cloned();
        let Some(entry) = entry else { return Ok(Some((step, Grant::None))) };
        match self.slot_of(backend, &step, ask) {
            Ok(lease) => return Ok(Some((step, Grant::Slot(lease)))),
            Err(Miss::Busy) => {}
            Err(_) => return Ok(Some((step, Grant::None))),
        }
        if entry.load().expected_wait() > worth {
            return Ok(Some((step, Grant::None)));
        }
        let beside = turns.beside(&step.planned);
        let others = beside.iter().filter_map(|other| snapshot.get(other.place.backend()).cloned());
        let entries: Vec<Arc<Entry>> = std::iter::once(entry).chain(others).collect();
        drop(snapshot);
        let began = Instant::now();
        let is_ours = matches!(ask.request.origin, Origin::Client);
        match self.stand_in_line(&entries, ask, (deadline, worth), trip).await {
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

    /// Whether a request may wait somewhere if it has to: here, or where its entry knows of.
    pub(super) fn may_wait(&self, request: &Request) -> bool {
        let goes_back = matches!(&request.origin, Origin::Peer(hop) if !hop.may_queue);
        goes_back || self.manner.queue.size() > 0
    }

    /// Whether somebody else in the mesh has a slot, by what is known now, and would be done sooner than whoever stays;
    /// or just has one, for who has waited for longer than it was worth. Whoever left with nobody idle would only lose
    /// its place.
    fn is_better_elsewhere(&self, ask: &Ask<'_>, entries: &[Arc<Entry>], stays: Stay) -> bool {
        let world = survey(ask.chain, &self.sources(), &Origin::Client, ask.prefix);
        let intent = Intent { may_hop: true, ..intent(ask, self.manner.max_hops) };
        let plan = self.foresee(&intent, ask.chain, &world);
        let queued = u32::try_from(stays.before).unwrap_or(u32::MAX);
        let wait = entries.iter().map(|entry| Load { queued, ..entry.load() }.expected_wait()).min();
        let is_ours = |place: &Place| place.is_here() && entries.iter().any(|entry| entry.name == *place.backend());
        is_better(&plan.steps, is_ours, wait.filter(|_| !stays.is_late))
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
                    (&mut here, snapshot.get(backend).map_or(Duration::ZERO, |entry| entry.load().expected_wait()))
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
        match self.stand_in_line(&entries, ask, (deadline, Duration::MAX), trip).await {
            Ok(lease) => {
                let is_its = |spot: &&Spot| spot.step.place.backend() == &lease.entry().name;
                let Some(spot) = spots.iter().find(is_its) else { return Ok(in_vain()) };
                Ok(Waited::Granted(Box::new(turns.granted(&spot.step, deadline, false)), Grant::Slot(lease)))
            }
            Err(NoSlot::InVain | NoSlot::NotWorthIt) => Ok(in_vain()),
            Err(NoSlot::InTime(failure) | NoSlot::Full(failure)) => Err(failure),
        }
    }

    /// Waits in the queue for a slot of whichever of `entries` frees one first: until a deadline, and for as long as it
    /// is worth.
    async fn stand_in_line(
        &self,
        entries: &[Arc<Entry>],
        ask: &Ask<'_>,
        (deadline, worth): (Instant, Duration),
        trip: &mut Trip,
    ) -> Result<InFlight, NoSlot> {
        let priority = Priority::read(ask.request.headers.get("x-nexus-priority").map(|value| value.as_bytes()));
        // From here on, so that no change is missed.
        let changed = self.registry.changed();
        let soonest = entries.iter().min_by_key(|entry| (!entry.may_serve(), entry.load().expected_wait()));
        let soonest = soonest.ok_or(NoSlot::InVain)?;
        let max_wait = self.manner.queue.max_wait();
        let backends = entries.iter().map(|entry| entry.name.clone()).collect();
        let wish = Wish { backends, priority, client: ask.request.client.clone() };
        let full = |depth| {
            // By then all who wait now have been served, or have waited for as long as they may.
            let wait = soonest.load().expected_wait().min(max_wait);
            NoSlot::Full(Failure::QueueFull { wait, depth, priority })
        };
        let mut place = self.queue.enter(wish).map_err(|queue::Full { depth }| full(depth))?;
        trip.queued(place.position, expected_wait(soonest.load(), &place));
        // It will take one slot, wherever: it counts where that is likeliest.
        let counted = soonest.wait();
        // A slot that was freed between the refusal and now is offered to nobody else.
        for entry in entries {
            self.queue.offer(&entry.name, || entry.grant());
        }
        let began = Instant::now();
        let last = deadline.min(began + max_wait);
        let waited = loop {
            let looks = if worth < Duration::MAX { Instant::now() + LOOK_EVERY } else { last };
            let until = looks.min(last);
            match slot_before(until, &mut place, entries, changed.clone()).await {
                Err(Ended::Late) if until < last => {
                    let (before, behind) = place.around();
                    let stays = Stay { before, is_late: began.elapsed() >= worth };
                    // It has others behind it that would go first if it had to come back.
                    if behind == 0 && self.is_better_elsewhere(ask, entries, stays) {
                        break Err(Ended::NotWorthIt);
                    }
                }
                waited => break waited,
            }
        };
        match waited {
            Ok(slot) => Ok(slot),
            Err(Ended::InVain) => Err(NoSlot::InVain),
            Err(Ended::Evicted) => {
                drop(counted);
                Err(full(self.queue.depth()))
            }
            Err(Ended::NotWorthIt) => Err(NoSlot::NotWorthIt),
            Err(Ended::Late) => {
                let depth = self.queue.depth();
                Err(NoSlot::InTime(Failure::QueueTimeout { waited: last - began, depth, priority }))
            }
        }
    }
}

/// What it would be to stay in line.
struct Stay {
    /// So many others go before.
    before: usize,
    /// It has taken longer than it was worth.
    is_late: bool,
}

/// Whether some place that is not ours is idle and will surely be done sooner than one of ours is after `wait`; without
/// that, whether one is idle.
fn is_better(steps: &[route::Step], is_ours: impl Fn(&Place) -> bool, wait: Option<Duration>) -> bool {
    let ours = steps.iter().filter(|step| is_ours(&step.place)).map(|step| step.estimate.service).min();
    let done = ours.zip(wait).map_or(Duration::MAX, |(service, wait)| service.saturating_add(wait));
    let is_idle = |step: &&route::Step| !step.full && !step.suspect && !is_ours(&step.place);
    steps.iter().filter(is_idle).any(|step| step.estimate.service.mul_f64(SURELY) < done)
}

/// Why no slot came.
enum NoSlot {
    /// Not in time.
    InTime(Failure),
    /// As many wait as may; it may have waited itself until it had to give way.
    Full(Failure),
    /// It is better to go elsewhere now.
    NotWorthIt,
    /// Those that were waited for have gone.
    InVain,
}

/// How a wait ended without a slot.
enum Ended {
    Late,
    NotWorthIt,
    Evicted,
    InVain,
}

/// A slot, unless it takes until `until`, or nobody is left to wait for.
async fn slot_before(
    until: Instant,
    place: &mut Waiter<InFlight>,
    entries: &[Arc<Entry>],
    mut changed: watch::Receiver<u64>,
) -> Result<InFlight, Ended> {
    loop {
        if !entries.iter().any(|entry| entry.is_there()) {
            return Err(Ended::InVain);
        }
        tokio::select! {
            biased;
            slot = place.slot() => return slot.map_err(|queue::Evicted| Ended::Evicted),
            () = tokio::time::sleep_until(until) => return Err(Ended::Late),
            changed = changed.changed() => changed.map_err(|_| Ended::InVain)?,
        }
    }
}

/// How long it will be until its turn comes, where `load` is that of the backend that is likeliest to serve it. Those
/// behind it do not count.
fn expected_wait(load: Load, place: &Waiter<InFlight>) -> Duration {
    let before = place.position.saturating_sub(1) as u64;
    let rivals = before + place.behind as u64;
    // Who waits for several backends counts at one of them, so not all rivals count here: of those that do, as large a
    // share is before it as of all. Who has just given way may still count.
    let queued = rivals.min(load.queued.into()) * before / rivals.max(1);
    Load { queued: u32::try_from(queued).unwrap_or(u32::MAX), ..load }.expected_wait()
}

/// How often the last in line, if it need not wait, looks for a better place.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// An idle place must be so much better than to stay: what is known of it may be old, and the place in line is lost.
const SURELY: f64 = 1.1;

/// What is assumed of a peer that was not asked because others were busy: that it is, too.
const LEAST_WAIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::turns::tests::plan;

    /// Whoever stood in line once looked around only when its wait had taken longer than it was worth.
    #[test]
    fn who_waits_leaves_for_a_place_that_is_idle_and_surely_sooner() {
        let seconds = Duration::from_secs;
        let is_better = |services: [u64; 2], full, wait| {
            let mut steps = plan(&["m/ours", "m/other"]).steps;
            steps.iter_mut().zip(services).for_each(|(step, service)| step.estimate.service = seconds(service));
            steps[1].full = full;
            is_better(&steps, |place| &**place.backend() == "ours", wait)
        };
        assert!(is_better([4, 8], false, Some(seconds(5))));
        assert!(!is_better([4, 8], true, Some(seconds(5))), "it would wait there, too");
        assert!(!is_better([4, 8], false, Some(seconds(4))), "staying is as good");
        assert!(!is_better([4, 8], false, Some(seconds(0))), "it is next");
        assert!(is_better([4, 8], false, None), "it was to be served long ago");
        assert!(!is_better([4, 8], true, None));
    }
}

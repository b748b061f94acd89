//! Standing in line for a slot of a backend here, for as long as nothing better is known.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::error::Failure;
use super::record::Trip;
use super::{Ask, Gateway, left};
use crate::exchange::Origin;
use crate::fleet::Load;
use crate::queue::{self, Place as Waiter, Priority, Wish};
use crate::registry::{Entry, InFlight};
use crate::route::{self, Intent, Place};

impl Gateway {
    /// Waits in the queue for a slot of whichever of `entries` frees one first: until a deadline, and for as long as it
    /// is worth.
    pub(super) async fn stand_in_line(
        &self,
        entries: &[Arc<Entry>],
        model: &str,
        ask: &Ask<'_>,
        (deadline, worth): (Instant, Duration),
        trip: &mut Trip,
    ) -> Result<InFlight, NoSlot> {
        let max_wait = ask.edition.manner.queue.max_wait();
        // What goes back to its entry keeps half of the time for the answer. A backend that is asked at the very end can only
        // fail, and is then left alone for what the line did. A client's own request would only lose its place.
        let goes_back = matches!(&ask.request.origin, Origin::Peer(hop) if !hop.may_queue);
        let turn_back = if goes_back { Instant::now() + left(deadline) / 2 } else { deadline };
        // A slot is of no use where another model may not be pushed out yet; but nobody fails for that.
        let taken = least_taken(entries, model);
        if !taken.is_zero() {
            trip.queued(1, taken);
            until_free(entries, model, max_wait.min(left(deadline) / 2)).await;
        }
        let is_free = |entry: &&Arc<Entry>| taken.is_zero() || entry.is_taken_for(model).is_zero();
        let free: Vec<Arc<Entry>> = entries.iter().filter(is_free).cloned().collect();
        let entries = if free.is_empty() { entries } else { &free };
        let priority = Priority::read(ask.request.headers.get("x-nexus-priority").map(|value| value.as_bytes()));
        // From here on, so that no change is missed.
        let changed = self.registry.changed();
        let soonest = entries.iter().min_by_key(|entry| (!entry.may_serve(), entry.load().expected_wait()));
        let soonest = soonest.ok_or(NoSlot::InVain)?;
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
            let until = looks.min(turn_back).min(last);
            match slot_before(until, &mut place, entries, changed.clone()).await {
                Err(Ended::Late) if until < last => {
                    if turn_back <= Instant::now() {
                        break Err(Ended::NotWorthIt);
                    }
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
                self.queue.was_late();
                let depth = self.queue.depth();
                // It may have stood in another line before.
                let in_all = Duration::from_secs((trip.started.elapsed() + Duration::from_millis(500)).as_secs());
                let waited = in_all.max(last - began);
                Err(NoSlot::InTime(Failure::QueueTimeout { waited, depth, priority }))
            }
        }
    }

    /// Whether somebody else in the mesh has a slot, by what is known now, and would be done sooner than whoever stays;
    /// or just has one, for who has waited for longer than it was worth. Whoever left with nobody idle would only lose
    /// its place.
    fn is_better_elsewhere(&self, ask: &Ask<'_>, entries: &[Arc<Entry>], stays: Stay) -> bool {
        let world = self.survey_as(ask, &Origin::Client);
        let intent = Intent { may_hop: true, ..self.intent(ask) };
        let plan = self.foresee(ask, &intent, &world);
        let queued = u32::try_from(stays.before).unwrap_or(u32::MAX);
        let wait = entries.iter().map(|entry| Load { queued, ..entry.load() }.expected_wait()).min();
        let is_ours = |place: &Place| place.is_here() && entries.iter().any(|entry| entry.name == *place.backend());
        is_better(&plan.steps, is_ours, wait.filter(|_| !stays.is_late))
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
pub(super) enum NoSlot {
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

/// How long another model has to be left where it is, at whichever of `entries` that is shortest.
fn least_taken(entries: &[Arc<Entry>], model: &str) -> Duration {
    entries.iter().map(|entry| entry.is_taken_for(model)).min().unwrap_or_default()
}

/// Waits until that is over, and no longer than `most`.
async fn until_free(entries: &[Arc<Entry>], model: &str, most: Duration) {
    let last = Instant::now() + most;
    loop {
        let taken = least_taken(entries, model).min(left(last));
        if taken.is_zero() {
            return;
        }
        // One that was to leave may be gone sooner.
        tokio::time::sleep(taken.min(LOOK_EVERY)).await;
    }
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

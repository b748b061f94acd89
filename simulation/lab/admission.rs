//! How an entry goes through a plan, as the gateway does it: a busy owner takes a request that it is worth waiting for,
//! else it refuses with its fresh load, and the plan is made anew; after three refusals the request waits where its answer
//! is expected first. It neither knows the time nor sends anything.

use std::collections::VecDeque;
use std::time::Duration;

use nexus::fleet::Load;
use nexus::route::Estimate;

/// What an entry makes of what it learns between two rounds of news.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    /// What it sent and got back since, and what owners told with refusals and replies, goes over the news; and after a
    /// refusal it plans anew.
    pub(super) puts_right: bool,
    /// Owners have a word; else whatever comes to them is taken.
    pub(super) asks_owners: bool,
}

impl Manner {
    /// What the product does.
    pub(super) const PRODUCT: Manner = Manner { puts_right: true, asks_owners: true };

    /// Going by the news alone.
    pub(super) const UNTOLD: Manner = Manner { puts_right: false, asks_owners: true };

    /// The first place of the plan, come what may.
    pub(super) const ALONE: Manner = Manner { puts_right: true, asks_owners: false };
}

/// After so many busy owners the news is too old to go by.
const MOST_REFUSALS: u32 = 3;

/// How often a request may begin anew because another place has become better than the line of its entry.
const MOST_RENEWALS: u32 = 3;

/// The longest that an owner keeps a request in its queue, as it is configured where nobody has configured anything.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What is assumed of an owner that was not asked because others were busy: that it is, too.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// A step of a plan.
#[derive(Clone, Copy, Default)]
pub(super) struct Choice {
    pub(super) backend: usize,
    pub(super) estimate: Estimate,
    /// How long it is worth waiting for a slot there, rather than going on to the next.
    pub(super) worth: Duration,
}

/// A request on its way through the backends of its plan.
pub(super) struct Attempt {
    entry: usize,
    rest: VecDeque<Choice>,
    refusals: u32,
    renewals: u32,
    /// The last refusal last.
    busy: Vec<(Choice, Option<Load>)>,
    /// Left out because others had no slot either.
    passed_over: Vec<Choice>,
}

impl Attempt {
    /// At the beginning of a plan.
    pub(super) fn new(entry: usize, plan: Vec<Choice>) -> Self {
        Attempt { entry, rest: plan.into(), refusals: 0, renewals: 0, busy: Vec::new(), passed_over: Vec::new() }
    }

    /// Goes by another plan from now on.
    pub(super) fn reorder(&mut self, plan: Vec<Choice>) {
        self.rest = plan.into();
    }

    /// Begins anew by another plan: whoever was busy may be so no more.
    pub(super) fn renew(&mut self, plan: Vec<Choice>) {
        *self = Attempt { renewals: self.renewals + 1, ..Attempt::new(self.entry, plan) };
    }

    /// Whether it may begin anew once more.
    pub(super) fn may_renew(&self) -> bool {
        self.renewals < MOST_RENEWALS
    }

    /// This one has no slot, and its owner says how it is; nobody need say that of the entry's own.
    pub(super) fn refused(&mut self, choice: Choice, load: Option<Load>) {
        self.refusals += u32::from(choice.backend != self.entry);
        self.busy.push((choice, load));
    }

    /// The next of the plan that is to be asked.
    pub(super) fn next(&mut self) -> Option<Choice> {
        loop {
            let choice = self.rest.pop_front()?;
            if choice.backend == self.entry || self.refusals < MOST_REFUSALS {
                return Some(choice);
            }
            self.passed_over.push(choice);
        }
    }

    /// Where to wait when all are busy; `here` is how long it would take at the entry itself to have a slot.
    pub(super) fn best(&self, here: Duration) -> usize {
        let refused = self.busy.iter().rev().copied();
        let passed_over = self.passed_over.iter().map(|choice| (*choice, None));
        let mut spots: Vec<(usize, Duration)> = Vec::new();
        for (choice, told) in refused.chain(passed_over) {
            let wait = match told {
                _ if choice.backend == self.entry => here,
                Some(load) => load.expected_wait(),
                None => choice.estimate.wait.max(LEAST_WAIT),
            };
            if spots.iter().all(|(known, _)| *known != choice.backend) {
                spots.push((choice.backend, wait.saturating_add(choice.estimate.service)));
            }
        }
        // Of equals the entry's own.
        let best = spots.iter().min_by_key(|(backend, expected)| (*expected, *backend != self.entry));
        best.map_or(self.entry, |(backend, _)| *backend)
    }
}

impl Choice {
    /// How long another owner lets a request wait that is worth so much there.
    pub(super) fn may_wait_there(&self) -> Duration {
        self.worth.min(LONGEST_WAIT)
    }
}

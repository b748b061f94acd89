//! The last in a line, if it need not wait there, looks for a better place now and then, as the gateway does.

use std::time::Duration;

use nexus::fleet::Load;

use super::{Event, Run};
use crate::lab::admission::{Attempt, Choice};
use crate::lab::setting::{Micros, SECOND};

/// How often the last in line, if it need not wait, looks for a better place.
pub(super) const EVERY: Micros = SECOND / 4;

/// An idle place must be so much better than to stay.
const SURELY: f64 = 1.1;

impl Run<'_> {
    /// Leaves the line where its owner finds another place better now.
    pub(super) fn look(&mut self, request: usize, choice: Choice, late_at: Micros) {
        let (entry, backend) = (self.requests[request].entry, choice.backend);
        let Some((before, behind)) = self.backends[backend].around(request) else { return };
        if behind > 0 || !self.is_better_elsewhere(request, backend, before, self.now >= late_at) {
            self.diary.note(self.now + EVERY, Event::Look { request, choice, late_at });
            return;
        }
        self.backends[backend].leave(request);
        if entry != backend {
            let (load, back) = (self.backends[backend].load(), self.now + self.setting.way(entry, backend));
            return self.diary.note(back, Event::Refusal { request, choice, load });
        }
        let may_renew = self.attempts[request].as_ref().is_some_and(Attempt::may_renew);
        if !may_renew {
            return self.miss(request, choice, None);
        }
        let plan = self.plan(request);
        if let Some(attempt) = &mut self.attempts[request] {
            attempt.renew(plan);
        }
        self.go_on(request);
    }

    /// As the owner sees it, which hears of others what every peer hears.
    fn is_better_elsewhere(&mut self, request: usize, backend: usize, before: usize, is_late: bool) -> bool {
        let known = self.sight.known(backend, &self.backends, self.way.puts_right());
        let plan = self.router.foresee(backend, &self.requests[request], &known);
        let service = |step: &Choice| step.estimate.service;
        let here = plan.iter().find(|step| step.backend == backend).map_or(Duration::MAX, service);
        let wait = Load { queued: before as u32, ..self.backends[backend].load() }.expected_wait();
        let done = here.saturating_add(wait);
        let is_idle = |step: &&Choice| step.backend != backend && !known[step.backend].load.is_full();
        plan.iter().filter(is_idle).any(|step| is_late || service(step).mul_f64(SURELY) < done)
    }
}

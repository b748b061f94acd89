//! All breakers of one backend: one for its connections, and for each model one for silence and one for errors. Pure: it is
//! told what became of requests and checks, and when; it knows no clock, takes no lock and writes no log.

use std::collections::BTreeMap;
use std::time::Duration;

use super::breaker::{Breaker, Probe, Stand};
use super::quality::Quality;
use super::share::Share;
use crate::fleet::{self, Standing, Trouble};

/// Of one backend.
#[derive(Debug, Default)]
pub(super) struct Breakers {
    connection: Breaker,
    models: BTreeMap<String, OfModel>,
}

#[derive(Debug, Default)]
struct OfModel {
    silence: Breaker,
    errors: Breaker,
    /// Server errors since anything was answered.
    in_a_row: u32,
    /// Of the requests since the first that failed.
    share: Share,
}

/// How a request came to nothing by the fault of its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grief {
    /// Nobody took the connection.
    Refused,
    /// The connection broke.
    Broken,
    /// Nothing came in time.
    Silent,
    /// It answered with an error of its own.
    Failed,
}

/// Which breakers a request is the probe of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Probes {
    connection: Option<Probe>,
    silence: Option<Probe>,
    errors: Option<Probe>,
}

/// What has changed, for whoever tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// One has opened, or opened once more because its probe failed.
    Opened { trouble: Trouble, pause: Duration, again: bool },
    /// One has closed.
    Closed(Trouble),
}

impl Change {
    /// Whether all models of the backend are concerned.
    pub(super) fn is_of_all(self) -> bool {
        let (Change::Opened { trouble, .. } | Change::Closed(trouble)) = self;
        trouble == Trouble::Connection
    }
}

/// Server errors in a row that open a breaker. Two are within what a client's own mistakes can cause.
const MOST_IN_A_ROW: u32 = 3;

/// Models that trouble is remembered of. With one more, those without an open breaker are forgotten.
const MOST_MODELS: usize = 256;

impl Breakers {
    /// Whether requests for `model` had better go elsewhere.
    pub(super) fn keep_away(&self, model: &str, now: u64) -> bool {
        keeps_away(&self.connection, now)
            || self.models.get(model).is_some_and(|own| keeps_away(&own.silence, now) || keeps_away(&own.errors, now))
    }

    /// Whether nothing has to be remembered.
    pub(super) fn are_quiet(&self) -> bool {
        self.connection.is_closed() && self.models.is_empty()
    }

    /// Whether it cannot be reached, as far as is known.
    pub(super) fn is_cut_off(&self, now: u64) -> bool {
        keeps_away(&self.connection, now)
    }

    /// A request for `model` is about to be sent. Says what it is the probe of.
    pub(super) fn send(&mut self, model: &str, now: u64) -> Probes {
        let connection = self.connection.probe(now);
        let own = self.models.get_mut(model);
        let (silence, errors) = own.map_or((None, None), |own| (own.silence.probe(now), own.errors.probe(now)));
        Probes { connection, silence, errors }
    }

    /// A request for `model` has its answer; `well` = no 4xx, which says that it is there and nothing more.
    pub(super) fn answered(
        &mut self,
        model: &str,
        well: bool,
        probes: Probes,
        now: u64,
        quality: &Quality,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        close(&mut self.connection, Trouble::Connection, &mut changes);
        let Some(own) = self.models.get_mut(model) else { return changes };
        close(&mut own.silence, Trouble::Silence, &mut changes);
        own.in_a_row = 0;
        if !well {
            own.errors.give_back(now, probes.errors);
        } else if own.errors.is_probed_by(probes.errors) {
            close(&mut own.errors, Trouble::Errors, &mut changes);
            own.share = Share::default();
        } else {
            own.share.push(now, false, quality.min_samples);
            own.judge(probes, now, quality, &mut changes);
        }
        self.forget(model);
        changes
    }

    /// A request for `model` came to nothing.
    pub(super) fn grieved(
        &mut self,
        model: &str,
        grief: Grief,
        probes: Probes,
        now: u64,
        quality: &Quality,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        match grief {
            Grief::Refused | Grief::Broken => {
                trip(&mut self.connection, Trouble::Connection, probes.connection, now, &mut changes);
            }
            Grief::Silent | Grief::Failed => close(&mut self.connection, Trouble::Connection, &mut changes),
        }
        let Some(own) = self.own(model, grief) else { return changes };
        match grief {
            Grief::Silent => trip(&mut own.silence, Trouble::Silence, probes.silence, now, &mut changes),
            Grief::Failed => close(&mut own.silence, Trouble::Silence, &mut changes),
            Grief::Refused | Grief::Broken if own.silence.is_probed_by(probes.silence) => {
                trip(&mut own.silence, Trouble::Silence, probes.silence, now, &mut changes);
            }
            Grief::Refused | Grief::Broken => {}
        }
        // Where nobody is there nobody made an error: checks find that out.
        if grief != Grief::Refused {
            own.share.push(now, true, quality.min_samples);
        }
        if grief == Grief::Failed {
            own.in_a_row = own.in_a_row.saturating_add(1);
        }
        own.judge(probes, now, quality, &mut changes);
        changes
    }

    /// A check has passed: it can be reached. Of requests that says nothing.
    pub(super) fn check_passed(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        close(&mut self.connection, Trouble::Connection, &mut changes);
        changes
    }

    /// A check has failed, so the next one that passes will be the first to know that it is back.
    pub(super) fn check_failed(&mut self) {
        self.connection.wait_for_word();
    }

    /// Where `model` has fallen silent, and no request is on its way to find out more, no request will: somebody else does.
    pub(super) fn take_over_silence(&mut self, model: &str) -> bool {
        self.models.get_mut(model).is_some_and(|own| own.silence.wait_for_word())
    }

    /// A request ended with nothing said of its backend: its client left, or it was never sent.
    pub(super) fn give_back(&mut self, model: &str, probes: Probes, now: u64) {
        self.connection.give_back(now, probes.connection);
        if let Some(own) = self.models.get_mut(model) {
            own.silence.give_back(now, probes.silence);
            own.errors.give_back(now, probes.errors);
        }
    }

    /// It has these models and no others.
    pub(super) fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.models.retain(|model, _| is_there(model));
    }

    /// Those that are not closed, as they stand.
    pub(super) fn open(&self, now: u64) -> Vec<fleet::Breaker> {
        self.listed(|breaker| standing(breaker.stand(now)))
    }

    /// The same in words that stay the same while nothing happens: with the whole pause of each.
    pub(super) fn told(&self, now: u64) -> Vec<fleet::Breaker> {
        self.listed(|breaker| match breaker.stand(now) {
            Stand::Open { pause, .. } => Some(Standing::Open(Duration::from_millis(pause))),
            stand => standing(stand),
        })
    }

    fn listed(&self, standing: impl Fn(&Breaker) -> Option<Standing>) -> Vec<fleet::Breaker> {
        let of_models = self.models.iter().flat_map(|(model, own)| {
            [(Some(model), Trouble::Silence, &own.silence), (Some(model), Trouble::Errors, &own.errors)]
        });
        let all = std::iter::once((None, Trouble::Connection, &self.connection)).chain(of_models);
        all.filter_map(|(model, trouble, breaker)| {
            Some(fleet::Breaker { model: model.cloned(), trouble, standing: standing(breaker)? })
        })
        .collect()
    }

    fn own(&mut self, model: &str, grief: Grief) -> Option<&mut OfModel> {
        let is_known = self.models.contains_key(model);
        if !is_known && grief == Grief::Refused {
            return None;
        }
        if !is_known && self.models.len() >= MOST_MODELS {
            self.models.retain(|_, own| !own.silence.is_closed() || !own.errors.is_closed());
            if self.models.len() >= MOST_MODELS {
                return None;
            }
        }
        Some(self.models.entry(model.to_owned()).or_default())
    }

    /// Lets a model go that nothing is wrong with.
    fn forget(&mut self, model: &str) {
        let is_well = |own: &OfModel| own.silence.is_closed() && own.errors.is_closed() && own.share.is_spotless();
        if self.models.get(model).is_some_and(is_well) {
            self.models.remove(model);
        }
    }
}

impl OfModel {
    /// Whether there are too many errors by now. A probe has to answer.
    fn judge(&mut self, probes: Probes, now: u64, quality: &Quality, changes: &mut Vec<Change>) {
        let too_many = self.in_a_row >= MOST_IN_A_ROW
            || self.share.is_too_large(quality.error_rate_threshold, quality.min_samples);
        if too_many || self.errors.is_probed_by(probes.errors) {
            trip(&mut self.errors, Trouble::Errors, probes.errors, now, changes);
            (self.in_a_row, self.share) = (0, Share::default());
        }
    }
}

fn keeps_away(breaker: &Breaker, now: u64) -> bool {
    !matches!(breaker.stand(now), Stand::Closed | Stand::Due)
}

fn standing(stand: Stand) -> Option<Standing> {
    match stand {
        Stand::Closed => None,
        Stand::Open { left, .. } => Some(Standing::Open(Duration::from_millis(left))),
        Stand::Due => Some(Standing::Open(Duration::ZERO)),
        Stand::Unchecked => Some(Standing::Unchecked),
        Stand::HalfOpen => Some(Standing::Probing),
    }
}

fn trip(breaker: &mut Breaker, trouble: Trouble, probe: Option<Probe>, now: u64, changes: &mut Vec<Change>) {
    let again = !breaker.is_closed();
    if let Some(pause) = breaker.trip(now, probe) {
        changes.push(Change::Opened { trouble, pause: Duration::from_millis(pause), again });
    }
}

fn close(breaker: &mut Breaker, trouble: Trouble, changes: &mut Vec<Change>) {
    if breaker.close() {
        changes.push(Change::Closed(trouble));
    }
}

#[cfg(test)]
mod tests;

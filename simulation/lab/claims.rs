//! What the laboratory must find. A claim that holds is hard: it fails the run when it does not. One that is only aimed at
//! is printed as missed until it is reached, and then made hard here.

use super::figures::{mean, rank, ratios, sorted};
use super::router::{ADAPTIVE, ORACLE};
use super::setting::Setting;
use super::{Rows, table};
use crate::goals::Verdict;

/// A figure of `adaptive` that must not be larger than so much.
pub(super) struct Claim {
    setting: &'static str,
    what: Measure,
    most: f64,
    hard: bool,
}

/// What is measured over all seeds.
#[derive(Clone, Copy)]
enum Measure {
    /// Median of the ratio of the 95th percentiles, to this router on the same arrivals.
    P95Over(&'static str),
    /// Mean number of requests that waited while a slot was idle.
    BesideIdle,
    /// Mean number of owners asked beyond the first, for each request.
    ExtraHops,
}

/// Aimed at: to be made [`hard`] once it holds over many seeds.
const fn target(setting: &'static str, what: Measure, most: f64) -> Claim {
    Claim { setting, what, most, hard: false }
}

/// Holds, and must go on holding.
const fn hard(setting: &'static str, what: Measure, most: f64) -> Claim {
    Claim { hard: true, ..target(setting, what, most) }
}

const CLAIMS: &[Claim] = &[
    target("uneven-1s", Measure::P95Over(ORACLE), 1.05),
    hard("uneven-1s", Measure::P95Over(ORACLE), 1.15),
    hard("uneven-1s", Measure::P95Over("two choices"), 0.75),
    hard("uneven-1s", Measure::ExtraHops, 0.5),
    target("uneven-5s", Measure::P95Over(ORACLE), 1.05),
    hard("uneven-5s", Measure::P95Over(ORACLE), 1.2),
    hard("uneven-5s", Measure::P95Over("two choices"), 0.75),
    hard("uneven-5s", Measure::ExtraHops, 0.7),
    target("burst", Measure::BesideIdle, 1.0),
    hard("burst", Measure::ExtraHops, 0.5),
];

/// The claims that are made of this setting.
pub(super) fn of(setting: &Setting) -> impl Iterator<Item = &'static Claim> {
    CLAIMS.iter().filter(|claim| claim.setting == setting.name)
}

impl Claim {
    /// Whether the run fails where it does not hold.
    pub(super) fn is_hard(&self) -> bool {
        self.hard
    }

    /// What there is instead of the claim.
    pub(super) fn found(&self, rows: &Rows) -> f64 {
        let figures = &rows[ADAPTIVE];
        match self.what {
            Measure::P95Over(other) => rank(&ratios(figures, &rows[other]), 0.5),
            Measure::BesideIdle => mean(&sorted(figures, |figures| figures.beside_idle)),
            Measure::ExtraHops => mean(&sorted(figures, |figures| figures.extra_hops)),
        }
    }

    /// Whether what was found is good enough. What is no number is not.
    pub(super) fn holds(&self, found: f64) -> bool {
        found <= self.most
    }

    /// One line that says all of it.
    pub(super) fn line(&self, found: f64) -> String {
        let what = match self.what {
            Measure::P95Over(other) => format!("p95 over that of {other}"),
            Measure::BesideIdle => "waits beside an idle slot".to_owned(),
            Measure::ExtraHops => "extra hops a request".to_owned(),
        };
        let verdict = Verdict::of(self.holds(found), self.hard).word();
        table::claim(ADAPTIVE, &what, self.most, found, verdict)
    }
}

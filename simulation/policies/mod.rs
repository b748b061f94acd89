//! Policies against chance: random configurations, fleets, news and requests, each planned at its entry and, where it goes
//! on, again at the owner, by the functions that a node uses. What may come of it is told by `oracle`, which is written from
//! the contract and calls nothing that it judges. There are no sockets and no time here: those are for the scenarios.

mod course;
mod glob;
mod oracle;
mod setting;

use std::fmt;

use crate::runner;
use course::Course;
use setting::Setting;

/// Its name on the command line, where it stands beside those of scenarios.
pub(crate) const NAME: &str = "policies";

/// What it tells, for the list of scenarios.
pub(crate) const ABOUT: &str = "no plan breaks a policy, here or at the owner, over random configurations";

/// Cases that are run unless more are asked for.
pub(crate) const CASES: u64 = 20_000;

/// Cases that share one set of configurations: to compile those takes longer than a case.
const PER_SETTING: u64 = 25;

/// Settings that a thread takes at once.
const AT_ONCE: u64 = 40;

/// What came of many cases. All but `cases` and `plans` is there to see that the claims were put to the test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) cases: u64,
    pub(crate) plans: u64,
    /// Restricted requests that may be served, and those that may not.
    pub(crate) restricted: (u64, u64),
    /// Requests that demand a tier and get it, and those that do not.
    pub(crate) tiered: (u64, u64),
    pub(crate) downgraded: u64,
    pub(crate) forwarded: u64,
    /// Forwarded requests that the owner's policies refuse.
    pub(crate) refused_there: u64,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.cases += other.cases;
        self.plans += other.plans;
        self.restricted.0 += other.restricted.0;
        self.restricted.1 += other.restricted.1;
        self.tiered.0 += other.tiered.0;
        self.tiered.1 += other.tiered.1;
        self.downgraded += other.downgraded;
        self.forwarded += other.forwarded;
        self.refused_there += other.refused_there;
    }

    /// Whether everything that is claimed could have been broken.
    fn is_telling(&self) -> bool {
        let Tally { restricted, tiered, downgraded, forwarded, refused_there, .. } = *self;
        [restricted.0, restricted.1, tiered.0, tiered.1, downgraded, forwarded, refused_there].iter().all(|n| *n > 0)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { cases, plans, restricted, tiered, downgraded, forwarded, refused_there } = self;
        write!(
            f,
            "{cases} cases  {plans} plans\n    restricted: {} served, {} refused; tier demanded: {} served, {} refused; \
             {downgraded} downgraded; {forwarded} forwarded, of which {refused_there} refused by the owner's policies",
            restricted.0, restricted.1, tiered.0, tiered.1,
        )
    }
}

/// Runs `cases` cases, or case `only`, prints what came of them, and says how many claims hold (there is one, of all of
/// them) and how many do not.
pub(crate) fn all(cases: u64, only: Option<u64>, jobs: usize) -> (usize, usize) {
    let begun = tokio::time::Instant::now();
    let settings = cases.div_ceil(PER_SETTING);
    let chunks = if only.is_some() { 1 } else { usize::try_from(settings.div_ceil(AT_ONCE)).unwrap_or(usize::MAX) };
    let ran = runner::in_order(chunks, jobs, |chunk| match only {
        Some(case) => some(case..case + 1),
        None => {
            let first = chunk as u64 * AT_ONCE * PER_SETTING;
            some(first..cases.min(first + AT_ONCE * PER_SETTING))
        }
    });
    let (mut tally, mut broken) = (Tally::default(), Vec::new());
    for (part, failures) in ran {
        tally.add(part);
        broken.extend(failures);
    }
    println!("{NAME:<11} {tally}; {:.1} s", begun.elapsed().as_secs_f64());
    if only.is_none() && cases >= CASES && !tally.is_telling() {
        println!("FAILED {NAME}: some claim was never put to the test");
        return (0, 1);
    }
    for (case, why) in broken.iter().take(MOST_TOLD) {
        println!(
            "FAILED {NAME}, case {case}\n  {why}\n  replay: cargo test --test simulation -- --scenario {NAME} --seed {case}"
        );
    }
    if broken.is_empty() { (1, 0) } else { (0, broken.len()) }
}

/// Enough to see what is wrong.
const MOST_TOLD: usize = 5;

/// Cases one after the other, with what is wrong in each.
fn some(cases: std::ops::Range<u64>) -> (Tally, Vec<(u64, String)>) {
    let (mut tally, mut broken) = (Tally::default(), Vec::new());
    let mut setting: Option<(u64, Setting)> = None;
    for case in cases {
        let number = case / PER_SETTING;
        if setting.as_ref().is_none_or(|(known, _)| *known != number) {
            setting = Some((number, Setting::new(number)));
        }
        let Some((_, setting)) = &setting else { continue };
        match Course::new(setting, case).run() {
            Ok(ran) => tally.add(ran),
            Err(why) => broken.push((case, why)),
        }
    }
    (tally, broken)
}

//! What the figures of a sweep should come to: over many seeds, where a claim is for one. A goal that holds is hard, and
//! fails the sweep when it does not; one that is only aimed at is printed as missed until it is reached, and then made
//! hard here.

use crate::lab::{mean, rank};

/// What a figure should come to.
pub(crate) struct Goal {
    scenario: &'static str,
    figure: &'static str,
    bound: Bound,
    hard: bool,
}

/// What is asked of all values of a figure.
#[derive(Clone, Copy)]
enum Bound {
    MeanAtMost(f64),
    MeanAtLeast(f64),
    MedianAtMost(f64),
    EachAtMost(f64),
}

/// Aimed at: to be made [`hard`] once it holds over many seeds.
const fn target(scenario: &'static str, figure: &'static str, bound: Bound) -> Goal {
    Goal { scenario, figure, bound, hard: false }
}

/// Holds, and must go on holding.
const fn hard(scenario: &'static str, figure: &'static str, bound: Bound) -> Goal {
    Goal { hard: true, ..target(scenario, figure, bound) }
}

const GOALS: &[Goal] = &[
    target("burst", "waits beside an idle slot", Bound::MeanAtMost(1.0)),
    hard("burst", "owners that refused, a request", Bound::MeanAtMost(0.5)),
    target("sessions", "turns on the same backend, %", Bound::MeanAtLeast(90.0)),
    target("sessions", "busiest backend over the mean", Bound::MeanAtMost(1.25)),
    target("sessions", "agree without gossip, %", Bound::MeanAtLeast(100.0)),
    target("sessions-busy", "turns on the same backend, %", Bound::MeanAtLeast(75.0)),
    hard("sessions-busy", "busiest backend over the mean", Bound::MeanAtMost(1.25)),
    hard("hung", "answered, %", Bound::MeanAtLeast(99.9)),
    hard("hung", "requests that the hung backend got", Bound::EachAtMost(2.0)),
    hard("overload", "fairness (Jain)", Bound::MeanAtLeast(0.9)),
    hard("overload", "error of the told wait, %", Bound::MedianAtMost(50.0)),
];

/// What came of a goal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Holds,
    Missed,
    Failed,
}

impl Verdict {
    /// As it is printed.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Verdict::Holds => "holds",
            Verdict::Missed => "missed",
            Verdict::Failed => "FAILED",
        }
    }

    /// Of something that must hold, or is only aimed at.
    pub(crate) fn of(holds: bool, hard: bool) -> Self {
        match (holds, hard) {
            (true, _) => Verdict::Holds,
            (false, false) => Verdict::Missed,
            (false, true) => Verdict::Failed,
        }
    }
}

impl Goal {
    fn verdict(&self, sorted: &[f64]) -> Verdict {
        let holds = match self.bound {
            Bound::MeanAtMost(most) => mean(sorted) <= most,
            Bound::MeanAtLeast(least) => mean(sorted) >= least,
            Bound::MedianAtMost(most) => rank(sorted, 0.5) <= most,
            Bound::EachAtMost(most) => rank(sorted, 1.0) <= most,
        };
        Verdict::of(holds, self.hard)
    }

    fn words(&self) -> String {
        match self.bound {
            Bound::MeanAtMost(most) => format!("mean at most {most}"),
            Bound::MeanAtLeast(least) => format!("mean at least {least}"),
            Bound::MedianAtMost(most) => format!("median at most {most}"),
            Bound::EachAtMost(most) => format!("each at most {most}"),
        }
    }
}

/// Of fewer seeds goals are not spoken of: a single one is run to look at it.
pub(crate) const FEWEST_SEEDS: usize = 2;

/// The figures of a scenario over so many seeds as a table, and how many of its hard goals are failed.
pub(crate) fn table(scenario: &str, seeds: usize, figures: &[&(String, f64)]) -> (String, usize) {
    let goals = || GOALS.iter().filter(|goal| goal.scenario == scenario && seeds >= FEWEST_SEEDS);
    let mut by_name: Vec<(&str, Vec<f64>)> = Vec::new();
    for (name, value) in figures {
        match by_name.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => values.push(*value),
            None => by_name.push((name, vec![*value])),
        }
    }
    let (mut text, mut failed) = (String::new(), 0);
    for (name, values) in &mut by_name {
        values.sort_unstable_by(f64::total_cmp);
        let at = |share| rank(values, share);
        text.push_str(&format!(
            "\n    {name:<36} mean {:>7.3}  median {:>7.3}  5-95 % {:>7.3} to {:>7.3}  most {:>7.3}",
            mean(values),
            at(0.5),
            at(0.05),
            at(0.95),
            at(1.0)
        ));
        for goal in goals().filter(|goal| goal.figure == *name) {
            let verdict = goal.verdict(values);
            failed += usize::from(verdict == Verdict::Failed);
            text.push_str(&format!("  {}: {}", goal.words(), verdict.word()));
        }
    }
    for goal in goals().filter(|goal| by_name.iter().all(|(name, _)| *name != goal.figure)) {
        failed += usize::from(goal.hard);
        text.push_str(&format!("\n    {:<36} was not found", goal.figure));
    }
    (text, failed)
}

//! The command line: what to run, over which seeds. Flags that `cargo test` and other runners pass to every test binary
//! are taken and change nothing.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::scenarios::{self, Scenario};
use crate::{budget, lab, policies};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
The simulation: the real node on a simulated network.

usage: cargo test --test simulation -- [OPTIONS] [NAME]

  NAME               only scenarios whose name contains it; `lab` and `budget` are the laboratories, `policies` are
                     random configurations without a network
  --scenario NAME    only this scenario
  --seeds N          seeds 0 to N-1 of each (default: a few of each)
  --cases N          cases of `policies` (default: 20000)
  --seed N           this seed only; of `policies` this case
  --jobs N           processes at once (default: one for each core)
  --trace FILE       write who sent what to whom and when (one scenario, one seed)
  --log DIRECTIVES   what the nodes log, with simulated time, such as nexus=debug (one scenario, one seed)
  --list             name the scenarios";

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Run all that is chosen, each seed in a process of its own.
    All,
    /// Be such a process.
    One {
        /// The scenario.
        scenario: String,
        /// The seed.
        seed: u64,
    },
    /// Name the scenarios.
    List {
        /// In the form of Rust's own test harness.
        terse: bool,
    },
    /// Say how it is used.
    Help,
}

/// The command line.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// What to do.
    pub(crate) mode: Mode,
    /// Seeds from 0 on; `None`: as each scenario says.
    pub(crate) seeds: Option<u64>,
    /// One seed only.
    pub(crate) seed: Option<u64>,
    /// Cases of `policies`.
    pub(crate) cases: u64,
    /// Processes at once.
    pub(crate) jobs: usize,
    /// Where the trace goes.
    pub(crate) trace: Option<PathBuf>,
    /// What the nodes log.
    pub(crate) log: Option<String>,
    filters: Vec<String>,
    exact: bool,
    nothing: bool,
}

/// Flags of other harnesses that have a value.
const IGNORED_WITH_VALUE: [&str; 6] = ["--test-threads", "--format", "--color", "--logfile", "--skip", "-Z"];

impl Options {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub(crate) fn read(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let jobs = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let mut options = Options {
            mode: Mode::All,
            seeds: None,
            seed: None,
            cases: policies::CASES,
            jobs,
            trace: None,
            log: None,
            filters: Vec::new(),
            exact: false,
            nothing: false,
        };
        let (mut child, mut terse, mut named) = (false, false, false);
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let (name, attached) = match argument.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
                _ => (argument, None),
            };
            let mut value = || attached.clone().or_else(|| arguments.next()).ok_or(format!("{name} needs a value"));
            match name.as_str() {
                "--seeds" => options.seeds = Some(number(&name, &value()?)?),
                "--seed" => options.seed = Some(number(&name, &value()?)?),
                "--cases" => options.cases = number(&name, &value()?)?,
                "--jobs" => options.jobs = number(&name, &value()?)?.clamp(1, 256) as usize,
                "--trace" => options.trace = Some(value()?.into()),
                "--log" => options.log = Some(value()?),
                "--scenario" => (options.filters, options.exact, named) = (vec![value()?], true, true),
                "--exact" => options.exact = true,
                "--list" => options.mode = Mode::List { terse: false },
                "--help" | "-h" => options.mode = Mode::Help,
                "--ignored" => options.nothing = true,
                "--child" => child = true,
                "--format" => terse = value()? == "terse",
                flag if IGNORED_WITH_VALUE.contains(&flag) => drop(value()?),
                flag if flag.starts_with('-') => {}
                filter => options.filters.push(filter.to_owned()),
            }
        }
        if let (true, [name]) = (named, &options.filters[..])
            && ![lab::NAME, budget::NAME, policies::NAME].contains(&name.as_str())
            && !scenarios::ALL.iter().any(|scenario| scenario.name == name)
        {
            return Err(format!("there is no scenario `{name}`: see --list"));
        }
        if let Mode::List { terse: wanted } = &mut options.mode {
            *wanted = terse;
        }
        if child {
            let scenario = options.filters.first().cloned().ok_or("--child needs --scenario")?;
            options.mode = Mode::One { scenario, seed: options.seed.unwrap_or(0) };
        }
        Ok(options)
    }

    /// The scenarios that are asked for, in their order.
    pub(crate) fn chosen(&self) -> Vec<&'static Scenario> {
        scenarios::ALL.iter().filter(|scenario| self.is_chosen(scenario.name)).collect()
    }

    /// The seeds of the laboratory, where it is asked for.
    pub(crate) fn lab(&self) -> Option<Vec<u64>> {
        self.is_chosen(lab::NAME).then(|| self.seeds_or(lab::SEEDS))
    }

    /// Whether `policies` are asked for.
    pub(crate) fn policies(&self) -> bool {
        self.is_chosen(policies::NAME)
    }

    /// What is asked for besides scenarios, by name and with what it tells.
    pub(crate) fn others(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let others = [(lab::NAME, lab::ABOUT), (budget::NAME, budget::ABOUT), (policies::NAME, policies::ABOUT)];
        others.into_iter().filter(|(name, _)| self.is_chosen(name))
    }

    /// The seeds of the laboratory of the budget, where it is asked for.
    pub(crate) fn budget(&self) -> Option<Vec<u64>> {
        self.is_chosen(budget::NAME).then(|| self.seeds_or(budget::SEEDS))
    }

    fn is_chosen(&self, name: &str) -> bool {
        let named = |filter: &String| match self.exact {
            true => name == filter,
            false => name.contains(filter.as_str()),
        };
        !self.nothing && (self.filters.is_empty() || self.filters.iter().any(named))
    }

    /// The seeds of one scenario.
    pub(crate) fn seeds_of(&self, scenario: &Scenario) -> Vec<u64> {
        self.seeds_or(scenario.seeds)
    }

    fn seeds_or(&self, usual: u64) -> Vec<u64> {
        match (self.seed, self.seeds) {
            (Some(seed), _) => vec![seed],
            (None, Some(count)) => (0..count).collect(),
            (None, None) => (0..usual).collect(),
        }
    }
}

fn number(name: &str, text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{name} needs a number, not `{text}`"))
}

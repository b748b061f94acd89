//! Many seeds of many scenarios: each in a process of its own, so that nothing is shared between two runs, a run that
//! never comes back can be ended, and the cores are used. Prints a line for each scenario and what to do about failures.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use tokio::time::Instant;

use crate::options::Options;
use crate::run::Report;
use crate::scenarios::Scenario;
use crate::{budget, goals, lab, policies};

/// The longest a run may take, in real time, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// A seed of a scenario.
struct Run {
    scenario: &'static Scenario,
    seed: u64,
}

/// A run and what came of it.
struct Ran {
    report: Report,
    took: Duration,
    failures: Vec<String>,
}

/// Runs all that is chosen.
pub(crate) fn all(options: &Options) -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    for scenario in options.chosen() {
        let runs: Vec<Run> = options.seeds_of(scenario).into_iter().map(|seed| Run { scenario, seed }).collect();
        let begun = Instant::now();
        let ran = in_order(runs.len(), options.jobs, |at| one(&runs[at], options));
        let figures: Vec<_> = ran.iter().flat_map(|ran| &ran.report.figures).collect();
        let (table, missed) = goals::table(scenario.name, ran.len(), &figures);
        println!("{}{table}", line(scenario, &ran, begun.elapsed()));
        failed += missed;
        for (run, ran) in runs.iter().zip(&ran).filter(|(_, ran)| !ran.failures.is_empty()) {
            tell(run, ran);
        }
        let broken = ran.iter().filter(|ran| !ran.failures.is_empty()).count();
        failed += broken;
        passed += ran.len() - broken;
    }
    if let Some(seeds) = options.lab() {
        let (held, broken) = lab::all(&seeds, options.jobs);
        passed += held;
        failed += broken;
    }
    if options.policies() {
        let (held, broken) = policies::all(options.cases, options.seed, options.jobs);
        passed += held;
        failed += broken;
    }
    if let Some(seeds) = options.budget() {
        let (held, broken) = budget::all(&seeds, options.jobs);
        passed += held;
        failed += broken;
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What `work` makes of each number below `count`, in their order, on so many threads.
pub(crate) fn in_order<T: Send>(count: usize, jobs: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(count) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        return;
                    }
                    let made = work(at);
                    done.lock().unwrap_or_else(PoisonError::into_inner).insert(at, made);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

fn one(run: &Run, options: &Options) -> Ran {
    let begun = Instant::now();
    let mut failures = Vec::new();
    let mut attempt = |trace: Option<&PathBuf>| match process(run, options, trace) {
        Ok(report) => {
            failures.extend(report.broken.iter().cloned());
            report
        }
        Err(why) => {
            failures.push(why);
            Report::default()
        }
    };
    let report = attempt(options.trace.as_ref());
    if run.scenario.twice {
        let again = attempt(None);
        if again.hash != report.hash {
            failures.push(format!("one seed gives one trace: {} and then {}", report.hash, again.hash));
            failures.extend(first_difference(run, options));
        }
    }
    Ran { report, took: begun.elapsed(), failures }
}

/// Runs it in a process of its own and reads its report.
fn process(run: &Run, options: &Options, trace: Option<&PathBuf>) -> Result<Report, String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let mut command = Command::new(program);
    command.args(["--child", "--scenario", run.scenario.name, "--seed", &run.seed.to_string()]);
    if let Some(path) = trace {
        command.arg("--trace").arg(path);
    }
    if let Some(directives) = &options.log {
        command.args(["--log", directives]);
    }
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let output = wait(child.map_err(|error| format!("cannot start a process: {error}"))?)?;
    let last = output.lines().last().unwrap_or_default();
    serde_json::from_str(last).map_err(|_| "the process ended without a report".to_owned())
}

fn wait(mut child: Child) -> Result<String, String> {
    let mut stdout = child.stdout.take().expect("standard output is piped");
    let (sender, output) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = stdout.read_to_string(&mut text);
        let _ = sender.send(text);
    });
    let text = output.recv_timeout(PATIENCE);
    if text.is_err() {
        let _ = child.kill();
    }
    let _ = child.wait();
    text.map_err(|_| format!("the simulation goes on: stuck for {} s of real time", PATIENCE.as_secs()))
}

/// Where two runs of one seed part, if they do so again.
fn first_difference(run: &Run, options: &Options) -> Option<String> {
    let path = |number: u32| {
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{}-{number}", run.scenario.name, run.seed))
    };
    let (one, other) = (path(1), path(2));
    process(run, options, Some(&one)).ok()?;
    process(run, options, Some(&other)).ok()?;
    let (first, second) = (std::fs::read_to_string(&one).ok()?, std::fs::read_to_string(&other).ok()?);
    let at = first.lines().zip(second.lines()).position(|(a, b)| a != b)?;
    let (a, b) = (first.lines().nth(at)?, second.lines().nth(at)?);
    Some(format!("traces part in line {}:\n    {a}\n    {b}\n  {} {}", at + 1, one.display(), other.display()))
}

fn line(scenario: &Scenario, ran: &[Ran], took: Duration) -> String {
    let sum = |of: fn(&Report) -> u64| ran.iter().map(|ran| of(&ran.report)).sum::<u64>();
    let requests: usize = ran.iter().map(|ran| ran.report.requests.0).sum();
    let whole: usize = ran.iter().map(|ran| ran.report.requests.1).sum();
    let mut text = format!(
        "{:<11} {:>3} seeds  {:>6.0} s simulated  {:>6.1} s  {:>7} datagrams  {whole}/{requests} answered",
        scenario.name,
        ran.len(),
        sum(|report| report.simulated_ms) as f64 / 1e3,
        took.as_secs_f64(),
        sum(|report| report.datagrams),
    );
    let mut measured: Vec<(&str, Vec<u64>)> = Vec::new();
    for (what, took) in ran.iter().flat_map(|ran| &ran.report.measured) {
        match measured.iter_mut().find(|(known, _)| known == what) {
            Some((_, times)) => times.push(*took),
            None => measured.push((what, vec![*took])),
        }
    }
    for (what, times) in &mut measured {
        times.sort_unstable();
        let (middle, most) = (times[times.len() / 2], times[times.len() - 1]);
        text.push_str(&format!("\n    {what}: median {middle} ms, most {most} ms"));
    }
    text
}

fn tell(run: &Run, ran: &Ran) {
    let (name, seed) = (run.scenario.name, run.seed);
    println!("FAILED {name}, seed {seed}, trace {}, {:.1} s", ran.report.hash, ran.took.as_secs_f64());
    for failure in &ran.failures {
        println!("  {failure}");
    }
    println!("  replay: cargo test --test simulation -- --scenario {name} --seed {seed}");
}

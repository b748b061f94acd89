//! One scenario with one seed, in this process: a fresh thread whose entropy is pinned before anything draws from it.
//! What came of it goes to standard output as one line of JSON.

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing_subscriber::prelude::*;

use crate::cluster::Cluster;
use crate::entropy;
use crate::lines::{Lines, Routing};
use crate::options::Options;
use crate::scenarios::{self, Scenario};
use crate::trace;

/// What came of one seed of one scenario.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// 16 hex digits over the whole trace.
    pub(crate) hash: String,
    /// Events in the trace.
    pub(crate) events: u64,
    /// Datagrams among them.
    pub(crate) datagrams: u64,
    /// Simulated time, in milliseconds.
    pub(crate) simulated_ms: u64,
    /// Requests, and how many of them got a whole answer.
    pub(crate) requests: (usize, usize),
    /// Claims that do not hold.
    pub(crate) broken: Vec<String>,
    /// Times that were measured, in milliseconds.
    pub(crate) measured: Vec<(String, u64)>,
    /// Figures that are none of time.
    pub(crate) figures: Vec<(String, f64)>,
}

/// The longest a scenario may take, in simulated time.
const LONGEST: Duration = Duration::from_secs(600);

/// The step of simulated time: what happens within one is not told apart on the network.
pub(crate) const TICK: Duration = Duration::from_millis(2);

/// Latency of a packet.
const FASTEST: Duration = Duration::from_millis(1);
const SLOWEST: Duration = Duration::from_millis(15);

/// Panics of any thread: tokio keeps those of tasks to itself.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The whole of a child process.
pub(crate) fn child(name: &str, seed: u64, options: &Options) -> ExitCode {
    let Some(scenario) = scenarios::ALL.iter().find(|scenario| scenario.name == name) else {
        eprintln!("there is no scenario `{name}`");
        return ExitCode::from(2);
    };
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.lock().unwrap_or_else(PoisonError::into_inner).push(panic.to_string());
        before(panic);
    }));
    listen(options.log.as_deref());
    let keep = options.trace.is_some();
    let thread = std::thread::Builder::new().name(format!("{name}-{seed}")).stack_size(16 << 20);
    let ran = thread.spawn(move || run(scenario, seed, keep)).map(std::thread::JoinHandle::join);
    let (mut report, lines) = match ran {
        Ok(Ok(ran)) => ran,
        _ => (Report::default(), Vec::new()),
    };
    let panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
    report.broken.extend(panics.iter().map(|panic| format!("nothing panics: {panic}")));
    if let Some(path) = &options.trace
        && let Err(error) = write(path, &lines)
    {
        eprintln!("cannot write {}: {error}", path.display());
    }
    println!("{}", serde_json::to_string(&report).expect("a report is plain data"));
    ExitCode::SUCCESS
}

fn run(scenario: &'static Scenario, seed: u64, keep: bool) -> (Report, Vec<String>) {
    entropy::pin(seed);
    if keep {
        trace::keep();
    }
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .simulation_duration(LONGEST)
        .tick_duration(TICK)
        .min_message_latency(FASTEST)
        .max_message_latency(SLOWEST)
        .udp_capacity(4096)
        .tcp_capacity(4096)
        .enable_random_order()
        .build();
    let cluster = Cluster::build(&mut sim, (scenario.layout)(), seed);
    let script = {
        let cluster = cluster.clone();
        async move {
            (scenario.script)(cluster.clone()).await;
            cluster.finish().await;
        }
    };
    let ended = cluster.run(&mut sim, script);
    let simulated_ms = u64::try_from(sim.elapsed().as_millis()).unwrap_or(u64::MAX);
    let trace = trace::finish();
    let mut broken = cluster.claims().all();
    broken.extend(ended.err().map(|why| format!("the simulation runs to its end: {why}")));
    let millis = |(what, took): (String, Duration)| (what, u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    let report = Report {
        hash: trace.hash,
        events: trace.events,
        datagrams: trace.datagrams,
        simulated_ms,
        requests: cluster.tally(),
        broken,
        measured: cluster.measures().into_iter().map(millis).collect(),
        figures: cluster.figures(),
    };
    (report, trace.lines)
}

fn write(path: &Path, lines: &[String]) -> std::io::Result<()> {
    std::fs::write(path, lines.join("\n") + "\n")
}

struct SimulatedTime;

impl tracing_subscriber::fmt::time::FormatTime for SimulatedTime {
    fn format_time(&self, writer: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        write!(writer, "{:>10.3}", trace::now().as_secs_f64())
    }
}

/// Nobody but the scenarios hears of what is logged, unless somebody wants to see it.
fn listen(directives: Option<&str>) {
    let shown = directives.map(|directives| {
        // turmoil opens a span for every host it runs: with it each line says whose it is.
        let filter = tracing_subscriber::EnvFilter::builder().parse_lossy(format!("turmoil=info,{directives}"));
        let shown = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        shown.with_timer(SimulatedTime).with_ansi(false).with_filter(filter)
    });
    tracing_subscriber::registry().with(Lines.with_filter(Routing)).with(shown).init();
}

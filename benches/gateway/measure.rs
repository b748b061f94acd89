//! One measurement: a generator runs a cell against a peer, and the kernel is asked before and after what it cost.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::cells::Cell;
use crate::kinds::Kind;
use crate::load::{READY, Seen};
use crate::peers::{Lab, Peer};
use crate::process::{Process, pause};

/// What one peer did with one cell in one round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sample {
    pub(crate) peer: &'static str,
    pub(crate) cell: &'static str,
    pub(crate) round: usize,
    /// CPU time of all its processes for each answer, in microseconds.
    pub(crate) cpu_per_answer: f64,
    /// The same for each chunk that the backend sent, where it streams.
    pub(crate) cpu_per_chunk: Option<f64>,
    /// Chunks that arrived for each that the backend sent: below 1 some were joined, above 1 some were cut.
    pub(crate) chunks_arrived: Option<f64>,
    /// Ends of requests that who watches has been told of, those of the warm-up too.
    pub(crate) watched: Option<u64>,
    /// Memory that it holds then, in MB.
    pub(crate) memory: f64,
    pub(crate) seen: Seen,
}

/// What a node takes while nobody asks anything.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Idle {
    pub(crate) peer: &'static str,
    pub(crate) round: usize,
    /// From its start to its first answer, in milliseconds.
    pub(crate) first_answer: f64,
    /// Resident memory after a while of rest, its share of shared pages counted, in MB.
    pub(crate) memory: f64,
    /// CPU time that it takes while nothing happens, in milliseconds a second.
    pub(crate) cpu: f64,
}

/// How long a started node rests before its memory is read, and the time over which it is watched.
const REST: Duration = Duration::from_secs(2);

/// What a load leaves behind is done by then, but for spans, which are posted once a second: its last ends are told, its last
/// lines written. That counts, and what the warm-up left does not.
const SETTLES: Duration = Duration::from_millis(400);

/// Runs `cell` against `peer` for `time`, looked at as a `kind` is.
pub(crate) fn run(lab: &Lab, peer: &Peer, kind: Kind, cell: &Cell, time: Duration, round: usize) -> Result<Sample> {
    let mut watcher = lab.look(peer, kind)?;
    let mut generator = lab.generator(peer, cell.name, time)?;
    anyhow::ensure!(generator.line()? == READY, "the load generator did not start");
    pause(SETTLES);
    let before = lab.cpu(peer)?;
    generator.go()?;
    let told = generator.line()?;
    pause(SETTLES);
    let cpu = lab.cpu(peer)?.saturating_sub(before).as_nanos() as f64 / 1000.0;

    let watched = match &mut watcher {
        Some(watcher) => {
            watcher.go()?;
            Some(watcher.line()?.parse().context("the watcher is gone")?)
        }
        None => None,
    };
    let memory: u64 = peer.processes.iter().map(Process::memory).sum::<Result<_>>()?;

    let seen: Seen = serde_json::from_str(&told).context("the load generator said nothing")?;
    let context = || format!("{} in cell {}", kind.name(), cell.name);
    anyhow::ensure!(seen.answers > 0, "{}: {}", context(), seen.first_failure.unwrap_or_default());
    let answers = seen.answers as f64;
    let sent = answers * cell.script.chunks_sent() as f64;
    let streams = sent > 0.0;
    Ok(Sample {
        peer: kind.name(),
        cell: cell.name,
        round,
        cpu_per_answer: cpu / answers,
        cpu_per_chunk: streams.then(|| cpu / sent),
        chunks_arrived: streams.then(|| seen.chunks as f64 / sent),
        watched,
        memory: memory as f64 / 1e6,
        seen,
    })
}

/// Starts a node of its own, lets it rest, and looks at it.
pub(crate) fn idle(lab: &Lab, kind: Kind, round: usize) -> Result<Option<Idle>> {
    let Some(peer) = lab.start(kind)? else { return Ok(None) };
    let _watcher = lab.look(&peer, kind)?;
    pause(REST);
    let before = lab.cpu(&peer)?;
    pause(REST);
    let cpu = lab.cpu(&peer)?.saturating_sub(before);
    let memory: u64 = peer.processes.iter().map(|process| process.memory()).sum::<Result<_>>()?;
    Ok(Some(Idle {
        peer: kind.name(),
        round,
        first_answer: peer.first_answer.as_secs_f64() * 1000.0,
        memory: memory as f64 / 1e6,
        cpu: cpu.as_secs_f64() * 1000.0 / REST.as_secs_f64(),
    }))
}

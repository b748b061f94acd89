//! The load generator: a process of its own, one thread. It warms up, says so, waits for the word on standard input,
//! asks for the given time, finishes what it began, and tells what it saw as one line of JSON.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::Instant;

use crate::cells::Cell;
use crate::client::{Client, Timing};

/// What the generator says when it has warmed up.
pub(crate) const READY: &str = "ready";

/// How long each connection warms up.
const WARM_UP: Duration = Duration::from_millis(150);

/// Failures of one connection after which it gives up.
const MOST_FAILURES: u64 = 20;

/// What the generator saw. Times are in microseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Answers, right to the last byte.
    pub(crate) answers: u64,
    pub(crate) failures: u64,
    pub(crate) first_failure: Option<String>,
    pub(crate) seconds: f64,
    /// Median and 99th percentile of the time to the last byte.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// The same of the time to the first byte of the body.
    pub(crate) first_byte_p50: f64,
    pub(crate) first_byte_p99: f64,
    /// Pieces that the answers came in.
    pub(crate) chunks: u64,
}

#[derive(Default)]
struct Notes {
    whole: Vec<Duration>,
    first_byte: Vec<Duration>,
    chunks: u64,
    failures: u64,
    first_failure: Option<String>,
}

/// Runs `cell` against `address` for `time`.
pub(crate) fn run(address: SocketAddr, cell: Cell, time: Duration) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    let request: Rc<[u8]> = post(address, &cell.script.request(cell.size)).into();
    let expected: Rc<[u8]> = cell.script.answer().into_bytes().into();
    let (every, connections) = (Duration::from_micros(cell.every), cell.connections as u32);
    let asking = |client, time| {
        let work = (0..).zip(client).map(|(at, client): (u32, Client)| {
            // They take turns, and none of them begins with another.
            let pace = Pace { first: every * at / connections, every };
            spawn_local(ask(client, request.clone(), expected.clone(), time, pace))
        });
        join_all(work.collect::<Vec<_>>())
    };
    let clients: Vec<_> = (0..cell.connections).map(|_| Client::new(address)).collect();
    let warm = local.block_on(&runtime, async { asking(clients, WARM_UP).await });
    let clients: Vec<_> = warm.into_iter().filter_map(|done| Some(done.ok()?.0)).collect();

    println!("{READY}");
    std::io::stdin().read_line(&mut String::new()).context("the driver is gone")?;
    let started = Instant::now();
    let done = local.block_on(&runtime, async { asking(clients, time).await });
    let seconds = started.elapsed().as_secs_f64();

    let notes = done.into_iter().filter_map(|done| Some(done.ok()?.1)).collect();
    println!("{}", serde_json::to_string(&sum(notes, seconds))?);
    Ok(())
}

/// When a connection asks: at once after each answer where `every` is nothing.
struct Pace {
    first: Duration,
    every: Duration,
}

async fn ask(mut client: Client, request: Rc<[u8]>, expected: Rc<[u8]>, time: Duration, pace: Pace) -> (Client, Notes) {
    let end = Instant::now() + time;
    let mut notes = Notes::default();
    let mut due = Instant::now() + pace.first;
    while Instant::now() < end && notes.failures < MOST_FAILURES {
        if !pace.every.is_zero() {
            tokio::time::sleep_until(due).await;
            due += pace.every;
        }
        match client.exchange(&request, &expected, "").await {
            Ok(Timing { first_byte, whole, chunks }) => {
                notes.whole.push(whole);
                notes.first_byte.push(first_byte);
                notes.chunks += chunks;
            }
            Err(error) => {
                notes.failures += 1;
                notes.first_failure.get_or_insert_with(|| format!("{error:#}"));
            }
        }
    }
    (client, notes)
}

/// A chat request as clients send it.
pub(crate) fn post(address: SocketAddr, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\naccept: application/json\r\n\
         user-agent: OpenAI/Python 1.99.0\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn sum(notes: Vec<Notes>, seconds: f64) -> Seen {
    let mut all = Notes::default();
    for note in notes {
        all.whole.extend(note.whole);
        all.first_byte.extend(note.first_byte);
        all.chunks += note.chunks;
        all.failures += note.failures;
        all.first_failure = all.first_failure.or(note.first_failure);
    }
    all.whole.sort_unstable();
    all.first_byte.sort_unstable();
    Seen {
        answers: all.whole.len() as u64,
        failures: all.failures,
        first_failure: all.first_failure,
        seconds,
        p50: percentile(&all.whole, 0.5),
        p99: percentile(&all.whole, 0.99),
        first_byte_p50: percentile(&all.first_byte, 0.5),
        first_byte_p99: percentile(&all.first_byte, 0.99),
        chunks: all.chunks,
    }
}

fn percentile(sorted: &[Duration], part: f64) -> f64 {
    let at = (sorted.len().saturating_sub(1) as f64 * part).round() as usize;
    sorted.get(at).map_or(0.0, |time| time.as_nanos() as f64 / 1000.0)
}

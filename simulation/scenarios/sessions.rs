//! Conversations of eight turns, each turn at an entry of chance, over equal backends that hold the prompts they have
//! read. A turn on the backend of the turn before has nothing to read but what is new.

use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use rand::RngExt;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::book::Served;
use crate::client::Ask;
use crate::cluster::Cluster;
use crate::layout::{COMMON, Layout};

const PEERS: usize = 5;
const BACKENDS: usize = 4;
const SLOTS: usize = 2;
const TURNS: usize = 8;

/// Words of an answer, and what one takes.
const WORDS: std::ops::Range<u32> = 4..13;
const WORD: Duration = Duration::from_millis(100);

/// Pause of the person between two turns.
const THINKS_MS: std::ops::Range<u64> = 500..1500;

/// Conversations of a run.
const CONVERSATIONS: usize = 48;

/// What a turn takes whose prompt is held: its answer, and the little that is new.
const TURN: Duration = Duration::from_millis(900);

/// Text of the person that tells conversations apart, in bytes; what all have in common; and what each turn adds.
const FIRST: usize = 4096;
const COMMON_TEXT: usize = 1024;
const ADDED: usize = 512;

/// Five peers, four of them with a backend that reads a thousand tokens in half a second.
pub(crate) fn layout() -> Layout {
    let mut layout = Layout::of(PEERS);
    layout.backends.truncate(BACKENDS);
    for backend in &mut layout.backends {
        backend.slots = SLOTS;
        backend.per_token = WORD;
        backend.per_prompt_token = Duration::from_micros(500);
        backend.remembers = 16;
    }
    layout
}

/// At 0.3 of what the backends can do; then whether entries agree when they hear nothing of each other.
pub(crate) async fn light(cluster: Cluster) {
    talk(&cluster, 0.3).await;
    sleep(Duration::from_secs(2)).await;
    agree_without_gossip(&cluster).await;
}

/// At 0.75 of it.
pub(crate) async fn busy(cluster: Cluster) {
    talk(&cluster, 0.75).await;
}

async fn talk(cluster: &Cluster, load: f64) {
    cluster.agree("boot", Duration::from_secs(5)).await;
    let turns_a_second = load * (BACKENDS * SLOTS) as f64 / TURN.as_secs_f64();
    let long = Duration::from_secs_f64((CONVERSATIONS * TURNS) as f64 / turns_a_second);
    let followed = join_all((0..CONVERSATIONS).map(|_| conversation(cluster, long))).await;
    let (later, same) = followed.into_iter().fold((0, 0), |all, (later, same)| (all.0 + later, all.1 + same));
    cluster.figure("turns on the same backend, %", f64::from(same) / f64::from(later) * 100.0);

    let served = cluster.book().all();
    let mut by_backend = [0_usize; BACKENDS];
    for act in &served {
        by_backend[number(&act.backend)] += 1;
    }
    let busiest = by_backend.iter().max().copied().unwrap_or_default() as f64;
    cluster.figure("busiest backend over the mean", busiest * BACKENDS as f64 / served.len() as f64);
    let sum = |of: fn(&Served) -> u64| served.iter().map(of).sum::<u64>() as f64;
    let held = sum(|act| act.prompt.held) / sum(|act| act.prompt.tokens);
    cluster.figure("prompt tokens that were held, %", held * 100.0);
}

/// One that begins at any moment within `long`: how many turns there were after the first, and how many of them were on
/// the backend of the one before.
async fn conversation(cluster: &Cluster, long: Duration) -> (u32, u32) {
    let begins = cluster.dice().random_range(Duration::ZERO..long);
    sleep(begins).await;
    let mut messages = opening(cluster);
    let (mut before, mut later, mut same) = (None, 0, 0);
    for turn in 0..TURNS {
        let (entry, tokens, thinks) = {
            let mut dice = cluster.dice();
            (dice.random_range(0..PEERS), dice.random_range(WORDS), dice.random_range(THINKS_MS))
        };
        let answer = cluster.ask(entry, Ask { messages: messages.clone(), ..Ask::stream(COMMON, tokens) }).await;
        cluster.claims().hold(answer.is_whole(), "every turn is answered", format_args!("{answer:?}"));
        let speaker = answer.text.split_once(':').map(|(backend, _)| backend.to_owned());
        if before.is_some() && speaker.is_some() {
            (later, same) = (later + 1, same + u32::from(before == speaker));
        }
        before = speaker;
        messages.push(json!({ "role": "assistant", "content": answer.text }));
        messages.push(said(&format!("turn {turn}"), ADDED));
        sleep(Duration::from_millis(thinks)).await;
    }
    (later, same)
}

/// How a conversation begins that nobody else has.
fn opening(cluster: &Cluster) -> Vec<Value> {
    let system = json!({ "role": "system", "content": text("you are terse", COMMON_TEXT) });
    let number: u64 = cluster.dice().random();
    vec![system, said(&format!("conversation {number}"), FIRST)]
}

fn said(about: &str, length: usize) -> Value {
    json!({ "role": "user", "content": text(about, length) })
}

fn text(about: &str, length: usize) -> String {
    format!("{about}. ").chars().cycle().take(length).collect()
}

fn number(backend: &str) -> usize {
    backend.trim_start_matches('b').parse().expect("backends are named by their number")
}

/// With every packet between peers lost, each still has a plan: how many of them have the one that most have. It is over
/// before anybody doubts anybody.
async fn agree_without_gossip(cluster: &Cluster) {
    let all: Vec<usize> = (0..PEERS).collect();
    for at in &all {
        cluster.split(&all[*at..=*at], &all[at + 1..]);
    }
    let (mut agreed, mut asked) = (0, 0);
    for _ in 0..20 {
        let body = json!({ "model": COMMON, "messages": opening(cluster) });
        let explain = |at: &usize| cluster.call(*at, Method::POST, "/nexus/v1/explain", &body);
        let plans = join_all(all.iter().map(explain)).await;
        let chosen = plans.iter().flatten().filter_map(|(_, plan)| plan["chosen"]["backend"].as_str());
        let mut votes = [0; BACKENDS];
        chosen.for_each(|backend| votes[number(backend)] += 1);
        agreed += votes.iter().max().copied().unwrap_or_default();
        asked += PEERS;
    }
    cluster.figure("agree without gossip, %", f64::from(agreed) / asked as f64 * 100.0);
    for at in &all {
        cluster.heal(&all[*at..=*at], &all[at + 1..]);
    }
    cluster.recover("heal", Duration::from_secs(15)).await;
}

//! Ten times as much as the mesh can serve, from two clients. While there is room in the queues nothing fails; beyond it
//! whoever is turned away is told why; and who waits is served in order, in turns of the clients, about when it was told.

use std::time::Duration;

use futures_util::future::join_all;
use rand::RngExt;
use tokio::time::sleep;

use crate::book::Served;
use crate::client::{Answer, Ask, End};
use crate::cluster::Cluster;
use crate::lab::rank;
use crate::layout::{COMMON, Layout};
use crate::lines;

const PEERS: usize = 3;
const SLOTS: usize = 2;

/// Requests that may wait at each peer.
const QUEUE: u32 = 30;

/// What one request takes: 30 ms to the first of its words, then 20 ms for each.
const WORDS: u32 = 14;
const SERVICE: Duration = Duration::from_millis(30 + 13 * 20);

/// So many times what the slots can do.
const TIMES: f64 = 10.0;

/// How long it lasts.
const LONG: Duration = Duration::from_secs(5);

/// The clients. Beyond the bound the first asks four times as often as the second, which still wants more than its half.
const CLIENTS: [&str; 2] = ["greedy", "modest"];

/// Sent so much earlier, it came earlier, whatever the way.
const EARLIER: Duration = Duration::from_millis(200);

/// Given slots one after the other, two requests may still arrive at the backend in the other order.
const AT_ONCE: Duration = Duration::from_millis(50);

/// Three peers with two slots each, and clients that show who they are.
pub(crate) fn layout() -> Layout {
    let mut layout = Layout { queue: Some(QUEUE), clients: &CLIENTS, ..Layout::of(PEERS) };
    for backend in &mut layout.backends {
        backend.slots = SLOTS;
    }
    layout
}

/// A request with what the scenario knows of it.
struct Asked {
    client: usize,
    urgent: bool,
    answer: Answer,
}

/// First as much as there is room for, then more.
pub(crate) async fn overload(cluster: Cluster) {
    cluster.agree("boot", Duration::from_secs(5)).await;
    let rate = TIMES * (PEERS * SLOTS) as f64 / SERVICE.as_secs_f64();
    let room = QUEUE as usize * PEERS * 3 / 4;
    let within_bound = ask(&cluster, room, Duration::from_secs_f64(room as f64 / rate), [1, 1]).await;
    for asked in &within_bound {
        let whole = asked.answer.is_whole();
        cluster.claims().hold(whole, "nothing fails before the bound of the queue", format_args!("{:?}", asked.answer));
    }
    sleep(Duration::from_secs(2)).await;

    let count = (rate * LONG.as_secs_f64()) as usize;
    let all = ask(&cluster, count, LONG, [4, 1]).await;
    for Asked { answer, .. } in all.iter().filter(|asked| !asked.answer.is_whole()) {
        // Whoever had to leave one line may come to the end of its time in another.
        let was_late = |why: &str| lines::stood_in(&answer.request) > 1 && why.contains("became free within 8 s");
        let honest = matches!(&answer.end, End::Refused(why) if why.contains("queue is full") || was_late(why));
        cluster.claims().hold(honest, "beyond it they are told that the queue is full", format_args!("{answer:?}"));
    }
    let served = cluster.book().all();
    in_order(&cluster, &all, &served);
    tell(&cluster, &all, &served);
}

/// So many requests over so long, by these shares of the clients.
async fn ask(cluster: &Cluster, count: usize, long: Duration, shares: [u32; 2]) -> Vec<Asked> {
    let one = |_| async move {
        let (after, entry, client, urgent) = {
            let mut dice = cluster.dice();
            let client = usize::from(!dice.random_ratio(shares[0], shares[0] + shares[1]));
            (dice.random_range(Duration::ZERO..long), dice.random_range(0..PEERS), client, dice.random_bool(0.1))
        };
        sleep(after).await;
        let ask = Ask { key: CLIENTS[client].to_owned(), urgent, ..Ask::stream(COMMON, WORDS) };
        Asked { client, urgent, answer: cluster.ask(entry, ask).await }
    };
    join_all((0..count).map(one)).await
}

fn act_of<'a>(asked: &Asked, served: &'a [Served]) -> Option<&'a Served> {
    served.iter().find(|act| act.request == asked.answer.request)
}

/// At each backend those of one client and one priority that waited are begun in the order in which they came. Whoever gave
/// its place up to another client and stood in a second line came to that one later.
fn in_order(cluster: &Cluster, all: &[Asked], served: &[Served]) {
    let waited: Vec<(&Asked, &Served)> = all
        .iter()
        .filter(|asked| asked.answer.eta.is_some() && lines::stood_in(&asked.answer.request) == 1)
        .filter_map(|asked| Some((asked, act_of(asked, served)?)))
        .collect();
    let in_one = waited.len() as f64 / all.iter().filter(|asked| asked.answer.eta.is_some()).count().max(1) as f64;
    cluster.figure("stood in one line only, %", in_one * 100.0);
    for (one, first) in &waited {
        let overtook = waited.iter().find(|(other, act)| {
            let alike = (other.client, other.urgent, &act.backend) == (one.client, one.urgent, &first.backend);
            alike && other.answer.sent > one.answer.sent + EARLIER && act.begun + AT_ONCE < first.begun
        });
        if let Some((other, _)) = overtook {
            let (other, one) = (&other.answer, &one.answer);
            cluster.claims().broken("who came first goes first", format_args!("{other:?} overtook {one:?}"));
        }
    }
}

fn tell(cluster: &Cluster, all: &[Asked], served: &[Served]) {
    let count = |client: usize| all.iter().filter(|asked| asked.client == client && asked.answer.is_whole()).count();
    let [greedy, modest] = [count(0) as f64, count(1) as f64];
    let jain = (greedy + modest).powi(2) / (2.0 * (greedy * greedy + modest * modest));
    cluster.figure("fairness (Jain)", jain);
    cluster.figure("turned away, %", (1.0 - (greedy + modest) / all.len() as f64) * 100.0);

    // Told in whole seconds: of shorter waits it cannot say much.
    let mut errors: Vec<f64> = all
        .iter()
        .filter_map(|asked| {
            let (told, begun) = (asked.answer.eta?, act_of(asked, served)?.begun);
            let waited = begun.saturating_sub(asked.answer.sent).as_secs_f64();
            (waited >= 1.0).then(|| (told.as_secs_f64() - waited).abs() / waited * 100.0)
        })
        .collect();
    errors.sort_unstable_by(f64::total_cmp);
    if !errors.is_empty() {
        cluster.figure("error of the told wait, %", rank(&errors, 0.5));
    }
    let refused = all.iter().filter(|asked| !asked.answer.is_whole()).map(|asked| asked.answer.took());
    cluster.measured("turned away at the latest", refused.max().unwrap_or_default());
}

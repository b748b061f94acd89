//! A mesh spends its budget with nothing wrong: all of it but for crumbs, wherever clients ask, and not a cent more.

use std::time::Duration;

use futures_util::future::{join, join_all};

use super::money::{self, Purse};
use crate::client::{Answer, Ask, End};
use crate::cluster::Cluster;
use crate::layout::{COMMON, Layout};
use crate::vendor::CLOUD;

/// What vendors may cost, in USD. An answer costs a hundredth of a USD, more or less.
const LIMIT: f64 = 2.0;

/// What a client that is limited may spend.
const ALLOWANCE: f64 = 0.3;

/// Clients stop after so many refusals.
const REFUSALS: u32 = 3;

/// Four peers, two of them with a vendor.
pub(crate) fn layout() -> Layout {
    Layout::of(4).with_vendors(&[1, 2], LIMIT)
}

/// A client with a limit of its own, then everybody until nothing is left; what costs nothing goes on.
pub(crate) async fn spend(cluster: Cluster) {
    cluster.agree("boot", Duration::from_secs(5)).await;
    money::founded(&cluster).await;
    let limited = money::purse(&cluster, 3, "limited", ALLOWANCE).await;
    let rich = money::purse(&cluster, 0, "rich", LIMIT * 10.0).await;

    let before = cluster.bills().total();
    join_all((0..4).map(|entry| until_refused(&cluster, entry, &limited))).await;
    let own = usd(cluster.bills().total() - before) / ALLOWANCE * 100.0;
    cluster.figure("spent of a key, %", own);
    cluster.claims().hold(own > 85.0, "a key may spend what it is allowed", format_args!("{own} %"));

    let first = join_all((0..4).map(|entry| until_refused(&cluster, entry, &rich))).await.into_iter().flatten();
    let first = usd(first.min().unwrap_or_default()) / LIMIT * 100.0;
    cluster.figure("spent before anybody is refused, %", first);
    cluster.claims().hold(first >= 95.0, "what is there can be spent", format_args!("refused at {first} %"));

    let local = async |entry: usize| {
        let ask = Ask { key: rich.key.clone(), ..Ask::stream(COMMON, 3) };
        let answer = cluster.ask(entry, ask).await;
        let quick = answer.is_whole() && answer.took() < Duration::from_secs(1);
        cluster.claims().hold(quick, "what costs nothing is served without a budget", format_args!("{answer:?}"));
    };
    let cloud = async |entry: usize| {
        let answer = cluster.ask(entry, Ask { key: rich.key.clone(), ..Ask::whole(CLOUD, 19) }).await;
        let told = matches!(&answer.end, End::Refused(why) if why.contains("budget"));
        let quick = answer.status == 503 && told && answer.took() < Duration::from_secs(1);
        cluster.claims().hold(quick, "who is refused for money is told so at once", format_args!("{answer:?}"));
    };
    join(join_all((0..4).map(local)), join_all((0..4).map(cloud))).await;
    let told = money::agree(&cluster).await;
    money::check(&cluster, LIMIT, &[limited, rich], &told);
    let (spent, billed) = (told["spent"].as_f64().unwrap_or_default(), usd(cluster.bills().total()));
    let exact = (spent - billed).abs() < 1e-6 && told["reserved"] == 0.0;
    cluster.claims().hold(exact, "with nothing wrong the count is exact", format_args!("{billed} and {told}"));
}

/// Buys until it is refused; gives what was billed to anybody when it was for the first time.
async fn until_refused(cluster: &Cluster, entry: usize, purse: &Purse) -> Option<u64> {
    let (mut refused, mut first) = (0, None);
    money::buy(cluster, entry, &purse.key, 200, |answer| {
        cluster.claims().hold(is_honest(answer), "who buys gets it or is told why not", format_args!("{answer:?}"));
        if !answer.is_whole() {
            refused += 1;
            first.get_or_insert_with(|| cluster.bills().total());
        }
        refused < REFUSALS
    })
    .await;
    first
}

fn is_honest(answer: &Answer) -> bool {
    answer.is_whole() || matches!((answer.status, &answer.end), (429 | 503, End::Refused(_)))
}

#[expect(clippy::cast_precision_loss, reason = "amounts are small")]
fn usd(nanos: u64) -> f64 {
    nanos as f64 / nexus::budget::NANOS_PER_USD
}

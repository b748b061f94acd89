//! Of use to scenarios in which something costs: who buys, what peers tell of the budget, and what must be true of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::Method;
use nexus::budget::nanos;
use nexus::fleet::Month;
use rand::RngExt;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::checks;
use crate::client::{Answer, Ask};
use crate::cluster::Cluster;
use crate::peer::LOOK_EVERY;
use crate::vendor::{Bill, CLOUD};

/// A budget of a mesh is founded by itself within this.
const FOUNDED: Duration = Duration::from_secs(20);

const KEYS: &str = "/nexus/v1/keys";

/// A key that was made, and what it may spend in a month.
#[derive(Clone)]
pub(super) struct Purse {
    pub(super) key: String,
    pub(super) limit_usd: f64,
}

/// Waits until every peer that is up knows who founded the budget.
pub(super) async fn founded(cluster: &Cluster) {
    let begun = Instant::now();
    for at in up(cluster) {
        while shown(cluster, at).await["founded_by"].is_null() {
            if begun.elapsed() > FOUNDED {
                cluster.claims().broken("a budget is founded", format_args!("{at} knows of none"));
                return;
            }
            sleep(LOOK_EVERY * 5).await;
        }
    }
    cluster.measured("until all know the founding", begun.elapsed());
}

/// Has a key with a monthly limit made at peer `at`, and waits until all that are up know it.
pub(super) async fn purse(cluster: &Cluster, at: usize, name: &str, limit_usd: f64) -> Purse {
    Purse { key: key(cluster, at, name, &json!({ "name": name, "monthly_limit_usd": limit_usd })).await, limit_usd }
}

/// Has the key `wish` made at peer `at`, and waits until all that are up know it.
pub(super) async fn key(cluster: &Cluster, at: usize, name: &str, wish: &Value) -> String {
    let made = cluster.call(at, Method::POST, KEYS, wish).await;
    let key = made.as_ref().ok().and_then(|(_, body)| Some(body["key"].as_str()?.to_owned())).unwrap_or_default();
    cluster.claims().hold(!key.is_empty(), "a key is made", format_args!("{made:?}"));
    let begun = Instant::now();
    for other in up(cluster) {
        while !knows(cluster, other, name).await {
            if begun.elapsed() > FOUNDED {
                cluster.claims().broken("a key is known everywhere", format_args!("not at {other}"));
                break;
            }
            sleep(LOOK_EVERY * 5).await;
        }
    }
    key
}

async fn knows(cluster: &Cluster, at: usize, name: &str) -> bool {
    let told = cluster.call(at, Method::GET, KEYS, &Value::Null).await;
    let listed = told.map(|(_, body)| body["keys"].as_array().cloned().unwrap_or_default()).unwrap_or_default();
    listed.iter().any(|one| one["name"] == name)
}

/// A client of peer `entry` that buys with `key`, one answer after the other with pauses of up to `pause_ms`, while `goes_on` with what it got.
pub(super) async fn buy(
    cluster: &Cluster,
    entry: usize,
    key: &str,
    pause_ms: u64,
    mut goes_on: impl FnMut(&Answer) -> bool,
) {
    loop {
        let (mut ask, pause) = {
            let mut dice = cluster.dice();
            let tokens = dice.random_range(1..20);
            let ask = if dice.random_bool(0.5) { Ask::stream(CLOUD, tokens) } else { Ask::whole(CLOUD, tokens) };
            (ask, Duration::from_millis(dice.random_range(pause_ms / 8..pause_ms)))
        };
        ask.key = key.to_owned();
        if !goes_on(&cluster.ask(entry, ask).await) {
            return;
        }
        sleep(pause).await;
    }
}

/// What the peer tells of the budget; nothing where it cannot be asked.
pub(super) async fn shown(cluster: &Cluster, at: usize) -> Value {
    let told = cluster.call(at, Method::GET, "/nexus/v1/budget", &Value::Null).await;
    told.map(|(_, body)| body).unwrap_or_default()
}

/// Peers that are up.
pub(super) fn up(cluster: &Cluster) -> Vec<usize> {
    (0..cluster.size()).filter(|at| cluster.peer(*at).is_running()).collect()
}

/// Waits until all peers that are up tell the same of the budget; gives what that is.
pub(super) async fn agree(cluster: &Cluster) -> Value {
    let peers = up(cluster);
    let bound = checks::gossip_bound(peers.len(), checks::ROUND) + checks::MARGIN;
    let begun = Instant::now();
    loop {
        let asked_at = begun.elapsed();
        let mut views = Vec::new();
        for at in &peers {
            views.push(core_of(&shown(cluster, *at).await));
        }
        if views.windows(2).all(|two| two[0] == two[1]) {
            cluster.measured("until all tell the same of the budget", asked_at);
            return views.swap_remove(0);
        }
        if asked_at > bound {
            cluster.claims().broken("peers agree on the budget", format_args!("not within {bound:?}: {views:?}"));
            return views.swap_remove(0);
        }
        sleep(LOOK_EVERY).await;
    }
}

/// What must be the same everywhere.
fn core_of(budget: &Value) -> Value {
    let holders: BTreeMap<&str, Value> = budget["holders"]
        .as_array()
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .map(|one| {
            let told = json!([one["rights_percent"], one["spent_usd"], one["reserved_usd"]]);
            (one["holder"].as_str().unwrap_or_default(), told)
        })
        .collect();
    json!({
        "month": budget["month"], "limit": budget["limit_usd"], "spent": budget["spent_usd"],
        "reserved": budget["reserved_usd"], "accounts": budget["accounts"], "holders": holders,
    })
}

/// What was billed is at most what may be, in each month and of each key; and what `told` tells of its month is at least
/// what was billed to ledgers that are there.
pub(super) fn check(cluster: &Cluster, limit_usd: f64, purses: &[Purse], told: &Value) {
    let bills = cluster.bills().all();
    let keys: BTreeMap<String, String> =
        cluster.answers().into_iter().map(|answer| (answer.request, answer.key)).collect();
    hold_to(cluster, "the budget", limit_usd, &bills);
    for (number, purse) in purses.iter().enumerate() {
        let own: Vec<Bill> = bills.iter().filter(|bill| keys.get(&bill.request) == Some(&purse.key)).cloned().collect();
        hold_to(cluster, &format!("key {number}"), purse.limit_usd, &own);
    }
    let is_counted = |bill: &&Bill| bill.is_certain && !bill.is_lost && told["month"] == bill.month.to_string();
    let counted: u64 = bills.iter().filter(is_counted).map(|bill| bill.nanos).sum();
    let spent = nanos(told["spent"].as_f64().unwrap_or_default());
    cluster.claims().hold(spent + 10 >= counted, "what is billed is counted", format_args!("{counted}, told: {told}"));
}

fn hold_to(cluster: &Cluster, what: &str, limit_usd: f64, bills: &[Bill]) {
    let limit = nanos(limit_usd);
    let months: BTreeSet<Month> = bills.iter().map(|bill| bill.month).collect();
    let all: u64 = bills.iter().map(|bill| bill.nanos).sum();
    let most = limit * months.len() as u64;
    cluster.claims().hold(all <= most, "no limit is exceeded", format_args!("{what}: {all} of {most} in {months:?}"));
    for month in &months {
        let sum: u64 = bills.iter().filter(|bill| bill.is_certain && bill.month == *month).map(|bill| bill.nanos).sum();
        cluster.claims().hold(
            sum <= limit,
            "no limit is exceeded",
            format_args!("{what}: {sum} of {limit} in {month}"),
        );
    }
}

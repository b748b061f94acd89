//! `GET /v1/stats?scope=mesh`: what every peer has done, each by itself and all together. Peers are asked when somebody wants
//! to know; who does not answer in time is named.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{Watch, ends, gathered, stats};
use crate::exchange::{Ends, Order, Outcome, Stand};
use crate::fleet::PeerState;
use crate::mesh::Mesh;

/// How long a peer may take to answer.
const DEADLINE: Duration = Duration::from_secs(2);

/// What of an answer fits into one frame between peers, with room for what is around it.
pub(super) const MOST_BYTES: usize = 56 << 10;

/// Where other peers' questions are answered from, once there is somebody who knows. It keeps nobody alive: the mesh has it.
#[derive(Default)]
pub struct Answers(OnceLock<Weak<Watch>>);

impl Answers {
    pub(super) fn are_given_by(&self, watch: &Arc<Watch>) {
        let _ = self.0.set(Arc::downgrade(watch));
    }

    /// What this peer has done, for another one; `None` where it has stopped. Names of client keys are for peers that are
    /// proven.
    pub fn stats(&self) -> Option<Value> {
        let watch = self.0.get()?.upgrade()?;
        let mut told = json!(stats::own(&watch));
        if !is_keyed(&watch) {
            told["keys"] = json!([]);
        }
        shorten(&mut told, &["backends", "models", "keys"]);
        Some(told)
    }

    /// The requests of this peer, for another one; `None` where it has stopped.
    pub fn requests(&self) -> Option<Value> {
        let watch = self.0.get()?.upgrade()?;
        Some(gathered::own(&watch.gateway, is_keyed(&watch)))
    }

    /// Requests that have ended at this peer behind `after`, for another one; `None` where it has stopped.
    pub fn ended(&self, after: Option<Stand>) -> Option<Ends> {
        let watch = self.0.get()?.upgrade()?;
        Some(ends::told(&watch.gateway, is_keyed(&watch), watch.view.created, after))
    }
}

fn is_keyed(watch: &Watch) -> bool {
    watch.view.mesh.as_ref().is_some_and(Mesh::is_keyed)
}

/// Lets the last of the longest of `lists` go until the rest fits into a frame, and says so.
pub(super) fn shorten(told: &mut Value, lists: &[&str]) {
    while told.to_string().len() > MOST_BYTES {
        let length = |key: &&str| told[*key].as_array().map_or(0, Vec::len);
        let Some(longest) = lists.iter().copied().max_by_key(length) else { return };
        let Some(list) = told[longest].as_array_mut().filter(|list| !list.is_empty()) else { return };
        list.truncate(list.len() / 2);
        told["cut_short"] = true.into();
    }
}

/// All peers, each and together, as they were within the last second.
pub(super) async fn of_mesh(watch: &Arc<Watch>) -> Arc<Value> {
    let asking = watch.clone();
    watch.sum.get((), async move { Arc::new(ask(&asking).await) }).await
}

async fn ask(watch: &Watch) -> Value {
    let here = watch.view.mesh.as_ref().map_or_else(|| watch.name.to_string(), |mesh| mesh.name().to_string());
    let mut peers = vec![(here, json!(stats::own(watch)))];
    let mut missing = Vec::new();
    if let Some(mesh) = &watch.view.mesh {
        for (name, told) in ask_all(mesh).await {
            match told {
                Ok(told) => peers.push((name, told)),
                Err(reason) => missing.push(json!({ "peer": name, "reason": reason })),
            }
        }
    }
    json!({
        "scope": "mesh",
        "uptime_seconds": watch.view.started.elapsed().as_secs(),
        "requests": counts(&peers, "requests", &["total", "success", "errors"]),
        "backends": backends(&peers),
        "models": models(&peers),
        "budget": budget(&peers).or_else(|| stats::budget_of_mesh(watch).map(|budget| json!(budget))),
        "keys": keys(&peers),
        "queue": queue(&peers),
        "peers": peers.iter().map(|(name, told)| in_short(name, told)).collect::<Vec<_>>(),
        "missing": missing,
    })
}

async fn ask_all(mesh: &Mesh) -> Vec<(String, Result<Value, String>)> {
    let (peers, now, config) = (mesh.peers(), Instant::now(), mesh.config());
    let living = peers.list.iter().filter(|peer| peer.state(now, config) != PeerState::Dead);
    join_all(living.map(|peer| async move {
        let told = match mesh.order(&peer.id, Order::Stats, DEADLINE).await {
            Ok(Outcome::Stats { told }) => Ok(told),
            Ok(_) => Err("it answered something else".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        (peer.name.clone(), told)
    }))
    .await
}

/// The sums of some counts; peers may say what they like.
fn counts(peers: &[(String, Value)], name: &str, keys: &[&str]) -> Map<String, Value> {
    let of = |key: &str| peers.iter().filter_map(|(_, told)| told[name][key].as_u64()).fold(0, u64::saturating_add);
    keys.iter().map(|key| ((*key).to_owned(), of(key).into())).collect()
}

/// All queues together. There is one as long as any peer has one.
fn queue(peers: &[(String, Value)]) -> Value {
    let mut queue = Map::new();
    queue.insert("enabled".to_owned(), peers.iter().any(|(_, told)| told["queue"]["enabled"] == true).into());
    queue.extend(counts(peers, "queue", &["depth", "max_size", "enqueued_total", "dequeued_total", "timeouts_total"]));
    queue.into()
}

/// The budget is one for the mesh: whoever knows its limit tells all of it.
fn budget(peers: &[(String, Value)]) -> Option<Value> {
    peers.iter().map(|(_, told)| &told["budget"]).find(|budget| budget.is_object()).cloned()
}

fn in_short(name: &str, told: &Value) -> Value {
    let mut short = json!({ "peer": name });
    for key in ["uptime_seconds", "requests", "queue", "cut_short"] {
        if !told[key].is_null() {
            short[key] = told[key].clone();
        }
    }
    short
}

/// Every backend, with the peer that owns it.
fn backends(peers: &[(String, Value)]) -> Vec<Value> {
    let of = |(name, told): &(String, Value)| {
        let list = told["backends"].as_array().cloned().unwrap_or_default();
        let named = |mut backend: Value| {
            if backend.is_object() {
                backend["peer"] = name.as_str().into();
            }
            backend
        };
        list.into_iter().map(named).collect::<Vec<_>>()
    };
    peers.iter().flat_map(of).collect()
}

/// Requests by model, whoever was asked.
fn models(peers: &[(String, Value)]) -> Vec<Value> {
    let mut sums: BTreeMap<&str, (u64, f64)> = BTreeMap::new();
    for model in peers.iter().flat_map(|(_, told)| told["models"].as_array().into_iter().flatten()) {
        let Some(name) = model["name"].as_str() else { continue };
        let (requests, average) = (model["requests"].as_u64().unwrap_or(0), model["average_duration_ms"].as_f64());
        let sum = sums.entry(name).or_default();
        sum.0 = sum.0.saturating_add(requests);
        sum.1 += average.unwrap_or(0.0) * real(requests);
    }
    let told = |(name, (requests, all)): (&str, (u64, f64))| {
        let average = if requests == 0 { 0.0 } else { all / real(requests) };
        json!({ "name": name, "requests": requests, "average_duration_ms": average })
    };
    sums.into_iter().map(told).collect()
}

/// What keys were used for, wherever; what they have spent and may spend is the same at every peer.
fn keys(peers: &[(String, Value)]) -> Vec<Value> {
    let mut sums: BTreeMap<&str, Value> = BTreeMap::new();
    for key in peers.iter().flat_map(|(_, told)| told["keys"].as_array().into_iter().flatten()) {
        let Some(name) = key["name"].as_str() else { continue };
        match sums.get_mut(name) {
            None => drop(sums.insert(name, key.clone())),
            Some(sum) => {
                for count in ["requests", "tokens"] {
                    let all = sum[count].as_u64().unwrap_or(0).saturating_add(key[count].as_u64().unwrap_or(0));
                    sum[count] = all.into();
                }
            }
        }
    }
    sums.into_values().collect()
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_summed_up_whatever_they_say() {
        let one = json!({ "models": [{ "name": "m", "requests": 3, "average_duration_ms": 100.0 }],
                          "backends": [{ "id": "gpu" }], "keys": [{ "name": "k", "requests": 1, "tokens": 5 }] });
        let two = json!({ "models": [{ "name": "m", "requests": 1, "average_duration_ms": 500.0 }, 7],
                          "backends": [{ "id": "gpu" }, null], "keys": [{ "name": "k", "requests": 2, "tokens": 1 }] });
        let peers = [("a".to_owned(), one), ("b".to_owned(), two), ("c".to_owned(), json!("nonsense"))];
        assert_eq!(models(&peers), [json!({ "name": "m", "requests": 4, "average_duration_ms": 200.0 })]);
        assert_eq!(backends(&peers)[..2], [json!({ "id": "gpu", "peer": "a" }), json!({ "id": "gpu", "peer": "b" })]);
        assert_eq!(keys(&peers), [json!({ "name": "k", "requests": 3, "tokens": 6 })]);
    }

    /// A peer that says it has done 2^64 - 1 requests once made a sum of all of them a panic.
    #[test]
    fn no_sum_is_too_large_and_the_budget_is_that_of_whoever_knows_it() {
        let told = |total: u64, enabled: bool| json!({"requests": {"total": total}, "queue": {"enabled": enabled, "depth": total}});
        let mut peers = vec![("a".to_owned(), told(u64::MAX, false)), ("b".to_owned(), told(7, false))];
        assert_eq!(counts(&peers, "requests", &["total", "errors"])["total"], u64::MAX);
        assert_eq!((&queue(&peers)["enabled"], &queue(&peers)["depth"]), (&false.into(), &u64::MAX.into()));
        assert_eq!(budget(&peers), None);
        peers[1].1["budget"] = json!({"monthly_limit_usd": 5.0});
        peers[1].1["queue"]["enabled"] = true.into();
        assert_eq!(
            (budget(&peers), &queue(&peers)["enabled"]),
            (Some(json!({"monthly_limit_usd": 5.0})), &true.into())
        );
    }

    #[test]
    fn an_answer_fits_into_a_frame() {
        let backends: Vec<Value> = (0..5_000).map(|number| json!({ "id": format!("backend-{number}") })).collect();
        let mut told = json!({ "requests": {}, "backends": backends, "models": [], "keys": [] });
        shorten(&mut told, &["backends", "models", "keys"]);
        assert!(told.to_string().len() <= MOST_BYTES && told["cut_short"] == true);
    }
}

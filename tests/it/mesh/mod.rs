//! Several nodes on loopback: any of them answers for all of them.

mod affinity;
mod breakers;
mod ends;
mod forwarding;
mod joining;
mod keys;
mod trouble;
mod trust;

use crate::support::{Cable, Plan, TestNode, until_json};

/// 256 bits of no secret.
pub(crate) const KEY: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const OTHER_KEY: &str = "baaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub(crate) const OPEN: &str = "";

/// A peer called `name`, with a quick mesh.
pub(crate) fn peer(name: &str, key: &str, seeds: &[&TestNode], more: &str) -> Plan {
    let seeds: Vec<String> = seeds.iter().map(|node| format!("'{}'", node.mesh_address())).collect();
    Plan::new(&format!(
        "{more}\n[mesh]\nenabled = true\npeer_name = '{name}'\nkey = '{key}'\nseeds = [{}]\ngossip_interval_ms = 50\n\
         suspect_after_ms = 500\ndead_after_ms = 1500\n",
        seeds.join(", ")
    ))
}

/// Waits until `node` offers `model`.
pub(crate) async fn offers(node: &TestNode, model: &str) {
    until_json(node, "/v1/models", &format!("{model} is known"), |seen| {
        seen["data"].as_array().is_some_and(|all| all.iter().any(|entry| entry["id"] == model))
    })
    .await;
}

/// Waits until `node` offers `model` no more.
async fn forgets(node: &TestNode, model: &str) {
    until_json(node, "/v1/models", &format!("{model} is forgotten"), |seen| {
        seen["data"].as_array().is_some_and(|all| all.iter().all(|entry| entry["id"] != model))
    })
    .await;
}

/// Waits until `node` sees a mesh of so many.
async fn meet(node: &TestNode, size: u64) {
    until_json(node, "/nexus/v1/mesh", "they have met", |seen| seen["mesh"]["size"] == size).await;
}

/// `near`, which clients ask, and `far`, which has the backends that `far_backends` names. They know each other.
pub(crate) async fn pair(near_more: &str, far_more: &str, model: &str) -> (TestNode, TestNode) {
    let far = peer("far", KEY, &[], far_more).start().await;
    let near = peer("near", KEY, &[&far], near_more).start().await;
    offers(&near, model).await;
    (near, far)
}

/// The same, with a cable to `far` that can be cut.
async fn pair_on_cable(near_more: &str, far_more: &str, model: &str) -> (TestNode, TestNode, Cable) {
    let cable = Cable::default();
    let far = peer("far", KEY, &[], far_more).cable(&cable).start().await;
    let near = peer("near", KEY, &[&far], near_more).start().await;
    offers(&near, model).await;
    (near, far, cable)
}

//! Advice on what to load where: from what is kept of two weeks, at a real node, with a mesh of two, and by command.

use std::time::Duration;

use nexus::env::{Clock as _, WallClock};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::ended;
use super::engines::Engine;
use crate::mesh::pair;
use crate::support::{TestNode, chat, until_json};

const ON: &str = "[fleet]\nenabled = true\n";

/// A data directory of a peer that was asked for `model` at this hour of the last fourteen days, three hours ago by now.
fn mornings(model: &str, requests: u32) -> TempDir {
    let now = WallClock.unix_seconds() / 3600;
    let first = now - 14 * 24 - 3;
    let counts: Vec<u32> = (0..14 * 24).map(|hour| if hour % 24 == 0 { requests } else { 0 }).collect();
    // The first of them is fourteen days and three hours ago: the days between are whole.
    let history = json!({ "v": 1, "since": first, "models": { model: { "from": first + 24, "counts": counts } } });
    let data = tempfile::tempdir().expect("a directory");
    std::fs::write(data.path().join("history.json"), history.to_string()).expect("written");
    data
}

fn at(data: &TempDir, more: &str) -> String {
    format!("data_dir = '{}'\n{more}", data.path().display())
}

async fn advice(node: &TestNode) -> Value {
    let reply = node.get("/v1/fleet/recommendations").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

#[tokio::test]
async fn two_weeks_of_history_are_a_reason_to_load_and_nothing_is_loaded_by_itself() {
    let engine = Engine::ollama(&["a:7b", "b"]).await;
    let data = mornings("a:7b", 20);
    let node = TestNode::start(&at(&data, &(ON.to_owned() + &engine.entry("gpu")))).await;
    let seen = advice(&node).await;
    let hour = (WallClock.unix_seconds() / 3600 - 3) % 24;
    let one = &seen["recommendations"][0];
    assert_eq!(seen["recommendations"].as_array().map(Vec::len), Some(1), "{seen}");
    assert_eq!((&seen["fleet_enabled"], &seen["history_days"]), (&json!(true), &json!(14)), "{seen}");
    assert_eq!((&one["model_id"], &one["step"], &one["hour_utc"]), (&json!("a:7b"), &json!("keep_warm"), &json!(hour)));
    assert_eq!(one["target_backend_ids"], json!(["gpu"]));
    assert!(one["confidence_score"].as_f64().is_some_and(|sure| (0.5..=1.0).contains(&sure)), "{one}");
    assert!(one["recommendation_id"].as_str().is_some_and(|id| id.starts_with("rec-")), "{one}");
    for stamp in [&seen["generated_at"], &one["generated_at"], &one["expires_at"]] {
        assert!(stamp.as_str().is_some_and(|stamp| stamp.ends_with('Z')), "{seen}");
    }
    assert_eq!(engine.orders("/api/generate"), Vec::<Value>::new(), "nothing is done by itself");

    let order = json!({
        "model_id": one["model_id"], "backend_id": one["target_backend_ids"][0], "peer": one["target_peer"],
    });
    let begun = super::order(&node, "/v1/models/load", &order).await;
    engine.arrives("a:7b");
    assert_eq!(ended(&node, &super::id(&begun)).await["status"], "completed");
}

#[tokio::test]
async fn where_advice_is_off_there_is_none_and_history_is_kept() {
    let engine = Engine::ollama(&["a:7b"]).await;
    let data = mornings("a:7b", 20);
    let mut node = TestNode::start(&at(&data, &engine.entry("gpu"))).await;
    let seen = advice(&node).await;
    assert_eq!((&seen["fleet_enabled"], &seen["recommendations"]), (&json!(false), &json!([])), "{seen}");
    assert_eq!(node.client().completions(chat("a:7b")).whole().await.status, 200);
    until_json(&node, "/v1/stats", "it is counted", |seen| seen["requests"]["success"] == 1).await;
    let before = std::fs::read_to_string(data.path().join("history.json")).expect("there");
    node.stop(Duration::from_secs(5)).await;
    let after = std::fs::read_to_string(data.path().join("history.json")).expect("there");
    assert!(after != before && after.ends_with(",1]}}}"), "{}", &after[after.len().saturating_sub(40)..]);
}

/// Counts are not worth a refused start.
#[tokio::test]
async fn a_damaged_history_begins_anew() {
    let data = tempfile::tempdir().expect("a directory");
    std::fs::write(data.path().join("history.json"), "{\"v\":1,").expect("written");
    let node = TestNode::start(&at(&data, ON)).await;
    let seen = advice(&node).await;
    assert_eq!((&seen["history_days"], &seen["recommendations"]), (&json!(0), &json!([])), "{seen}");
}

/// What a model is asked for at one peer is a reason to load it at another, whichever is asked for advice.
#[tokio::test]
async fn advice_is_of_the_whole_mesh() {
    let engine = Engine::ollama(&["a:7b"]).await;
    let data = mornings("a:7b", 20);
    let (near, far) = pair(&at(&data, ON), &(ON.to_owned() + &engine.entry("gpu")), "a:7b").await;
    let (seen, same) = (advice(&near).await, advice(&far).await);
    let one = &seen["recommendations"][0];
    assert_eq!((&one["target_peer"], &one["target_backend_ids"]), (&json!("far"), &json!(["gpu"])), "{seen}");
    assert_eq!(one["recommendation_id"], same["recommendations"][0]["recommendation_id"], "{same}");
    assert_eq!((&seen["missing_peers"], &same["missing_peers"]), (&json!([]), &json!([])));
}

//! What drains finishes what it has and takes no more.

use serde_json::{Value, json};

use super::audited;
use crate::mesh::pair;
use crate::support::{Answer, FakeBackend, Gate, Log, TestNode, chat, until_json};

const DRAIN: &str = "/nexus/v1/drain";
const SERVER: &str = "server_error";

/// A backend whose first answer is a stream that goes on when the gate opens.
async fn streams_first(gate: &Gate) -> FakeBackend {
    let gate = gate.clone();
    let answer = move |number| match number {
        0 => Answer::stream(["data: 1\n\n"]).wait(&gate).then("data: [DONE]\n\n"),
        _ => Answer::says("hi"),
    };
    FakeBackend::script(&["m1"], move |request| answer(request.number)).await
}

#[tokio::test]
async fn a_backend_that_drains_finishes_its_stream_and_others_serve() {
    let gate = Gate::closed();
    let first = streams_first(&gate).await;
    let second = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let config = "[routing]\nstrategy = 'priority_only'\n".to_owned()
        + &first.entry("org/a", "priority = 1")
        + &second.entry("b", "priority = 2");
    let node = TestNode::start(&config).await;
    let mut running = node.client().stream("m1").await;
    running.read_to("data: 1").await;
    let log = Log::capture();
    let told = node.client().post(&format!("{DRAIN}/org/a"), "").whole().await.json();
    assert_eq!((&told["draining"], &told["in_flight"], &told["idle"]), (&json!(true), &json!(1), &json!(false)));
    assert_eq!(node.chat("m1").await.header("x-nexus-backend"), Some("b"));
    until_json(&node, "/nexus/v1/backends", "it is seen to drain, whatever its checks say", |seen| {
        let all = seen["backends"].as_array().cloned().unwrap_or_default();
        all.iter().any(|backend| backend["name"] == "org/a" && backend["status"] == "draining")
    })
    .await;
    gate.open();
    assert_eq!(running.whole().await.text(), "data: [DONE]\n\n");
    node.idle().await;
    assert_eq!(node.get(&format!("{DRAIN}/org/a")).await.json()["idle"], true);
    assert_eq!(node.client().delete(&format!("{DRAIN}/org/a")).whole().await.status, 200);
    assert_eq!(node.chat("m1").await.header("x-nexus-backend"), Some("org/a"));
    let actions: Vec<String> = audited(&log).into_iter().map(|(action, ..)| action).collect();
    assert_eq!(actions, ["backend_drained", "backend_undrained"]);
    node.client().post(&format!("{DRAIN}/nobody"), "").whole().await.error(404, "not_found", "invalid_request_error");
}

#[tokio::test]
async fn a_peer_that_drains_takes_nothing_from_anybody_and_is_idle_in_the_end() {
    let gate = Gate::closed();
    let backend = streams_first(&gate).await;
    let (near, far) = pair("", &backend.entry("gpu", ""), "m1").await;
    let mut running = near.client().stream("m1").await;
    running.read_to("data: 1").await;

    let told = far.client().post(DRAIN, "").whole().await.json();
    assert_eq!((&told["peer"], &told["draining"], &told["idle"]), (&json!("far"), &json!(true), &json!(false)));
    let refused = far.client().completions(chat("m1")).whole().await;
    refused.error(503, "service_unavailable", SERVER);
    assert!(refused.header("retry-after").is_some());
    let drains = |seen: &Value| seen["peers"][0]["state"] == "draining";
    until_json(&near, "/nexus/v1/mesh", "the others know", drains).await;
    assert_eq!(near.chat("m1").await.status, 503, "nobody else has it");

    gate.open();
    assert_eq!(running.whole().await.text(), "data: [DONE]\n\n");
    until_json(&far, DRAIN, "it is idle", |seen| seen["idle"] == true).await;
    assert_eq!(far.client().delete(DRAIN).whole().await.json()["draining"], false);
    until_json(&near, "/nexus/v1/mesh", "it is back", |seen| seen["peers"][0]["state"] == "alive").await;
    assert_eq!(near.chat("m1").await.status, 200);
}

/// A peer that drained with the mesh off said nowhere that it did, and "All is well" on its own page.
#[tokio::test]
async fn a_peer_that_drains_alone_says_so_itself() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = TestNode::start(&backend.entry("gpu", "")).await;
    let page = async |path: &str| {
        let reply = node.client().get(path).header("accept", "text/html").whole().await;
        reply.text().to_owned()
    };
    let kinds = |seen: &Value| -> Vec<String> {
        let all = seen["events"].as_array().cloned().unwrap_or_default();
        all.iter().filter_map(|event| Some(event["kind"].as_str()?.to_owned())).collect()
    };
    assert!(page("/").await.contains("All is well"));
    node.client().post(DRAIN, "").whole().await;
    let told = page("/").await;
    assert!(told.contains("This peer is draining") && !told.contains("All is well"), "{told}");
    assert!(told.contains("this peer, draining"), "{told}");
    let manage = page("/manage").await;
    assert!(manage.contains("value=\"peer-undrain\"") && !manage.contains("value=\"peer-drain\""), "{manage}");
    until_json(&node, "/nexus/v1/events", "it drains", |seen| kinds(seen).contains(&"peer_draining".to_owned())).await;
    node.client().delete(DRAIN).whole().await;
    until_json(&node, "/nexus/v1/events", "it does not", |seen| kinds(seen).contains(&"peer_well".to_owned())).await;
    assert!(page("/").await.contains("All is well"));

    node.client().post(&format!("{DRAIN}/gpu"), "").whole().await;
    until_json(&node, "/nexus/v1/events", "a backend", |seen| kinds(seen).contains(&"backend_draining".to_owned()))
        .await;
}

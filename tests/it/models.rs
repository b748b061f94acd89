//! `GET /v1/models`: what can be asked for.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::support::{Answer, FakeBackend, TestNode, model, until, until_json};

async fn two_backends() -> (FakeBackend, FakeBackend, TestNode) {
    let mut able = model("org/zeta:7b");
    able["max_model_len"] = json!(32768);
    able["capabilities"] = json!({"vision": true, "tools": false});
    let a = FakeBackend::listing(vec![able, model("beta")], |_| Answer::says("hi")).await;
    let b = FakeBackend::always(&["beta"], Answer::says("hi")).await;
    let node = TestNode::start(&(b.entry("b", "") + &a.entry("a", ""))).await;
    (a, b, node)
}

#[tokio::test]
async fn the_list_has_one_entry_for_each_model_of_each_backend_in_order() {
    let (_a, _b, node) = two_backends().await;
    let reply = node.get("/v1/models").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    let list = reply.json();
    assert_eq!(list["object"], "list");
    let pairs: Vec<_> =
        list["data"].as_array().expect("a list").iter().map(|e| (e["id"].clone(), e["owned_by"].clone())).collect();
    assert_eq!(pairs, [(json!("beta"), json!("a")), (json!("beta"), json!("b")), (json!("org/zeta:7b"), json!("a"))]);
    let zeta = &list["data"][2];
    assert_eq!(zeta["object"], "model");
    assert!(zeta["created"].is_u64());
    assert_eq!(zeta["context_length"], 32768);
    assert_eq!(zeta["capabilities"], json!({"vision": true, "tools": false, "json_mode": false}));
    assert!(zeta.get("peer").is_none(), "it is here");
}

#[tokio::test]
async fn the_list_can_have_each_model_once() {
    let (_a, _b, node) = two_backends().await;
    let list = node.get("/v1/models?unique=true").await.json();
    let ids: Vec<_> = list["data"].as_array().expect("a list").iter().map(|e| e["id"].clone()).collect();
    assert_eq!(ids, [json!("beta"), json!("org/zeta:7b")]);
    assert!(list["data"].as_array().expect("a list").iter().all(|entry| entry["owned_by"] == "nexus"));
}

#[tokio::test]
async fn a_model_can_be_asked_for_by_its_id_slashes_and_all() {
    let (_a, _b, node) = two_backends().await;
    for path in ["/v1/models/org/zeta:7b", "/v1/models/org%2Fzeta:7b"] {
        let reply = node.get(path).await;
        assert_eq!((reply.status, reply.json()["id"].as_str()), (200, Some("org/zeta:7b")), "{path}");
    }
    let error = node.get("/v1/models/nope").await.error(404, "model_not_found", "invalid_request_error");
    assert_eq!(error["param"], "model");
}

#[tokio::test]
async fn nothing_to_list_is_an_empty_list() {
    let node = TestNode::start("").await;
    assert_eq!(node.get("/v1/models").await.json(), json!({"object": "list", "data": []}));
}

#[tokio::test]
async fn models_of_a_backend_that_is_down_are_not_listed() {
    let (a, _b, node) = two_backends().await;
    a.set_well(false);
    until_json(&node, "/v1/models", "only the other one's", |seen| {
        seen["data"].as_array().is_some_and(|all| all.len() == 1 && all[0]["owned_by"] == "b")
    })
    .await;
}

/// Seen from a dashboard, a hung backend must not look like a hung node.
#[tokio::test]
async fn what_there_is_can_be_asked_while_backends_hang() {
    let hung = FakeBackend::always(&["m1"], Answer::silence()).await;
    let node = TestNode::start(&hung.entry("a", "")).await;
    let waiting: Vec<_> = (0..20).map(|_| node.chat("m1")).collect();
    let look = async {
        until("all are waiting", || hung.active() == 20).await;
        hung.set_mute(true);
        for path in ["/v1/models", "/health", "/nexus/v1/backends", "/nexus/v1/mesh"] {
            let started = Instant::now();
            assert_eq!(node.get(path).await.status, 200, "{path}");
            assert!(started.elapsed() < Duration::from_millis(250), "{path}: {:?}", started.elapsed());
        }
    };
    tokio::select! {
        _ = futures_util::future::join_all(waiting) => panic!("they hang"),
        () = look => {}
    }
}

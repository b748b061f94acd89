//! The same over the mesh: any peer is told, the owner does it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::join_all;
use serde_json::json;

use super::engines::Engine;
use super::{CLIENT, ended, id, load, order, unload};
use crate::mesh::{KEY, OPEN, offers, pair, peer};
use crate::support::{until, until_json};

#[tokio::test]
async fn any_peer_may_be_told_and_the_owner_does_it() {
    let engine = Engine::ollama(&["org/m:7b"]).await;
    engine.is_slow(true);
    let (near, far) = pair("", &engine.entry("gpu"), "org/m:7b").await;
    let reply = load(&near, "org/m:7b", "gpu").await;
    assert_eq!((reply.status, reply.json()["peer"].as_str()), (202, Some("far")), "{}", reply.text());
    let id = id(&reply);
    for node in [&near, &far] {
        let seen = node.get(&format!("/v1/operations/{id}")).await.json();
        assert_eq!((&seen["status"], &seen["peer"]), (&json!("in_progress"), &json!("far")), "{seen}");
    }
    load(&near, "org/m:7b", "gpu").await.error(409, "conflict", CLIENT);
    engine.arrives("org/m:7b");
    assert_eq!(ended(&near, &id).await["status"], "completed");
    assert_eq!(near.get("/v1/operations").await.json()["operations"][0]["operation_id"], json!(id));
    until_json(&near, "/nexus/v1/backends", "the entry hears of it", |seen| {
        seen["backends"][0]["models"][0]["loaded"] == true
    })
    .await;
    let gone = unload(&near, "org/m:7b", "gpu").await;
    assert_eq!((gone.status, gone.json()["peer"].as_str()), (200, Some("far")), "{}", gone.text());
    assert!(engine.loaded().is_empty());

    load(&near, "unheard-of", "gpu").await.error(404, "not_found", CLIENT);
    unload(&near, "org/m:7b", "gpu").await.error(400, "bad_request", CLIENT);
    let elsewhere = json!({"model_id": "org/m:7b", "backend_id": "gpu", "peer": "near"});
    order(&near, "/v1/models/load", &elsewhere).await.error(404, "not_found", CLIENT);
}

#[tokio::test]
async fn a_model_moves_from_peer_to_peer() {
    let (from, to) = (Engine::ollama(&["m"]).await, Engine::llamacpp(&["m"]).await);
    from.arrives("m");
    let (near, far) = pair(&from.entry("here"), &to.entry("there"), "m").await;
    until_json(&near, "/nexus/v1/backends", "both are known", |seen| {
        seen["backends"].as_array().is_some_and(|all| all.len() == 2)
    })
    .await;
    let body = json!({"model_id": "m", "source_backend_id": "here", "target_backend_id": "there"});
    let id = id(&order(&near, "/v1/models/migrate", &body).await);
    assert_eq!(ended(&near, &id).await["status"], "completed");
    assert!(from.loaded().is_empty() && to.loaded() == ["m"]);
    for node in [&near, &far] {
        assert_eq!(node.chat("m").await.status, 200);
    }
    let back = json!({"model_id": "m", "source_backend_id": "there", "target_backend_id": "here"});
    let id = super::id(&order(&near, "/v1/models/migrate", &back).await);
    assert_eq!(ended(&far, &id).await["status"], "completed", "and is asked for anywhere");
    assert!(to.loaded().is_empty() && from.loaded() == ["m"]);
}

/// Clients of both peers ask all the time. None of them notices.
#[tokio::test]
async fn a_model_moves_under_load() {
    let (from, to) = (Engine::llamacpp(&["m"]).await, Engine::llamacpp(&["m"]).await);
    from.arrives("m");
    let (near, far) = pair(&to.entry("there"), &from.entry("here"), "m").await;
    until_json(&near, "/nexus/v1/backends", "both are known", |seen| {
        seen["backends"]
            .as_array()
            .is_some_and(|all| all.len() == 2 && all.iter().all(|one| one["models"][0]["loaded"].is_boolean()))
    })
    .await;
    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let asking = join_all([near.client(), far.client(), near.client(), far.client()].map(async |client| {
        while !over.load(Ordering::SeqCst) {
            let reply = client.chat("m").await;
            assert_eq!(reply.status, 200, "{}", reply.text());
            answered.fetch_add(1, Ordering::SeqCst);
        }
    }));
    let so_many_more = async || {
        let now = answered.load(Ordering::SeqCst);
        until("requests are answered", || answered.load(Ordering::SeqCst) >= now + 20).await;
    };
    let moving = async {
        so_many_more().await;
        let body = json!({"model_id": "m", "source_backend_id": "here", "target_backend_id": "there"});
        let id = id(&order(&near, "/v1/models/migrate", &body).await);
        assert_eq!(ended(&near, &id).await["status"], "completed");
        so_many_more().await;
        over.store(true, Ordering::SeqCst);
    };
    tokio::join!(asking, moving);
    assert!(from.loaded().is_empty() && to.loaded() == ["m"]);
}

#[tokio::test]
async fn peers_of_an_open_mesh_take_no_orders() {
    let engine = Engine::ollama(&["m"]).await;
    let far = peer("far", OPEN, &[], &engine.entry("gpu")).start().await;
    let near = peer("near", OPEN, &[&far], "").start().await;
    offers(&near, "m").await;
    let error = load(&near, "m", "gpu").await.error(403, "forbidden", CLIENT);
    assert!(error["message"].as_str().is_some_and(|says| says.contains("open mesh")), "{error}");
    assert!(engine.orders("/api/generate").is_empty());
    assert_eq!(load(&far, "m", "gpu").await.status, 202, "the owner itself may be told");
}

#[tokio::test]
async fn backends_of_one_name_are_told_apart_by_their_peers() {
    let engines = [Engine::ollama(&["m"]).await, Engine::ollama(&["m"]).await];
    let one = peer("one", KEY, &[], &engines[0].entry("gpu")).start().await;
    let _two = peer("two", KEY, &[&one], &engines[1].entry("gpu")).start().await;
    let near = peer("near", KEY, &[&one], "").start().await;
    until_json(&near, "/nexus/v1/backends", "both are known", |seen| {
        seen["backends"].as_array().is_some_and(|all| all.len() == 2)
    })
    .await;
    let error = load(&near, "m", "gpu").await.error(400, "bad_request", CLIENT);
    assert!(error["message"].as_str().is_some_and(|says| says.contains("gpu of one, gpu of two")), "{error}");
    let body = json!({"model_id": "m", "backend_id": "gpu", "peer": "two"});
    assert_eq!(order(&near, "/v1/models/load", &body).await.status, 202);
    until("the right one loads it", || engines[1].loaded() == ["m"]).await;
    assert!(engines[0].loaded().is_empty());
}

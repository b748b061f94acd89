//! Any peer may be managed at any peer, by those who may manage there.

use http::Method;
use serde_json::json;

use super::audited;
use crate::mesh::{KEY, OPEN, offers, pair, peer};
use crate::support::{Answer, FakeBackend, Log, until_json};

const CLIENT: &str = "invalid_request_error";

#[tokio::test]
async fn a_peer_does_what_is_asked_of_it_at_another() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let far = peer("far", KEY, &[], &backend.entry("gpu", "")).in_file().start().await;
    let near = peer("near", KEY, &[&far], "").start().await;
    offers(&near, "m1").await;
    until_json(&far, "/nexus/v1/mesh", "it knows who orders", |seen| seen["peers"][0]["name"] == "near").await;
    let log = Log::capture();

    let drained = near.client().post("/nexus/v1/drain?peer=far", "").whole().await;
    assert_eq!(drained.status, 200, "{}", drained.text());
    assert_eq!((&drained.json()["peer"], &drained.json()["draining"]), (&json!("far"), &json!(true)));
    assert_eq!(far.get("/nexus/v1/drain").await.json()["draining"], true);
    assert_eq!(near.client().delete("/nexus/v1/drain?peer=far").whole().await.status, 200);

    let other = FakeBackend::always(&["m2"], Answer::says("hi")).await;
    let body = json!({"url": format!("http://{}", other.address), "name": "late", "type": "generic"}).to_string();
    assert_eq!(near.client().post("/nexus/v1/backends?peer=far", body).whole().await.status, 201);
    offers(&near, "m2").await;
    assert_eq!(near.client().delete("/nexus/v1/backends/late?peer=far").whole().await.status, 200);

    // What it has seen of the file goes along, and so does what is said of it.
    let seen = near.get("/nexus/v1/aliases?peer=far").await;
    let tag = seen.header("etag").expect("a tag").to_owned();
    let set = |name: &str| {
        let path = format!("/nexus/v1/aliases/{name}?peer=far");
        near.client().call(Method::PUT, &path, json!({"target": "m1"}).to_string()).header("if-match", &tag).whole()
    };
    assert_eq!(set("a").await.status, 200);
    set("b").await.error(412, "conflict", CLIENT);
    assert_eq!(far.chat("a").await.status, 200);

    let audited = audited(&log);
    let actions: Vec<&str> = audited.iter().map(|(action, ..)| action.as_str()).collect();
    assert_eq!(actions, ["peer_drained", "peer_undrained", "backend_added", "backend_removed", "alias_set"]);
    assert!(audited.iter().all(|(.., peer)| peer == "far"), "{audited:?}");
    let line = log.lines().into_iter().find(|line| line["target"] == "nexus::audit").expect("a line");
    assert_eq!(line["source"], "peer near");
    assert!(line["by"].as_str().is_some_and(|by| by.contains("this machine at near")), "{line}");
}

#[tokio::test]
async fn a_peer_that_is_not_there_is_named_and_so_are_those_that_are() {
    let (near, _far) = pair("", &FakeBackend::always(&["m1"], Answer::says("hi")).await.entry("gpu", ""), "m1").await;
    let error = near.client().post("/nexus/v1/drain?peer=attic", "").whole().await.error(404, "not_found", CLIENT);
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains("attic") && message.contains("far"), "{message}");
    let own = near.client().post("/nexus/v1/drain?peer=near", "").whole().await.json();
    assert_eq!((&own["peer"], &own["draining"]), (&json!("near"), &json!(true)));
}

/// Who holds no key could be anybody.
#[tokio::test]
async fn peers_of_an_open_mesh_take_no_orders() {
    let far = peer("far", OPEN, &[], "").start().await;
    let near = peer("near", OPEN, &[&far], "").start().await;
    until_json(&near, "/nexus/v1/mesh", "they know each other", |seen| seen["peers"][0]["name"] == "far").await;
    let error = near.client().post("/nexus/v1/drain?peer=far", "").whole().await.error(403, "forbidden", CLIENT);
    assert!(error["message"].as_str().is_some_and(|message| message.contains("nexus mesh invite")), "{error}");
    assert_eq!(far.get("/nexus/v1/drain").await.json()["draining"], false);
}

#[tokio::test]
async fn rights_are_asked_for_where_the_call_comes_in() {
    let far = peer("far", KEY, &[], "").start().await;
    let near = peer("near", KEY, &[&far], "").variable("NEXUS_ADMIN_TOKEN", "s3cret").start().await;
    until_json(&near, "/nexus/v1/mesh", "they know each other", |seen| seen["peers"][0]["name"] == "far").await;
    let log = Log::capture();
    let refused = near.client().post("/nexus/v1/drain?peer=far", "").whole().await;
    refused.error(401, "invalid_api_key", CLIENT);
    assert_eq!(far.get("/nexus/v1/drain").await.json()["draining"], false);
    assert!(log.lines().iter().any(|line| line["message"] == "Management refused") && audited(&log).is_empty());
    let call = near.client().post("/nexus/v1/drain?peer=far", "").header("authorization", "Bearer s3cret");
    assert_eq!(call.whole().await.status, 200);
}

/// Whoever sat at a peer without a token once managed those that have one.
#[tokio::test]
async fn a_peer_with_a_token_is_managed_by_those_who_have_shown_it() {
    let far = peer("far", KEY, &[], "").variable("NEXUS_ADMIN_TOKEN", "s3cret").start().await;
    for (token, status) in [(None, 403), (Some("another"), 403), (Some("s3cret"), 200)] {
        let plan = peer("near", KEY, &[&far], "");
        let near = token.into_iter().fold(plan, |plan, token| plan.variable("NEXUS_ADMIN_TOKEN", token)).start().await;
        until_json(&near, "/nexus/v1/mesh", "they know each other", |seen| seen["peers"][0]["state"] == "alive").await;
        let id = near.get("/nexus/v1/mesh").await.json()["peers"][0]["id"].as_str().expect("an id").to_owned();
        let call = near.client().post(&format!("/nexus/v1/drain?peer={id}"), "");
        let call = call.header("authorization", &format!("Bearer {}", token.unwrap_or("none")));
        let reply = call.whole().await;
        assert_eq!(reply.status, status, "{token:?}: {}", reply.text());
    }
}

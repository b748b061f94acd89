//! A backend that gives trouble at its owner is left alone by every peer, and everybody can see why.

use serde_json::Value;

use super::{KEY, offers, pair};
use crate::support::{Answer, FakeBackend, Plan, TestNode, chat, until_json};

const PREFERRED: &str = "[routing]\nstrategy = 'priority_only'\n";

/// What `node` shows of the breakers of a backend.
fn breakers<'a>(seen: &'a Value, name: &str) -> &'a [Value] {
    let all = seen["backends"].as_array().expect("backends");
    let backend = all.iter().find(|backend| backend["name"] == name);
    backend.and_then(|backend| backend["breakers"].as_array()).map_or(&[], Vec::as_slice)
}

async fn until_open(node: &TestNode, name: &str) {
    until_json(node, "/nexus/v1/backends", "a breaker is open", |seen| !breakers(seen, name).is_empty()).await;
}

/// One that fails with `m1` and is well with `m2`.
async fn half_broken() -> FakeBackend {
    FakeBackend::script(&["m1", "m2"], |request| match request.json()["model"] == "m1" {
        true => Answer::json(500, "{}"),
        false => Answer::says("hi"),
    })
    .await
}

#[tokio::test]
async fn what_opens_at_the_owner_is_known_and_shown_at_every_entry() {
    let bad = half_broken().await;
    let good = FakeBackend::always(&["m1", "m2"], Answer::says("hi")).await;
    let near_more = PREFERRED.to_owned() + &good.entry("good", "priority = 90");
    let (near, far) = pair(&near_more, &bad.entry("bad", "priority = 1"), "m1").await;
    // Whoever asks its owner finds it out; nobody has asked for it here.
    assert_eq!(far.chat("m1").await.status, 502);
    until_open(&near, "bad").await;
    let calls = bad.calls();
    for _ in 0..5 {
        let reply = near.chat("m1").await;
        assert_eq!((reply.status, reply.header("x-nexus-backend")), (200, Some("good")));
        assert_eq!(reply.header("x-nexus-route-reason"), Some("capability-match"), "nobody had to be tried first");
    }
    assert_eq!(bad.calls(), calls);
    assert_eq!(near.chat("m2").await.header("x-nexus-backend"), Some("bad"), "its other model is as good as before");

    for node in [&near, &far] {
        let seen = node.get("/nexus/v1/backends").await.json();
        let [breaker] = breakers(&seen, "bad") else { panic!("one breaker: {seen}") };
        assert_eq!((breaker["model"].as_str(), breaker["kind"].as_str()), (Some("m1"), Some("errors")));
        assert_eq!(breaker["state"], "open");
        assert!(breaker["seconds_until_probe"].as_u64().is_some_and(|left| left <= 10), "{breaker}");
        assert!(breaker["reason"].as_str().is_some_and(|reason| reason.starts_with("left alone for ")), "{breaker}");
    }
    let plan = near.client().post("/nexus/v1/explain", chat("m1")).whole().await.json();
    assert_eq!(plan["chosen"]["backend"], "good");
    let told = &plan["candidates"][1];
    assert_eq!((told["backend"].as_str(), &told["terms"]["suspect"]), (Some("bad"), &true.into()));
    assert_eq!(told["breakers"][0]["kind"], "errors", "{plan}");
    let plan = near.client().post("/nexus/v1/explain", chat("m2")).whole().await.json();
    assert_eq!(plan["candidates"][0]["breakers"], serde_json::json!([]), "{plan}");
}

/// A peer whose news are old.
fn slow_peer(name: &str, seeds: &[&TestNode], more: &str) -> Plan {
    let seeds: Vec<String> = seeds.iter().map(|node| format!("'{}'", node.mesh_address())).collect();
    Plan::new(&format!(
        "{more}\n[mesh]\nenabled = true\npeer_name = '{name}'\nkey = '{KEY}'\nseeds = [{}]\ngossip_interval_ms = 1000\n\
         suspect_after_ms = 20000\ndead_after_ms = 60000\n",
        seeds.join(", ")
    ))
}

/// The entry's news may be old: the owner knows, and says so before it costs anything.
#[tokio::test]
async fn an_owner_refuses_what_had_better_go_elsewhere_and_serves_what_cannot() {
    let bad = FakeBackend::always(&["m1", "m3"], Answer::json(500, "{}")).await;
    let good = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let far = slow_peer("far", &[], &bad.entry("bad", "priority = 1")).start().await;
    let near_more = PREFERRED.to_owned() + &good.entry("good", "priority = 90");
    let near = slow_peer("near", &[&far], &near_more).start().await;
    offers(&near, "m3").await;
    for model in ["m1", "m3"] {
        assert_eq!(far.chat(model).await.status, 502);
    }
    let calls = bad.calls();
    let reply = near.chat("m1").await;
    assert_eq!((reply.status, reply.header("x-nexus-backend"), bad.calls()), (200, Some("good"), calls));
    let reply = near.chat("m3").await;
    assert_eq!((reply.status, bad.calls() > calls), (502, true), "there is nobody else: better a try than a refusal");
}

#[tokio::test]
async fn a_far_backend_that_is_well_again_is_used_again() {
    let backend = FakeBackend::script(&["m1"], |request| match request.number {
        0..3 => Answer::json(500, "{}"),
        _ => Answer::says("hi"),
    })
    .await;
    let (near, far) = pair("", &backend.entry("a", ""), "m1").await;
    assert_eq!(far.chat("m1").await.status, 502);
    until_open(&near, "a").await;
    assert_eq!(near.chat("m1").await.status, 200, "the only one there is");
}

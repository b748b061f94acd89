//! How a node says it is, and how it finds out how its backends are.

use std::time::Duration;

use tokio::time::Instant;

use crate::support::{Answer, FakeBackend, Plan, TestNode, until, until_json};

#[tokio::test]
async fn health_is_healthy_degraded_or_unhealthy_and_always_200() {
    let empty = TestNode::start("").await;
    let seen = empty.get("/health").await;
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.json()["status"], "healthy", "nothing configured is nothing broken");

    let a = FakeBackend::always(&["m1", "m2"], Answer::says("hi")).await;
    let b = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = TestNode::start(&(a.entry("a", "") + &b.entry("b", ""))).await;
    let seen = node.get("/health").await.json();
    assert_eq!(seen["status"], "healthy");
    assert_eq!(seen["backends"], serde_json::json!({"total": 2, "healthy": 2, "unhealthy": 0}));
    assert_eq!(seen["models"], 2, "different models, and a number: {seen}");
    assert!(seen["uptime_seconds"].is_u64(), "{seen}");
    b.set_well(false);
    until_json(&node, "/health", "degraded", |seen| seen["status"] == "degraded" && seen["backends"]["unhealthy"] == 1)
        .await;
    a.set_well(false);
    until_json(&node, "/health", "unhealthy", |seen| seen["status"] == "unhealthy" && seen["models"] == 0).await;
    assert_eq!(node.get("/health").await.status, 200);
}

/// One slow backend once delayed finding a dead one to 27 s.
#[tokio::test]
async fn a_backend_that_answers_no_checks_delays_nobody_elses() {
    let slow = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let other = FakeBackend::always(&["m2"], Answer::says("hi")).await;
    let config = slow.entry("slow", "") + &other.entry("other", "") + "[health_check]\ntimeout_seconds = 60\n";
    let node = TestNode::start(&config).await;
    slow.set_mute(true);
    let before = slow.probes().len();
    until("a check of the slow one is under way", || slow.probes().len() > before).await;
    other.set_well(false);
    let started = Instant::now();
    until_json(&node, "/nexus/v1/backends", "the dead one is found", |seen| {
        seen["backends"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["name"] == "other" && one["status"] == "unhealthy"))
    })
    .await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

/// The timeout of a check was once fixed, whatever was configured.
#[tokio::test]
async fn a_check_takes_no_longer_than_it_may() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = TestNode::start(&(backend.entry("a", "") + "[health_check]\ntimeout_seconds = 1\n")).await;
    backend.set_mute(true);
    let started = Instant::now();
    until_json(&node, "/health", "found silent", |seen| seen["status"] == "unhealthy").await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

/// Thresholds count what comes in a row.
#[tokio::test]
async fn one_failed_check_is_not_enough_where_three_are_asked_for() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = TestNode::start(&(backend.entry("a", "") + "[health_check]\nfailure_threshold = 3\n")).await;
    let before = backend.probes().len();
    backend.set_well(false);
    until("one check failed", || backend.probes().len() > before).await;
    assert_eq!(node.get("/health").await.json()["status"], "healthy");
    until_json(&node, "/health", "three checks failed", |seen| seen["status"] == "unhealthy").await;
    assert!(backend.probes().len() >= before + 3, "{:?}", backend.probes().len() - before);
}

/// The check of a cloud backend was once a paid request.
#[tokio::test]
async fn checks_never_cost_money() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let entry = backend.entry("cloud", "type = 'openai'\napi_key_env = 'CLOUD_KEY'");
    let node = Plan::new(&entry).variable("CLOUD_KEY", "sk-own").start().await;
    until("three checks", || backend.probes().len() >= 4).await;
    let (what_it_is, lists): (Vec<_>, Vec<_>) = backend.probes().into_iter().partition(|path| path == "/health");
    assert_eq!(what_it_is.len(), 1, "it is asked once whether it is a node");
    assert!(lists.iter().all(|path| path == "/v1/models"), "{lists:?}");
    assert_eq!(backend.calls(), 0);
    drop(node);
}

/// `/v1` was once asked for twice: `/v1/v1/models`.
#[tokio::test]
async fn an_address_with_v1_at_its_end_is_the_same_address() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    for end in ["", "/", "/v1", "/v1/"] {
        let entry = format!("[[backends]]\nname='a'\ntype='generic'\nurl='http://{}{end}'\n", backend.address);
        let node = TestNode::start(&entry).await;
        assert_eq!(node.chat("m1").await.status, 200, "{end}");
    }
    assert!(backend.requests().iter().all(|request| request.path == "/v1/chat/completions"));
    let probes = backend.probes();
    assert!(probes.iter().all(|path| ["/v1/models", "/health"].contains(&path.as_str())), "{probes:?}");
}

/// Without checks backends stay unknown, and are used.
#[tokio::test]
async fn without_checks_a_node_still_starts_and_answers() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = TestNode::start(&(backend.entry("a", "") + "[health_check]\nenabled = false\n")).await;
    let seen = node.get("/nexus/v1/backends").await.json();
    assert_eq!(seen["backends"][0]["status"], "unknown");
    assert_eq!(node.get("/health").await.status, 200);
    until_json(&node, "/v1/models", "its models are known all the same", |seen| seen["data"][0]["id"] == "m1").await;
    assert_eq!(node.chat("m1").await.status, 200);
}

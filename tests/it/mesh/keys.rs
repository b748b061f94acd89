//! Clients' keys: made at one peer, good at all of them, and revoked for good.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{KEY, OPEN, meet, peer};
use crate::support::{Answer, Cable, FakeBackend, Log, Plan, TestNode, chat, until_json};

const PATH: &str = "/nexus/v1/keys";

/// A peer with a backend of its own, and a data directory that outlives it.
fn plan(name: &str, key: &str, data: &TempDir, seeds: &[&TestNode], backend: &FakeBackend) -> Plan {
    let data = data.path().to_str().expect("a path of text");
    peer(name, key, seeds, &format!("data_dir = '{data}'\n{}", backend.entry(name, "")))
}

fn data() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

/// Makes a key, and gives it.
async fn add(node: &TestNode, name: &str) -> String {
    let reply = node.client().post(PATH, json!({ "name": name }).to_string()).whole().await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()["key"].as_str().expect("the key").to_owned()
}

async fn revoke(node: &TestNode, name: &str) {
    let reply = node.client().delete(&format!("{PATH}/{name}")).whole().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// What comes of a request with this key.
async fn ask(node: &TestNode, key: &str) -> u16 {
    let call = node.client().completions(chat("m1")).header("authorization", &format!("Bearer {key}"));
    call.whole().await.status
}

/// Waits until `node` knows a key of this name in this state.
async fn knows(node: &TestNode, name: &str, state: &str) {
    let is_meant = |key: &Value| key["name"] == name && key["state"] == state;
    until_json(node, PATH, &format!("{name} is {state}"), |seen| {
        seen["keys"].as_array().is_some_and(|keys| keys.iter().any(is_meant))
    })
    .await;
}

#[tokio::test]
async fn a_key_made_at_one_peer_is_good_at_all_and_its_end_is_for_good() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let (at_a, at_b, at_c) = (data(), data(), data());
    let mut a = plan("a", KEY, &at_a, &[], &backend).start().await;
    let mut b = plan("b", KEY, &at_b, &[&a], &backend).start().await;
    meet(&b, 2).await;
    assert_eq!((ask(&a, "").await, ask(&b, "").await), (200, 200), "the door is open");
    let key = add(&a, "laptop").await;
    knows(&b, "laptop", "active").await;
    for node in [&a, &b] {
        assert_eq!((ask(node, &key).await, ask(node, "").await, ask(node, "nxk_guess").await), (200, 401, 401));
    }

    let mut c = plan("c", KEY, &at_c, &[&b], &backend).start().await;
    knows(&c, "laptop", "active").await;
    assert_eq!((ask(&c, &key).await, ask(&c, "").await), (200, 401), "whoever joins later learns of it");

    revoke(&b, "laptop").await;
    assert_eq!(ask(&b, &key).await, 401);
    for node in [&a, &c] {
        knows(node, "laptop", "revoked").await;
        assert_eq!(ask(node, &key).await, 401);
    }

    let second = add(&c, "laptop").await;
    knows(&a, "laptop", "active").await;
    for node in [&mut a, &mut b, &mut c] {
        node.stop(Duration::from_secs(1)).await;
    }
    let a = plan("a", KEY, &at_a, &[], &backend).start().await;
    assert_eq!((ask(&a, &key).await, ask(&a, &second).await, ask(&a, "").await), (401, 200, 401), "after a restart");
    let b = plan("b", KEY, &at_b, &[&a], &backend).start().await;
    knows(&b, "laptop", "active").await;
    assert_eq!((ask(&b, &key).await, ask(&b, &second).await), (401, 200));
}

/// A peer that was cut off brings no revoked key back, and what it has made meanwhile is not lost.
#[tokio::test]
async fn a_split_heals_into_all_that_both_sides_did() {
    // Of one server that both know only one peer would be the owner, whom the other cannot reach.
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let apart = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let (at_a, at_b, cable) = (data(), data(), Cable::default());
    let a = plan("a", KEY, &at_a, &[], &backend).start().await;
    let b = plan("b", KEY, &at_b, &[&a], &apart).cable(&cable).start().await;
    meet(&a, 2).await;
    let key = add(&a, "laptop").await;
    knows(&b, "laptop", "active").await;
    cable.cut();
    revoke(&a, "laptop").await;
    let other = add(&b, "phone").await;
    assert_eq!((ask(&b, &key).await, ask(&a, &other).await), (200, 401), "neither knows of the other");
    cable.mend();
    knows(&b, "laptop", "revoked").await;
    knows(&a, "phone", "active").await;
    for node in [&a, &b] {
        assert_eq!((ask(node, &key).await, ask(node, &other).await), (401, 200));
    }
}

/// Nobody there has proven who it is.
#[tokio::test]
async fn peers_of_an_open_mesh_tell_each_other_of_no_keys() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let (at_a, at_b) = (data(), data());
    let a = plan("a", OPEN, &at_a, &[], &backend).start().await;
    let b = plan("b", OPEN, &at_b, &[&a], &backend).start().await;
    meet(&a, 2).await;
    meet(&b, 2).await;
    let key = add(&a, "laptop").await;
    let notes = a.get(PATH).await.json()["notes"].to_string();
    assert!(notes.contains("The mesh is open") && notes.contains("nexus mesh invite"), "{notes}");
    // A key of its own makes it look for who knows others.
    add(&b, "phone").await;
    // What each tells after that has arrived: so would the keys have.
    for (from, to) in [(&a, &b), (&b, &a)] {
        assert!(from.client().post("/nexus/v1/drain", "").whole().await.status < 300);
        until_json(to, "/nexus/v1/mesh", "the other one drains", |seen| seen["peers"][0]["draining"] == true).await;
        assert!(from.client().delete("/nexus/v1/drain").whole().await.status < 300);
        until_json(to, "/nexus/v1/mesh", "it is back", |seen| seen["peers"][0]["draining"] == false).await;
    }
    assert_eq!((ask(&a, &key).await, ask(&b, &key).await), (200, 401));
    for (node, name) in [(&a, "laptop"), (&b, "phone")] {
        let keys = node.get(PATH).await.json()["keys"].clone();
        assert_eq!((keys.as_array().map(Vec::len), keys[0]["name"].as_str()), (Some(1), Some(name)), "{keys}");
    }
}

#[tokio::test]
async fn no_key_is_logged_listed_or_told() {
    let log = Log::capture();
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let (at_a, at_b) = (data(), data());
    let a = plan("a", KEY, &at_a, &[], &backend).start().await;
    let b = plan("b", KEY, &at_b, &[&a], &backend).start().await;
    meet(&a, 2).await;
    let key = add(&a, "laptop").await;
    knows(&b, "laptop", "active").await;
    ask(&b, &key).await;
    revoke(&b, "laptop").await;
    knows(&a, "laptop", "revoked").await;
    let digest = ring::digest::digest(&ring::digest::SHA256, key.as_bytes());
    let hash = data_encoding::HEXLOWER.encode(digest.as_ref());
    let seen = [a.get(PATH).await, b.get(PATH).await, a.get("/nexus/v1/mesh").await];
    for text in seen.iter().map(|reply| reply.text()).chain([log.text().as_str()]) {
        assert!(!text.contains(&key) && !text.contains(&hash), "{text}");
    }
    for at in [&at_a, &at_b] {
        let kept = std::fs::read_to_string(at.path().join("keys.json")).expect("the ring");
        assert!(!kept.contains(&key) && kept.contains(&hash));
    }
}

//! Managers that hang up before they are answered.

use serde_json::{Value, json};

use super::audited;
use crate::mesh::{KEY, peer};
use crate::support::{Answer, FakeBackend, Gate, Log, until, until_json};

/// What somebody had begun to change and did not wait for was once cut off, or done and not written down.
#[tokio::test]
async fn a_change_is_written_down_though_whoever_asked_has_hung_up() {
    let (gate, backend) = (Gate::closed(), FakeBackend::always(&["m1"], Answer::says("hi")).await);
    backend.says("/api/tags", Answer::json(200, r#"{"models":[]}"#).after(&gate));
    let far = peer("far", KEY, &[], "").start().await;
    let near = peer("near", KEY, &[&far], "").start().await;
    until_json(&near, "/nexus/v1/mesh", "they have met", |seen| seen["mesh"]["size"] == 2).await;
    let log = Log::capture();
    for (times, query) in [(1, ""), (2, "?peer=far")] {
        let body = json!({ "url": format!("http://{}", backend.address), "name": "late" });
        let call = near.client().post(&format!("/nexus/v1/backends{query}"), body.to_string()).whole();
        tokio::select! {
            reply = call => panic!("it waits for what the backend is: {}", reply.text()),
            () = until("the backend is asked what it is", || backend.asked("/api/tags") >= times) => {}
        }
        until("whoever asked is gone", || near.tasks("connection") == 0).await;
    }
    gate.open();
    until("both are written down", || audited(&log).len() >= 2).await;
    for node in [&near, &far] {
        until_json(node, "/nexus/v1/backends", "it is there", |seen| seen["backends"][0]["name"] == "late").await;
    }
    until("nobody manages any more", || near.tasks("management") + far.tasks("management") == 0).await;
    let lines: Vec<Value> = log.lines().into_iter().filter(|line| line["target"] == "nexus::audit").collect();
    assert_eq!(lines.len(), 2, "each once: {lines:?}");
    for (peer, source, by) in [("near", "127.0.0.1:", "this machine"), ("far", "peer near", "this machine at near")] {
        let line = lines.iter().find(|line| line["peer"] == peer).expect("a line of that peer");
        let starts = |key: &str, with: &str| line[key].as_str().is_some_and(|text| text.starts_with(with));
        assert_eq!((&line["action"], &line["subject"]), (&json!("backend_added"), &json!("late")), "{line}");
        assert!(starts("source", source) && starts("by", by), "{line}");
    }
}

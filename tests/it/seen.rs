//! What can be seen of requests: the history, the list, and the decision behind each.

use serde_json::Value;

use crate::mesh::pair;
use crate::support::{Answer, FakeBackend, Gate, TestNode, chat, stream, until_json};

/// The history once it has so many entries.
async fn history(node: &TestNode, entries: usize) -> Vec<Value> {
    until_json(node, "/v1/history", "all have ended", |seen| seen.as_array().map(Vec::len) == Some(entries)).await;
    node.get("/v1/history").await.json().as_array().cloned().expect("a list")
}

async fn requests(node: &TestNode, query: &str) -> Vec<Value> {
    node.get(&format!("/nexus/v1/requests{query}")).await.json()["requests"].as_array().cloned().expect("a list")
}

#[tokio::test]
async fn the_history_has_streams_and_failures_oldest_first() {
    let backend = FakeBackend::script(&["m1"], |request| match request.number {
        0 => Answer::says("hi"),
        1 => Answer::stream(["data: 1\n\n"]).then("data: [DONE]\n\n"),
        2 => Answer::json(400, r#"{"error":{"message":"no"}}"#),
        _ => Answer::hang_up(),
    })
    .await;
    let config = "[routing]\nmax_retries = 0\n[routing.aliases]\nfast = 'm1'\n".to_owned() + &backend.entry("gpu", "");
    let node = TestNode::start(&config).await;
    node.chat("fast").await;
    node.client().completions(stream("m1")).whole().await;
    node.chat("m1").await;
    node.chat("m1").await;
    node.chat("made-up").await;
    node.client().completions("{").whole().await;
    let entries = history(&node, 6).await;
    let told: Vec<(&str, &str, &str)> = entries
        .iter()
        .map(|entry| {
            let text = |key: &str| entry[key].as_str().expect("text");
            (text("model"), text("backend_id"), text("status"))
        })
        .collect();
    assert_eq!(
        told,
        [
            ("m1", "gpu", "Success"),
            ("m1", "gpu", "Success"),
            ("m1", "gpu", "Error"),
            ("m1", "gpu", "Error"),
            ("made-up", "none", "Error"),
            ("", "none", "Error")
        ]
    );
    assert!(entries[0]["timestamp"].is_u64() && entries[0]["duration_ms"].is_u64());
    assert!(entries[0]["error_message"].is_null());
    assert!(entries[4]["error_message"].as_str().is_some_and(|error| error.contains("not found")), "{entries:?}");
}

#[tokio::test]
async fn the_history_keeps_the_last_hundred() {
    let node = TestNode::start("").await;
    for number in 0..130 {
        node.chat(&format!("m{number}")).await;
    }
    let entries = node.get("/v1/history").await.json();
    let models: Vec<&str> =
        entries.as_array().expect("a list").iter().filter_map(|one| one["model"].as_str()).collect();
    assert_eq!((models.len(), models[0], models[99]), (100, "m30", "m129"));
}

#[tokio::test]
async fn a_request_is_seen_while_it_waits_is_tried_and_streams() {
    let (first, rest) = (Gate::closed(), Gate::closed());
    let (before, after) = (first.clone(), rest.clone());
    let backend = FakeBackend::script(&["m1"], move |_| {
        Answer::stream(["data: 1\n\n"]).after(&before).wait(&after).then("data: [DONE]\n\n")
    })
    .await;
    let node = TestNode::start(&backend.entry("gpu", "concurrency = 1")).await;
    let ask = |id: &'static str| {
        let client = node.client();
        async move { client.completions(stream("m1")).header("x-request-id", id).whole().await.status }
    };
    let second = async {
        backend.called(1).await;
        ask("two").await
    };
    let states = |list: &[Value]| -> Vec<(String, String)> {
        let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
        list.iter().map(|one| (text(one, "id"), text(one, "state"))).collect()
    };
    let watching = async {
        until_json(&node, "/nexus/v1/requests?state=waiting", "one waits", |seen| seen["requests"][0]["id"] == "two")
            .await;
        let seen = requests(&node, "").await;
        let pairs = [("two", "waiting"), ("one", "trying")].map(|(id, state)| (id.to_owned(), state.to_owned()));
        assert_eq!(states(&seen), pairs, "newest first");
        assert_eq!((seen[1]["backend"].as_str(), seen[1]["origin"].as_str()), (Some("gpu"), Some("client")));
        first.open();
        until_json(&node, "/nexus/v1/requests?state=streaming", "it streams", |seen| {
            seen["requests"][0]["id"] == "one"
        })
        .await;
        rest.open();
    };
    let (one, two, ()) = tokio::join!(ask("one"), second, watching);
    assert_eq!((one, two), (200, 200));
    until_json(&node, "/nexus/v1/requests?state=live", "all have ended", |seen| {
        seen["requests"] == serde_json::json!([])
    })
    .await;
    let ended = requests(&node, "?state=done&limit=1").await;
    assert_eq!(ended[0]["id"], "two");
    assert!(ended[0]["queued_ms"].is_u64() && ended[0]["status_code"] == 200, "{ended:?}");
    for query in ["?state=odd", "?limit=0", "?limit=x", "?odd=1"] {
        let reply = node.get(&format!("/nexus/v1/requests{query}")).await;
        reply.error(400, "bad_request", "invalid_request_error");
    }
    node.get("/nexus/v1/requests/nobody").await.error(404, "not_found", "invalid_request_error");
}

#[tokio::test]
async fn the_decision_of_a_forwarded_request_is_told_by_both_peers() {
    let broken = FakeBackend::always(&["m1"], Answer::json(500, "{}")).await;
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let config = "[routing]\nstrategy = 'priority_only'\nmax_retries = 3\n".to_owned();
    let (near, far) =
        pair(&(config + &broken.entry("broken", "priority = 1")), &backend.entry("good", "priority = 2"), "m1").await;
    until_json(&near, "/nexus/v1/mesh", "far is alive", |seen| seen["peers"][0]["backends"][0]["status"] == "healthy")
        .await;
    let reply = near.client().completions(chat("m1")).header("x-request-id", "r1").whole().await;
    assert_eq!((reply.status, reply.header("x-nexus-peer")), (200, Some("far")));
    for node in [&near, &far] {
        until_json(node, "/nexus/v1/requests/r1", "both have ended", |seen| {
            seen["entry"]["state"] == "done" && seen["owner"]["state"] == "done"
        })
        .await;
        let told = node.get("/nexus/v1/requests/r1").await.json();
        let (entry, owner) = (&told["entry"], &told["owner"]);
        assert_eq!((&entry["told_by"], &owner["told_by"]), (&"near".into(), &"far".into()), "{told}");
        assert_eq!((&owner["origin"], &owner["entry"]), (&"peer".into(), &"near".into()));
        let attempts = entry["attempts"].as_array().expect("attempts");
        assert!(attempts.len() >= 2, "{told}");
        assert_eq!((&attempts[0]["backend"], &attempts[0]["result"]), (&"broken".into(), &"missed".into()));
        assert!(attempts[0]["reason"].as_str().is_some_and(|why| why.contains("500")), "{told}");
        let last = attempts.last().expect("one");
        assert_eq!(
            (&last["peer"], &last["backend"], &last["result"]),
            (&"far".into(), &"good".into(), &"answered".into())
        );
        assert!(entry["candidates"].as_array().is_some_and(|all| all.iter().any(|one| one["fact_age_ms"].is_u64())));
        assert_eq!(told["missing"], Value::Null);
    }
    let of_near = near.get("/v1/history").await.json();
    assert_eq!(of_near.as_array().map(Vec::len), Some(1));
    assert_eq!(far.get("/v1/history").await.json(), serde_json::json!([]), "its clients have asked for nothing");
}

#[tokio::test]
async fn the_history_of_the_mesh_has_every_request_once_with_its_way() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let (near, far) = pair("", &backend.entry("gpu", ""), "m1").await;
    until_json(&near, "/nexus/v1/mesh", "far is alive", |seen| seen["peers"][0]["backends"][0]["status"] == "healthy")
        .await;
    near.chat("m1").await;
    far.chat("m1").await;
    far.chat("made-up").await;
    for node in [&near, &far] {
        let path = "/v1/history?scope=mesh";
        until_json(node, path, "all have ended", |seen| seen.as_array().map(Vec::len) == Some(3)).await;
        let entries = node.get(path).await.json();
        let mut told: Vec<[&str; 5]> = entries
            .as_array()
            .expect("a list")
            .iter()
            .map(|entry| {
                ["entry", "peer", "backend_id", "model", "status"].map(|key| entry[key].as_str().unwrap_or_default())
            })
            .collect();
        let times: Vec<_> = entries.as_array().into_iter().flatten().map(|entry| entry["timestamp"].as_u64()).collect();
        assert!(times.is_sorted(), "oldest first: {entries}");
        told.sort_unstable();
        assert_eq!(
            told,
            [
                ["far", "", "none", "made-up", "Error"],
                ["far", "far", "gpu", "m1", "Success"],
                ["near", "far", "gpu", "m1", "Success"],
            ]
        );
    }
    for query in ["?scope=moon", "?odd=1"] {
        near.get(&format!("/v1/history{query}")).await.error(400, "bad_request", "invalid_request_error");
    }
}

/// What was not wanted once took the room of what was.
#[tokio::test]
async fn a_limit_counts_what_is_wanted_alone() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = TestNode::start(&backend.entry("gpu", "")).await;
    node.chat("made-up").await;
    for _ in 0..3 {
        assert_eq!(node.chat("m1").await.status, 200);
    }
    for scope in ["", "&scope=mesh"] {
        until_json(&node, &format!("/nexus/v1/requests?state=failed&limit=1{scope}"), "the one that failed", |seen| {
            seen["requests"].as_array().map(Vec::len) == Some(1) && seen["requests"][0]["model"] == "made-up"
        })
        .await;
    }
}

#[tokio::test]
async fn hostile_names_are_cut_and_break_nothing() {
    let script = "</script><script>alert(1)</script>";
    let long = format!("a{}", "é".repeat(10_000));
    let backend = FakeBackend::always(&[script, &long], Answer::says("hi")).await;
    let node = TestNode::start(&backend.entry("gpu", "")).await;
    for model in [script, &long, "\\u0000\\u001b[2J"] {
        node.chat(model).await;
    }
    let entries = history(&node, 3).await;
    assert_eq!(entries[0]["model"], script, "what shows it escapes it");
    assert_eq!(entries[1]["model"].as_str().map(|model| model.chars().count()), Some(256));
    let metrics = node.get("/metrics").await;
    assert!(metrics.text().lines().all(|line| line.len() < 2_000), "a label has a bound");
    assert!(metrics.text().contains(r#"nexus_errors_total{error_type="model_not_found",model="none"} 1"#));
    let list = node.get("/nexus/v1/requests").await;
    assert!(list.body.len() < 20_000, "{}", list.body.len());
}

//! Backends come and go on a running node.

use serde_json::{Value, json};

use crate::support::{Answer, FakeBackend, Gate, TestNode, chat, until_json};

const PATH: &str = "/nexus/v1/backends";
const CLIENT: &str = "invalid_request_error";

async fn add(node: &TestNode, body: &Value) -> crate::support::Whole {
    node.client().post(PATH, body.to_string()).whole().await
}

/// What the command line added was once added nowhere, and ids changed with every start.
#[tokio::test]
async fn a_backend_that_is_added_is_seen_at_once_and_serves() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = TestNode::start("").await;
    let url = format!("http://{}/v1/", backend.address);
    let reply = add(&node, &json!({"url": url, "name": "new", "type": "generic", "priority": 7})).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    let added = &reply.json()["backend"];
    assert_eq!((added["id"].as_str(), added["name"].as_str()), (Some("new"), Some("new")));
    let seen = &node.get(PATH).await.json()["backends"][0];
    let expected = json!({
        "id": "new", "name": "new", "url": format!("http://{}", backend.address), "backend_type": "generic",
        "type": "generic", "priority": 7, "pending_requests": 0, "discovery_source": "manual", "peer": "self",
    });
    for (field, value) in expected.as_object().expect("an object") {
        assert_eq!(&seen[field], value, "{field}");
    }
    until_json(&node, "/v1/models", "its model", |seen| seen["data"][0]["id"] == "m1").await;
    assert_eq!(node.chat("m1").await.header("x-nexus-backend"), Some("new"));
    let seen = &node.get(PATH).await.json()["backends"][0];
    assert_eq!((seen["status"].as_str(), seen["total_requests"].as_u64()), (Some("healthy"), Some(1)));
    assert_eq!(seen["models"][0]["id"], "m1");
    for field in ["context_length", "supports_vision", "supports_tools", "supports_json_mode", "max_output_tokens"] {
        assert!(seen["models"][0].get(field).is_some(), "{field}");
    }
}

#[tokio::test]
async fn a_backend_without_name_and_type_gets_both() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = TestNode::start("").await;
    let reply = add(&node, &json!({"url": format!("http://{}", backend.address)})).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(reply.json()["backend"]["name"], "127.0.0.1");
    assert_eq!(reply.json()["backend"]["type"], "ollama", "it answers /api/tags");
}

#[tokio::test]
async fn what_cannot_be_added_is_refused_with_a_reason() {
    let node = TestNode::start("").await;
    let good = json!({"url": "http://127.0.0.1:1", "name": "a", "type": "generic"});
    assert_eq!(add(&node, &good).await.status, 201);
    add(&node, &good).await.error(409, "conflict", CLIENT);
    for (key, value, says) in [
        ("url", json!("ftp://x"), "Invalid URL"),
        ("url", json!("nonsense"), "Invalid URL"),
        ("url", json!("http://user:password@x"), "credentials"),
        ("type", json!("toaster"), "Unknown backend type: toaster"),
        ("name", json!(""), "name"),
        ("name", json!("x".repeat(1000)), "name"),
        ("url", json!(7), "url"),
        ("zone", json!("nowhere"), "unknown zone"),
        ("tier", json!(9), "tier 9"),
    ] {
        let mut body = json!({"url": "http://127.0.0.1:1", "name": "b", "type": "generic"});
        body[key] = value;
        let error = add(&node, &body).await.error(400, "bad_request", CLIENT);
        let message = error["message"].as_str().unwrap_or_default();
        assert!(message.contains(says) || says == "url", "{body}: {message}");
        assert!(!message.contains("password"), "{message}");
    }
    node.client().post(PATH, "{").whole().await.error(400, "bad_request", CLIENT);
    node.client().delete("/nexus/v1/backends/nobody").whole().await.error(404, "not_found", CLIENT);
    assert_eq!(node.get(PATH).await.json()["backends"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_node_is_not_a_backend_of_itself() {
    let node = TestNode::start("").await;
    let body = json!({"url": format!("http://{}", node.address), "name": "loop"});
    let error = add(&node, &body).await.error(400, "bad_request", CLIENT);
    assert!(error["message"].as_str().is_some_and(|message| message.contains("mesh join")), "{error}");
}

#[tokio::test]
async fn a_backend_that_is_removed_finishes_what_it_has_and_takes_no_more() {
    let gate = Gate::closed();
    let answer = Answer::stream(["data: 1\n\n"]).wait(&gate).then("data: [DONE]\n\n");
    let backend = FakeBackend::always(&["m1"], answer).await;
    let node = TestNode::start(&backend.entry("org/a", "")).await;
    let mut running = node.client().stream("m1").await;
    running.read_to("data: 1").await;
    assert_eq!(node.client().delete("/nexus/v1/backends/org/a").whole().await.status, 200);
    assert_eq!(node.get(PATH).await.json()["backends"], json!([]));
    assert_eq!(node.get("/v1/models").await.json()["data"], json!([]));
    let late = node.client().completions(chat("m1")).whole().await;
    late.error(404, "model_not_found", CLIENT);
    gate.open();
    assert_eq!(running.whole().await.text(), "data: [DONE]\n\n");
    let probes = backend.probes().len();
    assert_eq!(add(&node, &json!({"url": "http://127.0.0.1:1", "name": "org/a", "type": "exo"})).await.status, 201);
    assert_eq!(backend.probes().len(), probes, "it is not watched any more");
}

#[tokio::test]
async fn configured_backends_keep_their_names_and_say_where_they_are_from() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = TestNode::start(&backend.entry("local-ollama", "priority = 3")).await;
    let seen = &node.get(PATH).await.json()["backends"][0];
    assert_eq!(seen["id"], "local-ollama");
    assert_eq!(seen["discovery_source"], "static");
    assert_eq!(seen["priority"], 3);
}

//! A backend that is a Nexus node in truth: it is found out, and a request that comes round is not sent round again.

use crate::support::{Answer, FakeBackend, TestNode, chat, until_json};

#[tokio::test]
async fn a_request_that_comes_back_is_refused_and_the_backend_named() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = TestNode::start(&backend.entry("my self", "")).await;
    assert_eq!(node.chat("m1").await.status, 200);
    let way = backend.requests()[0].header("x-nexus-visited").expect("the way so far").to_owned();
    let elsewhere = node.client().completions(chat("m1")).header("x-nexus-visited", "another").whole().await;
    assert_eq!(elsewhere.status, 200, "who came by another node is served");
    for way in [way.clone(), format!("first, {way}"), format!("{way}, last;backend=x")] {
        let reply = node.client().completions(chat("m1")).header("x-nexus-visited", &way).whole().await;
        reply.error(508, "loop_detected", "server_error");
        assert!(reply.text().contains("nexus backends remove my self"), "{}", reply.text());
    }
    assert_eq!(backend.calls(), 2);
}

/// Requests once went round 51 times.
#[tokio::test]
async fn a_node_is_no_backend_whatever_it_is_said_to_be() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = TestNode::start(&backend.entry("a", "")).await;
    for kind in ["generic", "ollama", "vllm", "llamacpp", "lmstudio"] {
        let entry = format!("[[backends]]\nname = 'node'\nurl = 'http://{}'\ntype = '{kind}'\n", node.address);
        let other = TestNode::start(&entry).await;
        until_json(&other, "/nexus/v1/backends", kind, |seen| {
            let node = &seen["backends"][0];
            node["status"] == "unhealthy" && node["last_error"] == "this is a Nexus node: use `nexus mesh join`"
        })
        .await;
        assert_eq!(other.chat("m1").await.status, 404);
    }
    let added = format!(r#"{{"url":"http://{}","name":"self","type":"generic"}}"#, node.address);
    assert_eq!(node.client().post("/nexus/v1/backends", added).whole().await.status, 201);
    until_json(&node, "/nexus/v1/backends", "it is found out", |seen| {
        seen["backends"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["last_error"].to_string().contains("Nexus")))
    })
    .await;
    for _ in 0..4 {
        assert_eq!(node.chat("m1").await.header("x-nexus-backend"), Some("a"));
    }
}

//! What a request needs and what models can do. Only a known no keeps a request from a model; what nobody said does not.

use serde_json::{Value, json};

use crate::support::{Answer, FakeBackend, TestNode, chat, model, until_json};

const CLIENT: &str = "invalid_request_error";

fn able(id: &str, more: Value) -> Value {
    let mut entry = model(id);
    entry.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    entry
}

async fn offering(entry: Value) -> FakeBackend {
    FakeBackend::listing(vec![entry], |_| Answer::says("hi")).await
}

fn with(extra: &str) -> String {
    chat("m1").replacen('{', &format!("{{{extra},"), 1)
}

const TOOLS: &str = r#""tools":[{"type":"function","function":{"name":"f"}}]"#;
const JSON_MODE: &str = r#""response_format":{"type":"json_object"}"#;

fn with_image() -> String {
    chat("m1").replace("\"hello\"", r#"[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]"#)
}

/// This request once locked the whole server, until it was killed.
#[tokio::test]
async fn tools_on_a_model_known_to_have_none_are_400_and_nothing_stands_still() {
    let backend = offering(able("m1", json!({"capabilities": {"tools": false}}))).await;
    let node = TestNode::start(&backend.entry("a", "")).await;
    for _ in 0..50 {
        let error = node.client().completions(with(TOOLS)).whole().await.error(400, "capability_mismatch", CLIENT);
        assert_eq!(error["message"], "Model 'm1' lacks required capabilities: [\"tools\"]");
    }
    assert_eq!(node.get("/health").await.status, 200);
    assert_eq!((node.chat("m1").await.status, backend.calls()), (200, 1));
}

/// What nobody had said was once taken for a no.
#[tokio::test]
async fn unknown_is_not_no() {
    let long = "word ".repeat(5000);
    for (entry, kind) in [
        (model("m1"), "type = 'generic'"),
        (able("m1", json!({"max_model_len": 32768, "owned_by": "vllm"})), "type = 'vllm'"),
        (model("m1"), "type = 'exo'"),
    ] {
        let backend = offering(entry).await;
        let node = TestNode::start(&backend.entry("a", kind)).await;
        for body in [with(TOOLS), with(JSON_MODE), with_image(), chat("m1").replace("hello", &long)] {
            let reply = node.client().completions(body).whole().await;
            assert_eq!(reply.status, 200, "{kind}: {}", reply.text());
        }
    }
}

/// Where one can and one cannot, the one that can is asked.
#[tokio::test]
async fn a_request_goes_only_where_it_can_be_served() {
    let can = offering(able("m1", json!({"capabilities": {"vision": true, "tools": true}}))).await;
    let cannot = offering(able("m1", json!({"capabilities": {"vision": false, "tools": false}}))).await;
    let order = "[routing]\nstrategy = 'priority_only'\n".to_owned();
    let config = order + &can.entry("can", "priority = 90") + &cannot.entry("cannot", "priority = 1");
    let node = TestNode::start(&config).await;
    for body in [with(TOOLS), with_image()] {
        let reply = node.client().completions(body).whole().await;
        assert_eq!((reply.status, reply.header("x-nexus-backend")), (200, Some("can")));
    }
    assert_eq!(node.chat("m1").await.header("x-nexus-backend"), Some("cannot"));
}

#[tokio::test]
async fn a_prompt_that_no_model_can_hold_is_400_before_it_is_sent() {
    let backend = offering(able("m1", json!({"max_model_len": 100}))).await;
    let larger = offering(able("m2", json!({"max_model_len": 131_072}))).await;
    let config = backend.entry("a", "type = 'vllm'") + &larger.entry("b", "type = 'vllm'");
    let node = TestNode::start(&config).await;
    let body = chat("m1").replace("hello", &"word ".repeat(5000));
    let error = node.client().completions(body).whole().await.error(400, "capability_mismatch", CLIENT);
    assert!(error["message"].as_str().is_some_and(|message| message.contains("context_length")), "{error}");
    assert_eq!(error["context"]["fitting_models"], json!(["m2"]));
    assert!(
        error["message"].as_str().is_some_and(|message| message.ends_with("ask for one that holds it: m2")),
        "{error}"
    );
    assert_eq!(backend.calls(), 0);
    assert_eq!(node.chat("m1").await.status, 200, "a short one fits");
}

#[tokio::test]
async fn what_a_backend_learns_to_offer_is_seen_at_its_next_check() {
    let backend = offering(model("m1")).await;
    let node = TestNode::start(&backend.entry("a", "")).await;
    node.chat("m2").await.error(404, "model_not_found", CLIENT);
    backend.set_models(vec![model("m1"), model("m2")]);
    until_json(&node, "/v1/models", "the new model", |seen| seen["data"].as_array().is_some_and(|all| all.len() == 2))
        .await;
    assert_eq!(node.chat("m2").await.status, 200);
}

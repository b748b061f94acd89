//! What engines tell of themselves: what is in memory, how many requests they take, how busy they are with others' work.

use serde_json::{Value, json};

use crate::support::{Answer, FakeBackend, Gate, Log, TestNode, chat, soon, until, until_json};

/// Waits until the node's only backend is seen so.
async fn seen(node: &TestNode, what: &str, condition: impl Fn(&Value) -> bool) {
    until_json(node, "/nexus/v1/backends", what, |seen| condition(&seen["backends"][0])).await;
}

fn loaded(backend: &Value) -> Value {
    backend["models"].as_array().into_iter().flatten().map(|model| model["loaded"].clone()).collect()
}

/// A llama-server of so many slots, of which so many are at work.
async fn llamacpp(slots: usize, at_work: usize, answer: Answer) -> FakeBackend {
    let backend = FakeBackend::always(&["m1"], answer).await;
    backend.says("/health", Answer::json(200, r#"{"status":"ok"}"#));
    backend.says("/props", Answer::json(200, json!({"total_slots": slots}).to_string()));
    at_work_now(&backend, slots, at_work);
    backend
}

fn at_work_now(backend: &FakeBackend, slots: usize, at_work: usize) {
    let slot = |id| json!({"id": id, "n_ctx": 4096, "speculative": false, "is_processing": id < at_work});
    backend.says("/slots", Answer::json(200, Value::from_iter((0..slots).map(slot)).to_string()));
}

const LLAMACPP: &str = "type = 'llamacpp'";

#[tokio::test]
async fn what_is_in_memory_is_shown() {
    let backend = FakeBackend::always(&["cold", "warm"], Answer::says("hi")).await;
    let node = TestNode::start(&backend.entry("a", "type = 'ollama'")).await;
    seen(&node, "nobody knows", |backend| loaded(backend) == json!([null, null])).await;
    let running = r#"{"models":[{"name":"warm","model":"warm","size_vram":5333539264,"context_length":8192}]}"#;
    backend.says("/api/ps", Answer::json(200, running));
    seen(&node, "one of two", |backend| {
        loaded(backend) == json!([false, true]) && backend["models"][1]["context_length"] == 8192
    })
    .await;
    backend.says("/api/ps", Answer::json(200, r#"{"models":[]}"#));
    seen(&node, "none", |backend| loaded(backend) == json!([false, false])).await;
}

/// Somebody else's requests once filled every slot unseen, and ours lined up behind them.
#[tokio::test]
async fn others_work_takes_slots_but_never_the_last() {
    let gate = Gate::closed();
    let backend = llamacpp(2, 2, Answer::says("hi").after(&gate)).await;
    let node = TestNode::start(&backend.entry("a", LLAMACPP)).await;
    seen(&node, "others are at work", |seen| seen["foreign_requests"] == 2 && seen["concurrency"] == 2).await;
    let first = node.client().completions(chat("m1")).whole();
    let second = async {
        backend.called(1).await;
        let freed = async {
            seen(&node, "the second waits", |seen| seen["queued_requests"] == 1).await;
            assert_eq!(backend.calls(), 1);
            // One slot is ours, the other is free.
            at_work_now(&backend, 2, 1);
            backend.called(2).await;
            gate.open();
        };
        tokio::join!(node.client().completions(chat("m1")).whole(), freed).0
    };
    let (first, second) = soon("both are served", async { tokio::join!(first, second) }).await;
    assert_eq!((first.status, second.status), (200, 200));
}

#[tokio::test]
async fn vllm_tells_what_runs_and_what_waits() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let gauge =
        |name: &str, value: &str| format!("vllm:num_requests_{name}{{engine=\"0\",model_name=\"m1\"}} {value}\n");
    backend.says("/metrics", Answer::chunked("text/plain", [gauge("running", "2.0"), gauge("waiting", "1.0")]));
    let node = TestNode::start(&backend.entry("a", "type = 'vllm'")).await;
    seen(&node, "others are at work", |seen| {
        seen["foreign_requests"] == 3 && seen["concurrency"].is_null() && loaded(seen) == json!([true])
    })
    .await;
    backend.says("/metrics", Answer::json(500, ""));
    seen(&node, "forgotten", |seen| seen["foreign_requests"] == 0).await;
    assert_eq!(node.chat("m1").await.status, 200);
}

/// A server that answers nonsense is as good as one that says nothing, and no reason to fill the log.
#[tokio::test]
async fn nonsense_is_no_news_and_one_line_in_the_log() {
    let log = Log::capture();
    let backend = llamacpp(2, 0, Answer::says("hi")).await;
    backend.says("/props", Answer::json(200, r#"{"total_slots":-3,"default_generation_settings":{"n_ctx":"all"}}"#));
    backend.says("/slots", Answer::json(200, r#"[{"is_processing":"very"}]"#));
    let node = TestNode::start(&backend.entry("a", LLAMACPP)).await;
    until("three checks", || backend.asked("/slots") >= 3).await;
    seen(&node, "nothing", |seen| seen["foreign_requests"] == 0 && seen["concurrency"].is_null()).await;
    assert_eq!(node.chat("m1").await.status, 200);
    let complaints = log.lines().into_iter().filter(|line| line["level"] == "WARN" && !line["question"].is_null());
    let mut questions: Vec<Value> = complaints.map(|line| line["question"].clone()).collect();
    questions.sort_by_key(Value::to_string);
    assert_eq!(questions, ["/props", "/slots"]);
}

#[tokio::test]
async fn a_server_that_tells_nothing_is_asked_nothing_more() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let _node = TestNode::start(&backend.entry("a", "")).await;
    until("three checks", || backend.asked("/v1/models") >= 3).await;
    assert_eq!(backend.probes().len(), backend.asked("/v1/models") + 1, "{:?}", backend.probes());
}

//! What a node writes about its requests: one line for each, and nothing that is nobody's business.

use crate::support::{Answer, FakeBackend, Gate, Log, Plan, TestNode, chat, stream, until};

const PROMPT: &str = "MARKER-IN-A-PROMPT";

fn spoken(body: String) -> String {
    body.replace("hello", PROMPT)
}

/// Streams and failures once had no line at all.
#[tokio::test]
async fn each_request_is_one_line_with_what_became_of_it() {
    let log = Log::capture();
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;
    let backend = FakeBackend::script(&["m1"], move |request| match request.json()["stream"] == true {
        true => Answer::stream([format!("data: {usage}\n\ndata: [DONE]\n\n")]),
        false => Answer::json(200, usage),
    })
    .await;
    let config = backend.entry("a", "") + "[routing.aliases]\ngpt-4 = 'm1'\n";
    let node = TestNode::start(&config).await;
    let id = node.chat("gpt-4").await.header("x-request-id").expect("an id").to_owned();
    node.client().completions(stream("m1")).whole().await;
    node.chat("nope").await;
    node.client().completions("{").whole().await;
    node.idle().await;
    let lines = log.completed();
    assert_eq!(lines.len(), 4, "{lines:#?}");
    let whole = &lines[0];
    assert_eq!((whole["target"].as_str(), whole["level"].as_str()), (Some("nexus::api"), Some("INFO")));
    assert_eq!((whole["request_id"].as_str(), whole["backend"].as_str()), (Some(id.as_str()), Some("a")));
    assert_eq!((whole["model"].as_str(), whole["actual_model"].as_str()), (Some("gpt-4"), Some("m1")));
    for line in &lines[..2] {
        assert_eq!((line["status"].as_str(), line["status_code"].as_u64()), (Some("success"), Some(200)));
        assert_eq!(line["backend_type"], "generic");
        assert_eq!((line["tokens_prompt"].as_u64(), line["tokens_completion"].as_u64()), (Some(3), Some(2)));
        assert_eq!((line["tokens_total"].as_u64(), line["retry_count"].as_u64()), (Some(5), Some(0)));
        assert_eq!(line["route_reason"], "capability-match");
        assert!(line["latency_ms"].is_u64() && line["timestamp"].as_str().is_some_and(|stamp| stamp.ends_with('Z')));
    }
    assert_eq!((whole["stream"].as_bool(), lines[1]["stream"].as_bool()), (Some(false), Some(true)));
    assert!(lines[1].get("actual_model").is_none(), "it is the one that was asked for");
    for (line, code) in lines[2..].iter().zip([404, 400]) {
        assert_eq!((line["status"].as_str(), line["status_code"].as_u64()), (Some("error"), Some(code)));
        assert!(line["error_message"].is_string(), "{line}");
    }
}

#[tokio::test]
async fn retries_and_fallbacks_stay_one_line_under_one_id() {
    let log = Log::capture();
    let bad = FakeBackend::always(&["m1"], Answer::json(500, "{}")).await;
    let good = FakeBackend::always(&["m2"], Answer::says("hi")).await;
    let config = bad.entry("bad", "") + &good.entry("good", "") + "[routing.fallbacks]\nm1 = ['m2']\n";
    let node = TestNode::start(&config).await;
    node.client().completions(chat("m1")).header("x-request-id", "mine").whole().await;
    let lines = log.completed();
    assert_eq!(lines.len(), 1);
    assert_eq!((lines[0]["request_id"].as_str(), lines[0]["fallback_chain"].as_str()), (Some("mine"), Some("m2")));
    assert!(lines[0]["retry_count"].as_u64().is_some_and(|count| count >= 1), "{}", lines[0]);
    assert_eq!(lines[0]["route_reason"], "failover");
    assert!(bad.requests().iter().chain(&good.requests()).all(|one| one.header("x-request-id") == Some("mine")));
}

#[tokio::test]
async fn a_client_that_left_and_a_stream_that_died_have_their_lines() {
    let log = Log::capture();
    let backend = FakeBackend::script(&["m1"], |request| match request.number {
        0 => Answer::stream(["data: 1\n\n"]).then_hang(),
        1 => Answer::silence(),
        _ => Answer::stream(["data: 1\n\n"]).then_cut(),
    })
    .await;
    let node = TestNode::start(&backend.entry("a", "")).await;
    let mut reply = node.client().stream("m1").await;
    reply.read_to("data: 1").await;
    drop(reply);
    until("its line", || log.completed().len() == 1).await;
    tokio::select! {
        _ = node.chat("m1") => panic!("it hangs"),
        () = backend.called(2) => {}
    }
    until("the line of who left before the first byte", || log.completed().len() == 2).await;
    node.client().completions(stream("m1")).whole().await;
    until("the line of the stream that died", || log.completed().len() == 3).await;
    assert!(log.completed().iter().all(|line| line["status"] == "error" && line["error_message"].is_string()));
}

/// Most clients leave at `[DONE]`, before HTTP's own end: that is success.
#[tokio::test]
async fn a_client_that_leaves_at_the_end_of_a_stream_had_it_all() {
    let log = Log::capture();
    let backend = FakeBackend::always(&["m1"], Answer::stream(["data: {}\n\ndata: [DONE]\n\n"]).then_hang()).await;
    let node = TestNode::start(&backend.entry("a", "")).await;
    let mut reply = node.client().stream("m1").await;
    reply.read_to("[DONE]").await;
    drop(reply);
    until("its line", || log.completed().len() == 1).await;
    assert_eq!((log.completed()[0]["status"].as_str(), node.in_flight()), (Some("success"), 0));
}

/// Prompts, replies and keys are nobody's business, at any level, whatever goes wrong.
#[tokio::test]
async fn no_prompt_no_reply_and_no_key_is_ever_written() {
    let log = Log::capture();
    let gate = Gate::closed();
    gate.open();
    let backend = FakeBackend::script(&["m1"], move |request| match request.number {
        0 => Answer::says("MARKER-IN-A-REPLY"),
        1 => Answer::stream(["data: MARKER-IN-A-REPLY\n\n"]).then_cut(),
        2 => Answer::json(400, r#"{"error":{"message":"MARKER-IN-A-REPLY"}}"#),
        3 => Answer::json(500, "MARKER-IN-A-REPLY"),
        _ => Answer::hang_up(),
    })
    .await;
    let entry = backend.entry("cloud", "type = 'openai'\napi_key_env = 'CLOUD_KEY'");
    let node = Plan::new(&entry).variable("CLOUD_KEY", "sk-MARKER-KEY").start().await;
    for body in [chat("m1"), stream("m1"), chat("m1"), chat("m1"), chat("nope"), "{\"model\":MARKER".to_owned()] {
        let reply =
            node.client().completions(spoken(body)).header("authorization", "Bearer MARKER-CLIENT").whole().await;
        assert!(!format!("{:?}", reply.headers).contains("MARKER"), "{reply:?}");
        assert!(!reply.text().contains("MARKER-KEY"), "{reply:?}");
    }
    let seen = node.get("/nexus/v1/backends").await;
    assert!(!seen.text().contains("MARKER"), "{}", seen.text());
    node.idle().await;
    assert!(log.completed().len() >= 6);
    assert!(!log.text().contains("MARKER"), "{}", log.text());
}

#[tokio::test]
async fn the_beginning_of_a_prompt_is_written_where_it_was_asked_for() {
    let log = Log::capture();
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = TestNode::start(&(backend.entry("a", "") + "[logging]\nenable_content_logging = true\n")).await;
    let long = format!("{PROMPT}{}", "é".repeat(200));
    node.client().completions(chat("m1").replace("hello", &long)).whole().await;
    let line = &log.completed()[0];
    let preview = line["prompt_preview"].as_str().expect("a preview");
    assert!(preview.starts_with(PROMPT) && preview.chars().count() <= 100, "{preview}");
}

/// The words that people search for.
#[tokio::test]
async fn routing_explains_itself_at_debug() {
    let log = Log::capture();
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let config = "[routing]\nstrategy = 'smart'\n[routing.aliases]\ngpt-4 = 'm1'\n".to_owned()
        + &backend.entry("a", "priority = 1");
    let node = TestNode::start(&config).await;
    node.chat("gpt-4").await;
    let text = log.text();
    for words in [
        "Resolving alias: gpt-4 → m1",
        "Scoring backend a: priority=99, load=100, latency=",
        "ReconcilerPipeline: completed in ",
        "Selected backend: a (score: ",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
}

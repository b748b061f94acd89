//! One trace from a client through entry and owner to the backend, as a collector and the backend see it; and nothing of it
//! where nobody asked for it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::mesh;
use crate::support::{Answer, FakeBackend, Log, Plan, Recorded, TestNode, chat, otlp, stream, until};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const PROMPT: &str = "MARKER-IN-A-PROMPT";

/// One that takes all it is sent.
async fn collector() -> FakeBackend {
    FakeBackend::always(&[], Answer::json(200, "{}")).await
}

fn to(collector: &FakeBackend) -> String {
    format!("[tracing]\notlp_endpoint = 'http://{}'\n", collector.address)
}

/// Every span so far.
fn spans(collector: &FakeBackend) -> Vec<Value> {
    collector.requests().iter().flat_map(|message| otlp::spans(&message.body)).collect()
}

async fn told(collector: &FakeBackend, count: usize) -> Vec<Value> {
    until(&format!("{count} spans are told"), || spans(collector).len() >= count).await;
    let spans = spans(collector);
    assert_eq!(spans.len(), count, "{spans:#?}");
    spans
}

fn attribute<'a>(span: &'a Value, key: &str) -> Option<&'a str> {
    span["attributes"][key].as_str()
}

fn child<'a>(spans: &'a [Value], parent: &Value, kind: u64) -> &'a Value {
    let found = spans.iter().find(|span| span["parentSpanId"] == parent["spanId"] && span["kind"] == kind);
    found.unwrap_or_else(|| panic!("no child of {parent:#} in {spans:#?}"))
}

fn traceparent(request: &Recorded) -> &str {
    request.header("traceparent").expect("a traceparent")
}

fn used() -> Answer {
    let usage = r#"{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}"#;
    let choice = r#"{"index":0,"message":{"role":"assistant","content":"an answer"},"finish_reason":"stop"}"#;
    Answer::json(200, format!(r#"{{"id":"c","object":"chat.completion","choices":[{choice}],"usage":{usage}}}"#))
}

#[tokio::test]
async fn one_trace_goes_from_the_client_through_both_peers_to_the_backend() {
    let log = Log::capture();
    let (collector, backend) = (collector().await, FakeBackend::always(&["m1"], used()).await);
    let far_more = backend.entry("gpu", "") + &to(&collector);
    let (near, _far) = mesh::pair(&to(&collector), &far_more, "m1").await;
    let call = near.client().completions(chat("m1").replace("hello", PROMPT));
    let reply = call.header("traceparent", PARENT).header("tracestate", "a=b").whole().await;
    assert_eq!(reply.header("x-nexus-hops"), Some("1"));
    let spans = told(&collector, 4).await;
    assert!(spans.iter().all(|span| span["traceId"] == TRACE), "{spans:#?}");
    let ids: BTreeSet<_> = spans.iter().map(|span| span["spanId"].as_str().expect("an id")).collect();
    assert_eq!(ids.len(), 4);

    let entry = spans.iter().find(|span| span["parentSpanId"] == "00f067aa0ba902b7").expect("the client's child");
    assert_eq!((entry["name"].as_str(), entry["kind"].as_u64()), (Some("chat m1"), Some(2)));
    let there = child(&spans, entry, 3);
    let owner = child(&spans, there, 2);
    let asked = child(&spans, owner, 3);
    for span in [entry, owner] {
        for (key, value) in [
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.request.model", "m1"),
            ("gen_ai.response.model", "m1"),
            ("gen_ai.provider.name", "generic"),
            ("gen_ai.usage.input_tokens", "7"),
            ("gen_ai.usage.output_tokens", "3"),
            ("http.response.status_code", "200"),
            ("nexus.backend", "gpu"),
            ("nexus.request_id", reply.header("x-request-id").expect("an id")),
        ] {
            assert_eq!(attribute(span, key), Some(value), "{key} of {span:#}");
        }
        assert!(attribute(span, "error.type").is_none() && span.get("status").is_none(), "{span:#}");
    }
    assert_eq!((attribute(there, "nexus.peer"), attribute(there, "nexus.backend")), (Some("far"), Some("gpu")));
    assert_eq!((attribute(asked, "nexus.peer"), attribute(asked, "server.address")), (None, Some("127.0.0.1")));
    assert_eq!((attribute(entry, "nexus.origin"), attribute(owner, "nexus.origin")), (Some("client"), Some("peer")));

    let seen = &backend.requests()[0];
    let span = asked["spanId"].as_str().expect("an id");
    assert_eq!(traceparent(seen), format!("00-{TRACE}-{span}-01"));
    assert_eq!(seen.header("tracestate"), Some("a=b"));
    until("both have written it down", || log.completed().len() == 2).await;
    let lines = log.completed();
    assert!(lines.iter().all(|line| line["trace_id"] == TRACE), "{lines:#?}");
    let told = collector.requests();
    for message in told {
        assert_eq!((&*message.path, message.header("content-type")), ("/v1/traces", Some("application/x-protobuf")));
        let text = String::from_utf8_lossy(&message.body);
        assert!(!text.contains(PROMPT) && !text.contains("an answer"), "{text}");
    }
}

#[tokio::test]
async fn what_is_no_traceparent_begins_a_trace_of_its_own() {
    let (collector, backend) = (collector().await, FakeBackend::always(&["m1"], used()).await);
    let node = TestNode::start(&(backend.entry("a", "") + &to(&collector))).await;
    let bad = PARENT.to_uppercase();
    let call = node.client().completions(chat("m1")).header("traceparent", &bad).header("tracestate", "a=b");
    assert_eq!(call.whole().await.status, 200);
    assert_eq!(node.chat("m1").await.status, 200);
    let spans = told(&collector, 4).await;
    let traces: BTreeSet<_> = spans.iter().map(|span| span["traceId"].as_str().expect("an id")).collect();
    assert_eq!(traces.len(), 2, "{spans:#?}");
    for request in backend.requests() {
        assert!(traces.contains(&traceparent(&request)[3..35]), "{}", traceparent(&request));
        assert!(request.header("tracestate").is_none(), "it belonged to what was not understood");
    }
}

/// Every attempt has a span; who failed is told apart from who answered.
#[tokio::test]
async fn a_failover_is_two_attempts_of_one_request() {
    let collector = collector().await;
    let bad = FakeBackend::always(&["m1"], Answer::json(503, "{}")).await;
    let good = FakeBackend::always(&["m1"], used()).await;
    let config = bad.entry("bad", "priority = 1") + &good.entry("good", "priority = 50") + &to(&collector);
    let node = TestNode::start(&(config + "[routing]\nstrategy = 'priority_only'\n")).await;
    assert_eq!(node.chat("m1").await.status, 200);
    let spans = told(&collector, 3).await;
    let of = |backend| spans.iter().find(|span| span["kind"] == 3 && attribute(span, "nexus.backend") == Some(backend));
    let (failed, answered) = (of("bad").expect("a span"), of("good").expect("a span"));
    assert_eq!(attribute(failed, "error.type"), Some("server_error"));
    assert_eq!(
        (attribute(failed, "http.response.status_code"), failed["status"]["code"].as_u64()),
        (Some("503"), Some(2))
    );
    assert_eq!(
        (attribute(answered, "error.type"), attribute(answered, "gen_ai.usage.output_tokens")),
        (None, Some("3"))
    );
    assert_ne!(traceparent(&bad.requests()[0]), traceparent(&good.requests()[0]), "each is told its own span");
    assert_eq!(traceparent(&bad.requests()[0])[..35], traceparent(&good.requests()[0])[..35]);
}

/// What an unsampled trace is, goes on; nobody is told of it.
#[tokio::test]
async fn an_unsampled_trace_goes_on_unsampled() {
    let (collector, backend) = (collector().await, FakeBackend::always(&["m1"], used()).await);
    let config = backend.entry("a", "") + &to(&collector) + "sample_ratio = 0.0\n";
    let mut node = TestNode::start(&config).await;
    let unsampled = PARENT.replace("-01", "-00");
    node.client().completions(chat("m1")).header("traceparent", &unsampled).whole().await;
    node.chat("m1").await;
    node.client().completions(chat("m1")).header("traceparent", PARENT).whole().await;
    node.stop(Duration::from_secs(5)).await;
    assert_eq!(spans(&collector).len(), 2, "only what its client samples");
    let requests = backend.requests();
    let flags: Vec<_> = requests.iter().map(|request| &traceparent(request)[52..]).collect();
    assert_eq!(flags, ["-00", "-00", "-01"]);
    assert!(traceparent(&requests[0]).contains(TRACE));
}

/// Nobody listens there: requests do not notice, one warning says so, and what does not fit is counted.
#[tokio::test]
async fn a_collector_that_is_away_costs_no_request_anything() {
    let log = Log::capture();
    let (gone, backend) = (collector().await, FakeBackend::always(&["m1"], used()).await);
    gone.die().await;
    let node = TestNode::start(&(backend.entry("a", "") + &to(&gone))).await;
    for _ in 0..20 {
        assert_eq!(node.chat("m1").await.status, 200);
    }
    let warnings = || log.lines().iter().filter(|line| line["target"] == "nexus::telemetry").count();
    until("it is written down", || warnings() > 0).await;
    assert_eq!((node.chat("m1").await.status, warnings()), (200, 1));
}

#[tokio::test]
async fn what_a_collector_refuses_is_counted_and_not_sent_again() {
    let log = Log::capture();
    let refusing = FakeBackend::always(&[], Answer::json(401, "{}")).await;
    let backend = FakeBackend::always(&["m1"], used()).await;
    let config = backend.entry("a", "") + &to(&refusing) + "headers_env = 'COLLECTOR'\n";
    let node = Plan::new(&config).variable("COLLECTOR", "api-key=sesame").start().await;
    for times in 1..=2 {
        node.client().completions(stream("m1")).whole().await;
        refusing.called(times).await;
    }
    let refused = "nexus_trace_spans_total{result=\"refused\"} 4";
    crate::support::soon("it is counted", async {
        while !node.get("/metrics").await.text().contains(refused) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let warnings = log.lines().iter().filter(|line| line["target"] == "nexus::telemetry").count();
    assert_eq!(warnings, 1, "it is said once");
    assert_eq!((refusing.calls(), refusing.requests()[0].header("api-key")), (2, Some("sesame")));
}

/// Off is off: what a client says of its trace reaches the backend as it came, and nothing is made where it says nothing.
#[tokio::test]
async fn without_a_collector_nothing_is_added_and_nothing_told() {
    let log = Log::capture();
    let backend = FakeBackend::always(&["m1"], used()).await;
    let (near, far) = mesh::pair("", &backend.entry("gpu", ""), "m1").await;
    near.client().completions(chat("m1")).header("traceparent", PARENT).whole().await;
    near.chat("m1").await;
    near.client().completions(chat("m1")).header("traceparent", "not one").whole().await;
    until("all are written down", || log.completed().len() == 6).await;
    let requests = backend.requests();
    let seen: Vec<_> = requests.iter().map(|request| request.header("traceparent")).collect();
    assert_eq!(seen, [Some(PARENT), None, Some("not one")]);
    assert_eq!(near.tasks("traces") + far.tasks("traces"), 0);
    assert!(!near.get("/metrics").await.text().contains("nexus_trace_spans_total"));
    let lines = log.completed();
    let with_a_trace = lines.iter().filter(|line| line["trace_id"] == TRACE).count();
    assert_eq!((lines.len(), with_a_trace), (6, 2), "the client's own id is in both logs: {lines:#?}");
    assert!(lines.iter().filter(|line| line.get("trace_id").is_some()).count() == 2);
}

/// A peer that follows no traces is no gap: what it is told, it passes on.
#[tokio::test]
async fn an_owner_that_follows_none_passes_the_trace_on() {
    let (collector, backend) = (collector().await, FakeBackend::always(&["m1"], used()).await);
    let (near, _far) = mesh::pair(&to(&collector), &backend.entry("gpu", ""), "m1").await;
    near.chat("m1").await;
    let spans = told(&collector, 2).await;
    let there = spans.iter().find(|span| span["kind"] == 3).expect("an attempt");
    let (trace, span) = (there["traceId"].as_str().expect("an id"), there["spanId"].as_str().expect("an id"));
    assert_eq!(traceparent(&backend.requests()[0]), format!("00-{trace}-{span}-01"));
}

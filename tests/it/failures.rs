//! What clients are told when backends fail. Errors of the backend's own pass unchanged, everything else is
//! tried elsewhere and then told without a word of where it was.

use std::time::Duration;

use tokio::time::Instant;

use crate::support::{Answer, FakeBackend, TestNode, stream, until_json};

const SERVER: &str = "server_error";

/// `bad` is tried before `good`.
fn in_order(bad: &FakeBackend, good: &FakeBackend) -> String {
    let order = "[routing]\nstrategy = 'priority_only'\n".to_owned();
    order + &bad.entry("bad", "priority = 1") + &good.entry("good", "priority = 9")
}

/// A backend's 400 was once wrapped as text, lost its `param`, and was asked for three times.
#[tokio::test]
async fn a_clients_mistake_is_told_in_the_backends_words_and_asked_once() {
    let words = "{ \"error\" : {\"message\":\"bad temperature\",\"param\":\"temperature\",\"code\":null} }\n";
    for status in [400, 401, 403, 404, 413, 415, 422, 451] {
        let bad = FakeBackend::always(&["m1"], Answer::json(status, words).header("retry-after", "11")).await;
        let good = FakeBackend::always(&["m1"], Answer::says("hi")).await;
        let node = TestNode::start(&in_order(&bad, &good)).await;
        let reply = node.chat("m1").await;
        assert_eq!((reply.status, reply.text()), (status, words));
        assert_eq!(reply.header("retry-after"), Some("11"));
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("x-nexus-backend"), Some("bad"));
        assert_eq!((bad.calls(), good.calls()), (1, 0), "{status}");
    }
}

/// 429 once became 400, without its `Retry-After`.
#[tokio::test]
async fn a_backend_that_asks_for_time_is_left_alone_and_others_are_tried() {
    let words = r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#;
    for status in [408, 409, 429] {
        let bad = FakeBackend::always(&["m1"], Answer::json(status, words).header("retry-after", "7")).await;
        let good = FakeBackend::always(&["m1"], Answer::says("hi")).await;
        let node = TestNode::start(&in_order(&bad, &good)).await;
        let reply = node.chat("m1").await;
        assert_eq!((reply.status, reply.header("x-nexus-backend")), (200, Some("good")), "{status}");
        assert_eq!(reply.header("x-nexus-route-reason"), Some("failover"));

        let alone = TestNode::start(&bad.entry("bad", "")).await;
        let reply = alone.chat("m1").await;
        assert_eq!((reply.status, reply.text(), reply.header("retry-after")), (status, words, Some("7")));
    }
}

/// Retries once went to the same failing backend only: 8 of 8 requests failed beside a good one.
#[tokio::test]
async fn a_failing_backend_costs_no_request() {
    for broken in [Answer::json(500, "{}"), Answer::json(503, "busy"), Answer::hang_up(), Answer::json(200, "<html>")] {
        let bad = FakeBackend::always(&["m1"], broken).await;
        let good = FakeBackend::always(&["m1"], Answer::says("hi")).await;
        let node = TestNode::start(&in_order(&bad, &good)).await;
        for _ in 0..8 {
            let reply = node.chat("m1").await;
            assert_eq!((reply.status, reply.header("x-nexus-backend")), (200, Some("good")));
        }
        assert_eq!(good.calls(), 8);
        assert!(bad.calls() <= 8, "no second try of it while there is another: {}", bad.calls());
    }
}

/// A message once held the URL with the key in it.
#[tokio::test]
async fn when_all_fail_it_is_502_and_says_nothing_of_where() {
    for broken in [Answer::json(500, "sk-secret http://inside"), Answer::hang_up(), Answer::json(200, "<html>")] {
        let backend = FakeBackend::always(&["m1"], broken).await;
        let node = TestNode::start(&backend.entry("a", "")).await;
        for path in ["/v1/chat/completions", "/v1/embeddings"] {
            let body = r#"{"model":"m1","messages":[],"input":"x"}"#;
            let reply = node.client().post(path, body).whole().await;
            reply.error(502, "bad_gateway", SERVER);
            let told = format!("{:?} {}", reply.headers, reply.text());
            for secret in ["http://", "sk-secret", &backend.address.port().to_string()] {
                assert!(!told.contains(secret), "{secret} in {told}");
            }
        }
        assert!(backend.calls() <= 6, "one attempt and two more: {}", backend.calls());
    }
}

#[tokio::test]
async fn max_retries_bounds_the_attempts() {
    let mut config = "[routing]\nmax_retries = 1\n".to_owned();
    let mut backends = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let backend = FakeBackend::always(&["m1"], Answer::json(500, "{}")).await;
        config += &backend.entry(name, "");
        backends.push(backend);
    }
    let node = TestNode::start(&config).await;
    node.chat("m1").await.error(502, "bad_gateway", SERVER);
    assert_eq!(backends.iter().map(FakeBackend::calls).sum::<usize>(), 2);
    assert!(backends.iter().all(|backend| backend.calls() <= 1), "others first");
}

/// A backend whose checks pass and whose requests hang once cost every request its deadline.
#[tokio::test]
async fn a_backend_that_takes_requests_and_says_nothing_costs_one_of_them_its_share_and_the_next_nothing() {
    let silent = FakeBackend::always(&["m1"], Answer::silence()).await;
    let good = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let config = "[routing]\nstrategy = 'priority_only'\n[server]\nrequest_timeout_seconds = 3\n".to_owned()
        + &silent.entry("silent", "priority = 1")
        + &good.entry("good", "priority = 9");
    let node = TestNode::start(&config).await;
    let first = node.chat("m1").await;
    assert_eq!((first.status, first.header("x-nexus-backend")), (200, Some("good")));
    assert_eq!(first.header("x-nexus-route-reason"), Some("failover"));
    let probes = silent.probes().len();
    crate::support::until("it has passed another check", || silent.probes().len() > probes + 1).await;
    for _ in 0..3 {
        assert_eq!(node.chat("m1").await.header("x-nexus-route-reason"), Some("capability-match"));
    }
    assert_eq!((silent.calls(), good.calls()), (1, 4), "nobody waits for it again");
}

#[tokio::test]
async fn a_backend_that_refuses_connections_is_502_then_known_to_be_down() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let port = backend.address.port().to_string();
    // The next regular check is far away: the request is what finds out.
    let node = TestNode::start(&(backend.entry("a", "") + "[health_check]\ninterval_seconds = 600\n")).await;
    backend.die().await;
    let error = node.chat("m1").await.error(502, "bad_gateway", SERVER);
    assert!(!error.to_string().contains("http://") && !error.to_string().contains(&port), "{error}");
    until_json(&node, "/health", "noticed without waiting for its turn", |seen| seen["backends"]["healthy"] == 0).await;
    let error = node.chat("m1").await.error(503, "service_unavailable", SERVER);
    assert_eq!(error["message"], "No healthy backends available for model 'm1'");
}

/// Known but not well is 503, with its context in both places.
#[tokio::test]
async fn a_model_without_a_healthy_backend_is_503_with_the_reasons() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = TestNode::start(&backend.entry("a", "")).await;
    backend.set_well(false);
    until_json(&node, "/health", "found unhealthy", |seen| seen["status"] == "unhealthy").await;
    let reply = node.chat("m1").await;
    let error = reply.error(503, "service_unavailable", SERVER);
    assert_eq!(error["message"], "No healthy backends available for model 'm1'");
    let context = &error["context"];
    assert_eq!(context, &reply.json()["context"]);
    assert_eq!(context["rejection_reasons"][0]["agent_id"], "a");
    for field in ["reconciler", "reason", "suggested_action"] {
        assert!(context["rejection_reasons"][0][field].is_string(), "{field}: {context}");
    }
    assert!(context["available_backends"].is_array(), "{context}");
    assert_eq!(backend.calls(), 0);
    backend.set_well(true);
    until_json(&node, "/health", "found well again", |seen| seen["status"] == "healthy").await;
    assert_eq!(node.chat("m1").await.status, 200);
}

#[tokio::test]
async fn a_silent_backend_is_504_in_time() {
    let silent = [Answer::silence(), Answer::stream::<&str>([]).then_hang()];
    for (answer, body) in silent.into_iter().zip([crate::support::chat("m1"), stream("m1")]) {
        let backend = FakeBackend::always(&["m1"], answer).await;
        let node = TestNode::start(&(backend.entry("a", "") + "[server]\nrequest_timeout_seconds = 1\n")).await;
        let started = Instant::now();
        let reply = node.client().completions(body).whole().await;
        reply.error(504, "gateway_timeout", SERVER);
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
        crate::support::until("the backend is let go", || backend.active() == 0).await;
        assert_eq!(node.in_flight(), 0);
    }
}

/// A hung backend costs a request its first-byte deadline, and the second request nothing.
#[tokio::test]
async fn a_hung_backend_is_not_asked_again_while_there_is_another() {
    let hung = FakeBackend::always(&["m1"], Answer::silence()).await;
    let good = FakeBackend::always(&["m1"], Answer::stream(["data: [DONE]\n\n"])).await;
    let config = in_order(&hung, &good).replace("[routing]", "[server]\nrequest_timeout_seconds = 2\n[routing]")
        + "[health_check]\ninterval_seconds = 600\n";
    let node = TestNode::start(&config).await;
    let reply = node.client().completions(stream("m1")).whole().await;
    assert_eq!((reply.status, reply.header("x-nexus-backend")), (200, Some("good")));
    assert_eq!(hung.calls(), 1);
    let started = Instant::now();
    assert_eq!(node.client().completions(stream("m1")).whole().await.status, 200);
    assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
}

/// Nothing is retried once bytes went out; a client of a whole reply sees that it is not whole.
#[tokio::test]
async fn a_whole_reply_that_dies_is_broken_and_not_retried() {
    let half = Answer::chunked("application/json", ["{\"choices\":["]).then_cut();
    let bad = FakeBackend::always(&["m1"], half).await;
    let good = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = TestNode::start(&in_order(&bad, &good)).await;
    let reply = node.chat("m1").await;
    assert!(reply.broken || reply.text().contains("\"error\""), "{reply:?}");
    assert_eq!((bad.calls(), good.calls()), (1, 0));
}

/// One 400, the client's fault, once took the only backend out of service for an hour.
#[tokio::test]
async fn a_clients_mistake_does_not_count_against_a_backend() {
    let backend = FakeBackend::script(&["m1"], |request| match request.number {
        0..20 => Answer::json(400, r#"{"error":{"message":"no"}}"#),
        _ => Answer::says("hi"),
    })
    .await;
    let node = TestNode::start(&backend.entry("a", "")).await;
    for _ in 0..20 {
        assert_eq!(node.chat("m1").await.status, 400);
    }
    assert_eq!(node.chat("m1").await.status, 200);
}

/// A backend that failed and works again is used again.
#[tokio::test]
async fn a_backend_that_recovers_is_used_again() {
    let backend = FakeBackend::script(&["m1"], |request| match request.number {
        0..12 => Answer::json(500, "{}"),
        _ => Answer::says("hi"),
    })
    .await;
    let node = TestNode::start(&backend.entry("a", "")).await;
    let mut failed = 0;
    while node.chat("m1").await.status != 200 {
        failed += 1;
        assert!(failed <= 12, "every request is an attempt");
    }
}

/// Some of these were once answered in plain text by the framework.
#[tokio::test]
async fn paths_that_cannot_be_read_are_refused_in_the_usual_shape() {
    let node = TestNode::start("").await;
    for root in ["/v1/models", "/nexus/v1/backends", "/v1", "", "/health"] {
        for rest in ["/%ff", "/a%ffb", "/%", "/%zz", "/%00", "/", "//", "/..", "/%2e%2e/x", "/a?%ff", "/%f0%9f%98%80"] {
            let path = format!("{root}{rest}");
            if path == "/" {
                continue;
            }
            for method in [http::Method::GET, http::Method::DELETE, http::Method::POST] {
                let reply = node.client().call(method.clone(), &path, "").whole().await;
                let shape = &reply.json()["error"];
                assert!(matches!(reply.status, 400..=405), "{method} {path}: {}", reply.status);
                assert!(shape["message"].is_string() && shape["code"].is_string(), "{method} {path}: {shape}");
            }
        }
    }
    node.get("/v1/models/%ff").await.error(400, "bad_request", "invalid_request_error");
    node.client().delete("/nexus/v1/backends/%ff").whole().await.error(400, "bad_request", "invalid_request_error");
}

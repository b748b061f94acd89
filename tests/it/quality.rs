//! A backend that gives trouble: from when on it is left alone, who is told, and what does not count.

use crate::support::{Answer, FakeBackend, Gate, Log, TestNode, chat, stream, until};

/// `bad` is tried before `good`, and checks pass.
fn in_order(bad: &FakeBackend, good: &FakeBackend, more: &str) -> String {
    let order = format!("[routing]\nstrategy = 'priority_only'\n{more}");
    order + &bad.entry("bad", "priority = 1") + &good.entry("good", "priority = 9")
}

/// Six of ten requests fail, never three in a row.
fn mostly(number: usize) -> Answer {
    match number % 10 {
        0 | 1 | 3 | 5 | 6 | 8 => Answer::json(500, "{}"),
        _ => Answer::says("hi"),
    }
}

#[tokio::test]
async fn a_backend_that_fails_six_of_ten_requests_is_left_alone_and_the_log_says_so_once() {
    let log = Log::capture();
    let bad = FakeBackend::script(&["m1", "m2"], |request| match request.json()["model"] == "m1" {
        true => mostly(request.number),
        false => Answer::says("hi"),
    })
    .await;
    let good = FakeBackend::always(&["m1", "m2"], Answer::says("hi")).await;
    let node = TestNode::start(&in_order(&bad, &good, "")).await;
    for _ in 0..20 {
        assert_eq!(node.chat("m1").await.status, 200, "a failure costs no request");
    }
    assert_eq!((bad.calls(), good.calls()), (10, 16));
    let probes = bad.probes().len();
    until("it has passed another check", || bad.probes().len() > probes + 1).await;
    assert_eq!(node.chat("m1").await.header("x-nexus-backend"), Some("good"), "checks say nothing of requests");
    assert_eq!(node.chat("m2").await.header("x-nexus-backend"), Some("bad"), "its other model is as good as before");
    let opened: Vec<_> = log.lines().into_iter().filter(|line| line["event"] == "breaker_opened").collect();
    let [line] = opened.as_slice() else { panic!("one line: {opened:?}") };
    assert_eq!((line["target"].as_str(), line["level"].as_str()), (Some("nexus::health"), Some("WARN")));
    assert_eq!((line["backend"].as_str(), line["model"].as_str()), (Some("bad"), Some("m1")));
    assert_eq!((line["trouble"].as_str(), line["seconds"].as_u64()), (Some("errors"), Some(10)));
}

#[tokio::test]
async fn what_opens_and_closes_is_one_line_each() {
    let log = Log::capture();
    let backend = FakeBackend::script(&["m1"], |request| match request.number {
        0 => Answer::hang_up(),
        _ => Answer::says("hi"),
    })
    .await;
    let node = TestNode::start(&backend.entry("a", "")).await;
    for _ in 0..5 {
        assert_eq!(node.chat("m1").await.status, 200);
    }
    let lines = log.lines();
    let events = lines.iter().filter_map(|line| line["event"].as_str()).filter(|event| event.starts_with("breaker"));
    assert_eq!(events.collect::<Vec<_>>(), ["breaker_opened", "breaker_closed"]);
}

#[tokio::test]
async fn thresholds_are_as_configured() {
    for (threshold, calls) in [(0.9, 40), (0.6, 5)] {
        let bad = FakeBackend::script(&["m1"], |request| match request.number % 3 {
            2 => Answer::says("hi"),
            _ => Answer::json(500, "{}"),
        })
        .await;
        let good = FakeBackend::always(&["m1"], Answer::says("hi")).await;
        let quality = format!("[quality]\nerror_rate_threshold = {threshold}\nmin_samples = 5\n");
        let node = TestNode::start(&in_order(&bad, &good, &quality)).await;
        for _ in 0..40 {
            assert_eq!(node.chat("m1").await.status, 200);
        }
        assert_eq!(bad.calls(), calls, "{threshold}");
    }
}

/// One 400, the client's fault, once took the only backend out of service for an hour.
#[tokio::test]
async fn clients_mistakes_and_clients_that_leave_open_nothing() {
    let bad = FakeBackend::script(&["m1"], |request| match request.number {
        0..20 => Answer::json(400, r#"{"error":{"message":"no"}}"#),
        _ => Answer::silence(),
    })
    .await;
    let good = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = TestNode::start(&in_order(&bad, &good, "")).await;
    for _ in 0..20 {
        assert_eq!(node.chat("m1").await.status, 400);
    }
    for number in 21..=32 {
        tokio::select! {
            _ = node.client().completions(stream("m1")).whole() => panic!("it hangs"),
            () = bad.called(number) => {}
        }
    }
    node.idle().await;
    let plan = node.client().post("/nexus/v1/explain", chat("m1")).whole().await.json();
    assert_eq!(
        (&plan["chosen"]["backend"], &plan["candidates"][0]["breakers"]),
        (&"bad".into(), &serde_json::json!([]))
    );
}

#[tokio::test]
async fn under_smart_a_slow_first_byte_lowers_the_score() {
    let gate = Gate::closed();
    let slow = FakeBackend::always(&["m1"], Answer::says("hi").after(&gate)).await;
    let config = "[routing]\nstrategy = 'smart'\n[quality]\nttft_threshold_ms = 10\n".to_owned();
    let node = TestNode::start(&(config + &slow.entry("slow", ""))).await;
    let terms = async || {
        let plan = node.client().post("/nexus/v1/explain", chat("m1")).whole().await.json();
        plan["candidates"][0]["terms"].clone()
    };
    let before = terms().await;
    assert_eq!(before["ttft_penalty"], 0);
    let open = async {
        slow.called(1).await;
        let probes = slow.probes().len();
        until("checks have passed, a second apart", || slow.probes().len() > probes + 1).await;
        gate.open();
    };
    let (reply, ()) = tokio::join!(node.chat("m1"), open);
    assert_eq!(reply.status, 200);
    let after = terms().await;
    assert_eq!((after["total"].as_u64(), after["ttft_penalty"].as_u64() > Some(50)), (Some(0), true), "{after}");
}

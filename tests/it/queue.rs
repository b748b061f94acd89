//! Waiting for a slot: who waits, in which order, for how long, and what is said about it.

use std::time::Duration;

use serde_json::Value;

use crate::support::{Answer, FakeBackend, Gate, Plan, TestNode, Whole, chat, stream, until_json};

/// A request whose place among the others can be recognised at the backend.
fn marked(model: &str, mark: &str) -> String {
    format!(r#"{{"model":"{model}","messages":[],"user":"{mark}"}}"#)
}

fn marks(backend: &FakeBackend) -> Vec<String> {
    backend.requests().iter().map(|request| request.json()["user"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Waits until so many wait on this node.
async fn queued(node: &TestNode, count: u64) {
    let waiting = |seen: &Value| {
        let all = seen["backends"].as_array().into_iter().flatten();
        all.filter_map(|backend| backend["queued_requests"].as_u64()).max() == Some(count)
    };
    until_json(node, "/nexus/v1/backends", "so many wait", waiting).await;
}

async fn ask(node: &TestNode, mark: &str, priority: &str) -> Whole {
    node.client().completions(marked("m1", mark)).header("x-nexus-priority", priority).whole().await
}

#[tokio::test]
async fn busy_is_no_error_and_high_goes_before_normal() {
    let gate = Gate::closed();
    let backend = FakeBackend::always(&["m1"], Answer::says("hi").after(&gate)).await;
    let node = TestNode::start(&backend.entry("a", "concurrency = 1")).await;
    let line = async {
        backend.called(1).await;
        let late = async {
            queued(&node, 1).await;
            let later = async {
                queued(&node, 2).await;
                let last = async {
                    queued(&node, 3).await;
                    gate.open();
                };
                tokio::join!(ask(&node, "urgent", "high"), last).0
            };
            tokio::join!(ask(&node, "third", "normal"), later)
        };
        let (second, (third, urgent)) = tokio::join!(ask(&node, "second", "3"), late);
        [second, third, urgent]
    };
    let (first, waited) = tokio::join!(ask(&node, "first", ""), line);
    assert_eq!((first.status, first.header("x-nexus-queue-position")), (200, None));
    let positions = waited.each_ref().map(|reply| reply.header("x-nexus-queue-position"));
    assert_eq!(positions, [Some("1"), Some("2"), Some("1")]);
    for reply in &waited {
        assert_eq!((reply.status, reply.header("x-nexus-route-reason")), (200, Some("capacity-overflow")));
    }
    // As long as those before them take, at 5 s each where nobody has been served yet.
    let expected = waited.each_ref().map(|reply| reply.header("x-nexus-queue-eta"));
    assert_eq!(expected, [Some("5"), Some("10"), Some("5")]);
    assert_eq!(marks(&backend), ["first", "urgent", "second", "third"]);
    assert_eq!(backend.peak(), 1);
    queued(&node, 0).await;
}

#[tokio::test]
async fn streams_wait_as_well_and_go_to_whichever_backend_is_free_first() {
    let (slow, quick) = (Gate::closed(), Gate::closed());
    let answer = || Answer::stream(["data: 1\n\ndata: [DONE]\n\n"]);
    let one = FakeBackend::always(&["m1"], answer().after(&slow)).await;
    let two = FakeBackend::always(&["m1"], answer().after(&quick)).await;
    let entries = one.entry("one", "concurrency = 1") + &two.entry("two", "concurrency = 1");
    let node = TestNode::start(&entries).await;
    let ask = || node.client().completions(stream("m1")).whole();
    let third = async {
        one.called(1).await;
        two.called(1).await;
        let open = async {
            queued(&node, 1).await;
            quick.open();
        };
        let (reply, ()) = tokio::join!(ask(), open);
        slow.open();
        reply
    };
    let (first, second, third) = tokio::join!(ask(), ask(), third);
    assert_eq!((first.status, second.status, third.status), (200, 200, 200));
    assert_eq!((third.header("x-nexus-backend"), third.header("x-nexus-queue-position")), (Some("two"), Some("1")));
}

#[tokio::test]
async fn a_full_queue_says_so_at_once() {
    let gate = Gate::closed();
    let backend = FakeBackend::always(&["m1"], Answer::says("hi").after(&gate)).await;
    let node = TestNode::start(&(backend.entry("a", "concurrency = 1") + "[queue]\nmax_size = 1\n")).await;
    let rest = async {
        backend.called(1).await;
        let too_many = async {
            queued(&node, 1).await;
            let reply = node.chat("m1").await;
            let error = reply.error(503, "service_unavailable", "server_error");
            assert_eq!((&error["context"]["queue_depth"], reply.header("retry-after")), (&1.into(), Some("10")));
            let unknown = node.chat("nobody-has-this").await;
            unknown.error(404, "model_not_found", "invalid_request_error");
            gate.open();
        };
        tokio::join!(node.chat("m1"), too_many).0
    };
    let (first, second) = tokio::join!(node.chat("m1"), rest);
    assert_eq!((first.status, second.status), (200, 200));
}

/// A queue full of one client's requests once had no room for anybody else's.
#[tokio::test]
async fn a_client_with_most_of_a_full_queue_gives_way_to_others() {
    let gate = Gate::closed();
    let backend = FakeBackend::always(&["m1"], Answer::says("hi").after(&gate)).await;
    let keys = ["greedy", "modest"].map(|name| format!("[[auth.client_keys]]\nname = '{name}'\nkey_env = '{name}'\n"));
    let config = backend.entry("a", "concurrency = 1") + "[queue]\nmax_size = 3\n" + &keys.concat();
    let node =
        Plan::new(&config).variable("greedy", "greedy-key-0123456789").variable("modest", "modest-key-0123456789");
    let node = node.start().await;
    let ask = |client: &'static str, mark: &'static str| {
        let call = node.client().completions(marked("m1", mark));
        async move { call.header("authorization", &format!("Bearer {client}-key-0123456789")).whole().await }
    };
    // Asks when so many wait.
    let after = async |count, client, mark| {
        backend.called(1).await;
        queued(&node, count).await;
        ask(client, mark).await
    };
    let evicted = async {
        let reply = after(2, "greedy", "last").await;
        // Another of its own has no place either, and is told the same.
        (reply, ask("greedy", "refused").await)
    };
    let modest = async {
        let served = after(3, "modest", "modest");
        let open = async {
            let (evicted, refused) = evicted.await;
            gate.open();
            (evicted, refused)
        };
        tokio::join!(served, open)
    };
    let waiting = async { tokio::join!(after(0, "greedy", "second"), after(1, "greedy", "third")) };
    let (first, (second, third), (modest, (evicted, refused))) = tokio::join!(ask("greedy", "first"), waiting, modest);
    for reply in [&first, &second, &third, &modest] {
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    for reply in [&evicted, &refused] {
        let error = reply.error(503, "service_unavailable", "server_error");
        assert_eq!((&error["context"]["queue_depth"], reply.header("retry-after")), (&3.into(), Some("20")));
    }
    let told = ["x-nexus-queue-position", "x-nexus-queue-eta"].map(|name| modest.header(name));
    assert_eq!(told, [Some("2"), Some("10")]);
    assert_eq!(marks(&backend), ["first", "second", "modest", "third"]);
}

#[tokio::test]
async fn whoever_waits_too_long_is_told_when_to_come_back() {
    let gate = Gate::closed();
    let backend = FakeBackend::always(&["m1"], Answer::says("hi").after(&gate)).await;
    let node = TestNode::start(&(backend.entry("a", "concurrency = 1") + "[queue]\nmax_wait_seconds = 1\n")).await;
    let second = async {
        backend.called(1).await;
        let reply = node.chat("m1").await;
        let error = reply.error(503, "service_unavailable", "server_error");
        assert_eq!(reply.header("retry-after"), Some("1"));
        assert_eq!(error["context"]["priority"], "normal");
        queued(&node, 0).await;
        gate.open();
    };
    let (first, ()) = tokio::join!(node.chat("m1"), second);
    assert_eq!((first.status, backend.calls()), (200, 1));
}

#[tokio::test]
async fn who_leaves_gives_up_its_place_and_its_slot_is_not_lost() {
    let gate = Gate::closed();
    let backend = FakeBackend::always(&["m1"], Answer::says("hi").after(&gate)).await;
    let node = TestNode::start(&backend.entry("a", "concurrency = 1")).await;
    let others = async {
        backend.called(1).await;
        let leaver = node.client().completions(chat("m1")).whole();
        let leaves = tokio::time::timeout(Duration::from_secs(60), async {
            tokio::select! {
                _ = leaver => panic!("nobody answers it"),
                () = queued(&node, 1) => {}
            }
        });
        leaves.await.expect("it waits and leaves");
        queued(&node, 0).await;
        gate.open();
    };
    let (first, ()) = tokio::join!(node.chat("m1"), others);
    assert_eq!(first.status, 200);
    assert_eq!(node.chat("m1").await.status, 200);
    node.idle().await;
}

/// Clients and proxies give up on a stream that says nothing for long.
#[tokio::test]
async fn a_stream_that_waits_shows_signs_of_life_until_it_is_served() {
    let gate = Gate::closed();
    let backend = FakeBackend::always(&["m1"], Answer::stream(["data: 1\n\ndata: [DONE]\n\n"]).after(&gate)).await;
    let config = "[server]\nheartbeat_seconds = 1\n".to_owned() + &backend.entry("a", "concurrency = 1");
    let node = TestNode::start(&config).await;
    let client = node.client();
    let second = async {
        backend.called(1).await;
        let mut waiting = client.stream("m1").await;
        waiting.read_to(": waiting\n\n").await;
        gate.open();
        waiting.whole().await
    };
    let (first, second) = tokio::join!(client.completions(stream("m1")).whole(), second);
    assert_eq!((first.status, second.status), (200, 200));
    assert!(second.text().ends_with("data: 1\n\ndata: [DONE]\n\n"), "{}", second.text());
    assert!(second.header("x-request-id").is_some());
}

#[tokio::test]
async fn a_refusal_after_signs_of_life_is_an_event() {
    let backend = FakeBackend::always(&["m1"], Answer::silence()).await;
    let config = "[server]\nheartbeat_seconds = 1\nrequest_timeout_seconds = 2\n".to_owned() + &backend.entry("a", "");
    let node = TestNode::start(&config).await;
    let reply = node.client().completions(stream("m1")).whole().await;
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    assert!(reply.text().contains("data: {\"error\":") && !reply.text().contains("[DONE]"), "{}", reply.text());
    let plain = node.chat("m1").await;
    plain.error(504, "gateway_timeout", "server_error");
}

#[tokio::test]
async fn nobody_waits_for_a_backend_that_was_taken_away() {
    let backend = FakeBackend::always(&["m1"], Answer::stream(["data: 1\n\n"]).then_hang()).await;
    let node = TestNode::start(&backend.entry("a", "concurrency = 1")).await;
    let mut held = node.client().stream("m1").await;
    held.read_to("data: 1").await;
    let removal = async {
        queued(&node, 1).await;
        assert_eq!(node.client().delete("/nexus/v1/backends/a").whole().await.status, 200);
    };
    let (waited, ()) = tokio::join!(node.chat("m1"), removal);
    waited.error(503, "service_unavailable", "server_error");
}

/// A slot of a backend that has just died once went to one waiting request after the other, each to fail there.
#[tokio::test]
async fn who_waits_when_a_backend_dies_is_served_by_the_others() {
    let (never, gate) = (Gate::closed(), Gate::closed());
    let dying = FakeBackend::always(&["m1"], Answer::says("never").after(&never)).await;
    let well = FakeBackend::always(&["m1"], Answer::says("hi").after(&gate)).await;
    let entries = dying.entry("dying", "concurrency = 1") + &well.entry("well", "concurrency = 1");
    let node = TestNode::start(&entries).await;
    let rest = async {
        dying.called(1).await;
        well.called(1).await;
        let death = async {
            until_json(&node, "/nexus/v1/backends", "four wait", |seen| {
                let all = seen["backends"].as_array().into_iter().flatten();
                all.filter_map(|backend| backend["queued_requests"].as_u64()).sum::<u64>() == 4
            })
            .await;
            dying.die().await;
            gate.open();
        };
        tokio::join!(node.chat("m1"), node.chat("m1"), node.chat("m1"), node.chat("m1"), death)
    };
    let (first, second, (a, b, c, d, ())) = tokio::join!(node.chat("m1"), node.chat("m1"), rest);
    for reply in [&first, &second, &a, &b, &c, &d] {
        assert_eq!((reply.status, reply.header("x-nexus-backend")), (200, Some("well")), "{}", reply.text());
    }
    assert_eq!(dying.calls(), 1, "nobody was sent there again");
}

/// Attempts from the queue once did not count, and one that waited was sent to a failing backend until its time was up.
#[tokio::test]
async fn attempts_are_bounded_for_those_who_waited_as_well() {
    let gate = Gate::closed();
    let backend = FakeBackend::always(&["m1"], Answer::json(500, "{}").after(&gate)).await;
    let node = TestNode::start(&backend.entry("a", "concurrency = 1")).await;
    let second = async {
        backend.called(1).await;
        let open = async {
            queued(&node, 1).await;
            gate.open();
        };
        tokio::join!(node.chat("m1"), open).0
    };
    let (first, second) = tokio::join!(node.chat("m1"), second);
    first.error(502, "bad_gateway", "server_error");
    second.error(502, "bad_gateway", "server_error");
    assert_eq!(backend.calls(), 6, "each three times");
}

/// Two requests that each kept the slot of one backend in hand once waited for each other.
#[tokio::test]
async fn what_is_kept_for_the_end_keeps_no_slot() {
    let gate = Gate::closed();
    let later = || Answer::json(429, r#"{"error":{}}"#).after(&gate);
    let (one, two) = (FakeBackend::always(&["m1"], later()).await, FakeBackend::always(&["m1"], later()).await);
    let entries = one.entry("one", "concurrency = 1") + &two.entry("two", "concurrency = 1");
    let node = TestNode::start(&entries).await;
    let open = async {
        one.called(1).await;
        two.called(1).await;
        gate.open();
    };
    let (first, second, ()) = tokio::join!(node.chat("m1"), node.chat("m1"), open);
    assert_eq!((first.status, second.status), (429, 429));
    node.idle().await;
}

#[tokio::test]
async fn who_still_waits_when_the_node_stops_is_told() {
    let backend = FakeBackend::always(&["m1"], Answer::stream(["data: 1\n\n"]).then_hang()).await;
    let mut node = TestNode::start(&backend.entry("a", "concurrency = 1")).await;
    let client = node.client();
    let mut held = client.stream("m1").await;
    held.read_to("data: 1").await;
    let stop = async {
        queued(&node, 1).await;
        node.stop(Duration::from_millis(100)).await;
    };
    let (waited, ()) = tokio::join!(client.completions(chat("m1")).whole(), stop);
    waited.error(503, "service_unavailable", "server_error");
}

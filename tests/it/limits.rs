//! Bounds of a node as a whole.

use crate::support::{Answer, FakeBackend, Gate, TestNode, chat, until};

/// `max_concurrent_requests` was once read and not held to.
#[tokio::test]
async fn a_node_serves_as_many_as_it_may_and_turns_the_next_away() {
    let gate = Gate::closed();
    let backend = FakeBackend::always(&["m1"], Answer::says("hi").after(&gate)).await;
    let node = TestNode::start(&(backend.entry("a", "") + "[server]\nmax_concurrent_requests = 2\n")).await;
    let ask = || node.client().completions(chat("m1")).whole();
    let third = async {
        backend.called(2).await;
        let reply = ask().await;
        reply.error(503, "service_unavailable", "server_error");
        assert!(reply.header("retry-after").is_some_and(|seconds| seconds.parse::<u64>().is_ok()));
        assert_eq!(node.get("/health").await.status, 200, "looking is not limited");
        gate.open();
    };
    let (first, second, ()) = tokio::join!(ask(), ask(), third);
    assert_eq!((first.status, second.status, backend.calls()), (200, 200, 2));
    assert_eq!(ask().await.status, 200);
}

/// A slot is held until a stream ends, not until it begins; and a client that leaves gives it back.
#[tokio::test]
async fn a_stream_holds_its_place_until_it_ends() {
    let backend = FakeBackend::always(&["m1"], Answer::stream(["data: 1\n\n"]).then_hang()).await;
    let node = TestNode::start(&(backend.entry("a", "") + "[server]\nmax_concurrent_requests = 1\n")).await;
    let mut reply = node.client().stream("m1").await;
    reply.read_to("data: 1").await;
    node.chat("m1").await.error(503, "service_unavailable", "server_error");
    drop(reply);
    until("the place is free", || backend.abandoned() == 1).await;
    node.idle().await;
    let mut next = node.client().stream("m1").await;
    next.read_to("data: 1").await;
}

//! Clients that go away: what they held is given back, and the backend is told at once.

use futures_util::future::join_all;

use crate::support::{Answer, FakeBackend, Gate, TestNode, chat, until};

/// Pending counters once leaked with every client that left, for ever.
#[tokio::test]
async fn a_client_that_leaves_in_mid_stream_frees_the_backend() {
    let backend = FakeBackend::always(&["m1"], Answer::stream(["data: 1\n\n"]).then_hang()).await;
    let node = TestNode::start(&backend.entry("a", "")).await;
    for left in 1..=3 {
        let mut reply = node.client().stream("m1").await;
        reply.read_to("data: 1").await;
        assert_eq!(node.in_flight(), 1);
        drop(reply);
        until("the backend sees it", || backend.abandoned() == left).await;
        node.idle().await;
    }
    let seen = &node.get("/nexus/v1/backends").await.json()["backends"][0];
    assert_eq!((seen["pending_requests"].as_u64(), seen["total_requests"].as_u64()), (Some(0), Some(3)));
}

/// So it was with clients that left before any byte had come.
#[tokio::test]
async fn a_client_that_leaves_before_the_first_byte_frees_the_backend() {
    let backend = FakeBackend::always(&["m1"], Answer::silence()).await;
    let node = TestNode::start(&backend.entry("a", "")).await;
    for left in 1..=3 {
        tokio::select! {
            _ = node.chat("m1") => panic!("it hangs"),
            () = backend.called(left) => {}
        }
        until("the backend sees it", || backend.abandoned() == left).await;
        node.idle().await;
    }
    assert_eq!(backend.calls(), 3, "nobody asks again for a client that left");
}

/// A client that leaves says nothing about the backend.
#[tokio::test]
async fn clients_that_leave_do_not_count_against_a_backend() {
    let backend = FakeBackend::script(&["m1"], |request| match request.number {
        0..10 => Answer::silence(),
        _ => Answer::says("hi"),
    })
    .await;
    let better = FakeBackend::always(&["m1"], Answer::says("other")).await;
    let config = "[routing]\nstrategy = 'priority_only'\n".to_owned()
        + &backend.entry("a", "priority = 1")
        + &better.entry("b", "priority = 2");
    let node = TestNode::start(&config).await;
    for left in 1..=10 {
        tokio::select! {
            _ = node.chat("m1") => panic!("it hangs"),
            () = backend.called(left) => {}
        }
    }
    until("all are gone", || backend.active() == 0).await;
    assert_eq!(node.chat("m1").await.header("x-nexus-backend"), Some("a"));
}

/// Some leave before the head, some in the stream, some stay: in the end nothing is held.
#[tokio::test]
async fn a_crowd_that_comes_and_goes_leaves_nothing_behind() {
    let gate = Gate::closed();
    let held = gate.clone();
    let backend = FakeBackend::script(&["m1"], move |request| match request.number % 3 {
        0 => Answer::silence(),
        1 => Answer::stream(["data: 1\n\n"]).then_hang(),
        _ => Answer::stream(["data: 1\n\n"]).wait(&held).then("data: [DONE]\n\n"),
    })
    .await;
    let node = TestNode::start(&backend.entry("a", "")).await;
    let ask = |_| async {
        // Those that got a silent or a hanging reply leave when the others end.
        let stay = async {
            let mut reply = node.client().stream("m1").await;
            reply.read_to("[DONE]").await;
        };
        tokio::select! {
            () = stay => 1,
            () = until("the end", || backend.calls() == 60 && backend.active() <= 40) => 0,
        }
    };
    let crowd = join_all((0..60).map(ask));
    let open = async {
        backend.called(60).await;
        assert_eq!(node.in_flight(), 60);
        gate.open();
    };
    let (finished, ()) = tokio::join!(crowd, open);
    assert!(finished.iter().sum::<usize>() <= 20);
    until("nobody asks any more", || backend.active() == 0).await;
    node.idle().await;
    assert!(backend.abandoned() >= 40);
}

/// A client that has the whole reply is not one that left.
#[tokio::test]
async fn a_reply_that_was_read_to_its_end_keeps_the_connection_to_the_backend() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = TestNode::start(&backend.entry("a", "")).await;
    for _ in 0..3 {
        assert_eq!(node.client().completions(chat("m1")).whole().await.status, 200);
    }
    assert_eq!((backend.abandoned(), node.in_flight()), (0, 0));
}

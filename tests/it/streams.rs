//! Streams pass as they arrive: the same bytes, however they are cut, at once, and an honest end.

use std::time::Duration;

use crate::support::{Answer, FakeBackend, Gate, TestNode, stream};

/// A stream with everything that a parser and printer would change.
const EVENTS: &str = ": a comment\n\ndata: {\"id\":\"c1\",\"choices\":[{\"delta\":{\"content\":\"héé世界😀\"}}]}\n\n\
    event: odd\ndata:{\"no\" : \"space\"}\n\ndata: {\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";

const ERROR: &str = "data: {\"error\":";

async fn relayed(answer: Answer) -> crate::support::Whole {
    let backend = FakeBackend::always(&["m1"], answer).await;
    let node = TestNode::start(&backend.entry("a", "")).await;
    node.client().completions(stream("m1")).whole().await
}

/// Events were once framed twice, so that no client could read them.
#[tokio::test]
async fn a_stream_passes_byte_for_byte() {
    let reply = relayed(Answer::stream([EVENTS])).await;
    assert_eq!((reply.status, reply.text()), (200, EVENTS));
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    assert_eq!(reply.text().matches("[DONE]").count(), 1);
    assert!(!reply.broken);
}

/// An event cut over two reads once became two, and a character cut in half became two wrong ones.
#[tokio::test]
async fn a_stream_passes_byte_for_byte_when_it_comes_byte_by_byte() {
    let reply = relayed(Answer::stream(EVENTS.as_bytes().chunks(1))).await;
    assert_eq!((reply.text(), reply.broken), (EVENTS, false));
}

#[tokio::test]
async fn a_stream_passes_byte_for_byte_wherever_it_is_cut() {
    for size in [2, 3, 5, 7, 11, 64] {
        let reply = relayed(Answer::stream(EVENTS.as_bytes().chunks(size))).await;
        assert_eq!((reply.text(), reply.broken), (EVENTS, false), "in chunks of {size}");
    }
}

#[tokio::test]
async fn each_chunk_is_passed_on_before_the_next_one_comes() {
    let gates = [Gate::closed(), Gate::closed()];
    let answer =
        Answer::stream(["data: 1\n\n"]).wait(&gates[0]).then("data: 2").wait(&gates[1]).then("\n\ndata: [DONE]\n\n");
    let backend = FakeBackend::always(&["m1"], answer).await;
    let node = TestNode::start(&backend.entry("a", "")).await;
    let mut reply = node.client().stream("m1").await;
    assert_eq!(reply.next().await.as_deref(), Some(&b"data: 1\n\n"[..]));
    gates[0].open();
    assert_eq!(reply.next().await.as_deref(), Some(&b"data: 2"[..]), "half an event, too");
    gates[1].open();
    assert_eq!(reply.next().await.as_deref(), Some(&b"\n\ndata: [DONE]\n\n"[..]));
    assert_eq!(reply.next().await, None);
}

/// What broke off once ended in `[DONE]`, with the error as the assistant's words.
#[tokio::test]
async fn a_stream_that_dies_ends_in_an_error_event_and_is_not_retried() {
    let first = "data: {\"choices\":[]}\n\n";
    let dying = FakeBackend::always(&["m1"], Answer::stream([first]).then_cut()).await;
    let other = FakeBackend::always(&["m1"], Answer::stream([EVENTS])).await;
    let config = "[routing]\nstrategy = 'priority_only'\n".to_owned()
        + &dying.entry("dying", "priority = 1")
        + &other.entry("other", "priority = 9");
    let node = TestNode::start(&config).await;
    let reply = node.client().completions(stream("m1")).whole().await;
    assert_eq!(reply.status, 200);
    let rest = reply.text().strip_prefix(first).expect("what came is passed on");
    assert!(rest.starts_with(ERROR) && rest.ends_with("}\n\n"), "{rest}");
    assert!(!reply.text().contains("[DONE]") && !reply.broken, "{reply:?}");
    assert!(!rest.contains("http://") && !rest.contains(&dying.address.to_string()), "{rest}");
    assert_eq!((dying.calls(), other.calls()), (1, 0));
    assert_eq!(node.in_flight(), 0);
}

#[tokio::test]
async fn an_event_that_was_cut_in_half_is_ended_before_the_error() {
    let reply = relayed(Answer::stream(["data: {\"cho"]).then_cut()).await;
    let rest = reply.text().strip_prefix("data: {\"cho\n\n").expect("the half event is ended");
    assert!(rest.starts_with(ERROR), "{rest}");
}

/// What comes after `[DONE]` is no news: an error event there would spoil a whole answer.
#[tokio::test]
async fn a_stream_that_dies_after_its_end_is_whole() {
    let reply = relayed(Answer::stream([EVENTS]).then_cut()).await;
    assert_eq!((reply.text(), reply.broken), (EVENTS, false));
}

/// A backend that stalls is noticed by its silence, not by the length of its stream.
#[tokio::test]
async fn a_stream_that_stalls_ends_in_an_error_event() {
    let backend = FakeBackend::always(&["m1"], Answer::stream(["data: {}\n\n"]).then_hang()).await;
    let node = TestNode::start(&(backend.entry("a", "") + "[server]\nrequest_timeout_seconds = 1\n")).await;
    let started = tokio::time::Instant::now();
    let reply = node.client().completions(stream("m1")).whole().await;
    assert!(started.elapsed() < Duration::from_secs(5));
    let rest = reply.text().strip_prefix("data: {}\n\n").expect("what came is passed on");
    assert!(rest.starts_with(ERROR) && !rest.contains("[DONE]"), "{rest}");
    crate::support::until("the backend is let go", || backend.abandoned() == 1).await;
}

/// There is no limit on the whole of a stream, only on the gaps in it.
#[tokio::test]
async fn a_stream_may_take_longer_than_the_timeout() {
    let gates: Vec<Gate> = (0..4).map(|_| Gate::closed()).collect();
    let answer =
        gates.iter().fold(Answer::stream(["data: 0\n\n"]), |answer, gate| answer.wait(gate).then("data: 1\n\n"));
    let answer = answer.then("data: [DONE]\n\n");
    let backend = FakeBackend::always(&["m1"], answer).await;
    let node = TestNode::start(&(backend.entry("a", "") + "[server]\nrequest_timeout_seconds = 1\n")).await;
    let mut reply = node.client().stream("m1").await;
    for gate in &gates {
        assert!(reply.next().await.is_some());
        // More in all than a request may take, less at a time.
        tokio::time::pause();
        tokio::time::advance(Duration::from_millis(400)).await;
        tokio::time::resume();
        gate.open();
    }
    assert!(reply.whole().await.text().ends_with("data: 1\n\ndata: [DONE]\n\n"));
}

/// A backend that dies may close its connection in good order: half an answer once passed for a whole one.
#[tokio::test]
async fn a_stream_that_ends_without_a_word_about_its_end_was_cut() {
    let half = "data: {\"choices\":[{\"delta\":{\"content\":\"half\"},\"finish_reason\":null}]}\n\n";
    let reply = relayed(Answer::stream([half])).await;
    let rest = reply.text().strip_prefix(half).expect("what came is passed on");
    assert!(rest.starts_with(ERROR) && !rest.contains("[DONE]"), "{rest}");

    let whole = half.replace("null", "\"stop\"");
    let reply = relayed(Answer::stream([&whole])).await;
    assert_eq!((reply.text(), reply.broken), (&*whole, false), "some servers never send [DONE]");
}

/// An error before the first byte is an HTTP error, not a stream that says so.
#[tokio::test]
async fn a_stream_that_never_began_is_an_error_as_any_other() {
    let backend = FakeBackend::always(&["m1"], Answer::json(500, "{}")).await;
    let node = TestNode::start(&backend.entry("a", "")).await;
    let reply = node.client().completions(stream("m1")).whole().await;
    reply.error(502, "bad_gateway", "server_error");
}

#[tokio::test]
async fn a_stream_is_tried_elsewhere_until_its_first_byte() {
    for broken in [Answer::json(503, "{}"), Answer::hang_up(), Answer::stream::<&str>([]).then_cut()] {
        let bad = FakeBackend::always(&["m1"], broken).await;
        let good = FakeBackend::always(&["m1"], Answer::stream([EVENTS])).await;
        let config = "[routing]\nstrategy = 'priority_only'\n".to_owned()
            + &bad.entry("bad", "priority = 1")
            + &good.entry("good", "priority = 9");
        let node = TestNode::start(&config).await;
        let reply = node.client().completions(stream("m1")).whole().await;
        assert_eq!((reply.status, reply.text()), (200, EVENTS));
        assert_eq!(reply.header("x-nexus-backend"), Some("good"));
        assert_eq!(reply.header("x-nexus-route-reason"), Some("failover"));
    }
}

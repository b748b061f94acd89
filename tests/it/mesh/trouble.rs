//! Peers that die, hang, leave and come back: a request costs at most its deadline, the next one nothing, and a stream
//! that was cut says so.

use std::time::Duration;

use tokio::time::Instant;

use super::{forgets, offers, pair, pair_on_cable};
use crate::support::{Answer, FakeBackend, Gate, soon, stream, until, until_json};

const ERROR: &str = "data: {\"error\":";

/// A machine loses its power.
#[tokio::test]
async fn a_peer_that_dies_costs_one_request_its_patience_and_comes_back_by_itself() {
    let there = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let here = FakeBackend::always(&["m2"], Answer::says("hi")).await;
    let (near, _far, cable) = pair_on_cable(&here.entry("here", ""), &there.entry("there", ""), "m1").await;
    assert_eq!(near.chat("m1").await.status, 200);
    cable.cut();
    let started = Instant::now();
    let reply = near.chat("m1").await;
    assert!(matches!(reply.status, 502..=504), "{} {}", reply.status, reply.text());
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    let started = Instant::now();
    for path in ["/health", "/v1/models", "/nexus/v1/mesh"] {
        assert_eq!(near.get(path).await.status, 200);
    }
    assert_eq!(near.chat("m2").await.status, 200, "others are served");
    assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
    forgets(&near, "m1").await;
    let started = Instant::now();
    assert!(matches!(near.chat("m1").await.status, 404 | 503));
    assert!(started.elapsed() < Duration::from_millis(500), "known to be gone: {:?}", started.elapsed());
    cable.mend();
    let started = Instant::now();
    offers(&near, "m1").await;
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    assert_eq!(near.chat("m1").await.status, 200);
}

#[tokio::test]
async fn where_another_peer_has_the_model_a_dead_one_costs_no_request() {
    let first = FakeBackend::always(&["m1"], Answer::stream(["data: [DONE]\n\n"])).await;
    let second = FakeBackend::always(&["m1"], Answer::stream(["data: [DONE]\n\n"])).await;
    let near_more = "[routing]\nstrategy = 'priority_only'\n".to_owned() + &second.entry("here", "priority = 90");
    let (near, _far, cable) = pair_on_cable(&near_more, &first.entry("there", "priority = 1"), "m1").await;
    until_json(&near, "/v1/models", "both are known", |seen| seen["data"].as_array().is_some_and(|all| all.len() == 2))
        .await;
    assert_eq!(near.client().completions(stream("m1")).whole().await.header("x-nexus-peer"), Some("far"));
    cable.cut();
    for within in [Duration::from_secs(2), Duration::from_millis(500)] {
        let started = Instant::now();
        let reply = near.client().completions(stream("m1")).whole().await;
        assert_eq!((reply.status, reply.header("x-nexus-peer")), (200, Some("near")));
        assert!(started.elapsed() < within, "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn a_stream_whose_peer_dies_ends_in_an_error_event() {
    let backend = FakeBackend::always(&["m1"], Answer::stream(["data: 1\n\n"]).then_hang()).await;
    let (near, _far, cable) = pair_on_cable("", &backend.entry("a", ""), "m1").await;
    let mut reply = near.client().stream("m1").await;
    reply.read_to("data: 1\n\n").await;
    cable.cut();
    let rest = reply.whole().await;
    assert!(rest.text().starts_with(ERROR) && !rest.text().contains("[DONE]"), "{}", rest.text());
    assert!(!rest.broken);
    near.idle().await;
}

#[tokio::test]
async fn a_stream_whose_far_backend_dies_ends_in_one_error_event() {
    let backend = FakeBackend::always(&["m1"], Answer::stream(["data: 1\n\n"]).then_cut()).await;
    let (near, far) = pair("", &backend.entry("a", ""), "m1").await;
    let reply = near.client().completions(stream("m1")).whole().await;
    let rest = reply.text().strip_prefix("data: 1\n\n").expect("what came is passed on");
    assert!(rest.starts_with(ERROR) && rest.matches("error").count() >= 1, "{rest}");
    assert_eq!(rest.matches("data: ").count(), 1, "told once, where the client is: {rest}");
    assert_eq!((backend.calls(), far.in_flight()), (1, 0));
}

/// A client that goes away frees the backend, one hop or none.
#[tokio::test]
async fn a_client_that_leaves_frees_a_far_backend() {
    let backend = FakeBackend::script(&["m1"], |request| match request.number {
        0 => Answer::stream(["data: 1\n\n"]).then_hang(),
        _ => Answer::silence(),
    })
    .await;
    let (near, far) = pair("", &backend.entry("a", ""), "m1").await;
    let mut reply = near.client().stream("m1").await;
    reply.read_to("data: 1").await;
    let left = Instant::now();
    drop(reply);
    until("the backend sees it", || backend.abandoned() == 1).await;
    assert!(left.elapsed() < Duration::from_secs(1), "{:?}", left.elapsed());
    tokio::select! {
        _ = near.chat("m1") => panic!("it hangs"),
        () = backend.called(2) => {}
    }
    until("the backend sees it before the head, too", || backend.abandoned() == 2).await;
    near.idle().await;
    far.idle().await;
}

#[tokio::test]
async fn a_far_backend_that_hangs_is_504_in_time_and_hangs_nobody_else() {
    let hung = FakeBackend::always(&["m1"], Answer::silence()).await;
    let well = FakeBackend::always(&["m2"], Answer::says("hi")).await;
    let far_more = hung.entry("hung", "") + &well.entry("well", "");
    let (near, far) = pair("[server]\nrequest_timeout_seconds = 1\n", &far_more, "m2").await;
    offers(&near, "m1").await;
    let started = Instant::now();
    let look = async {
        hung.called(1).await;
        hung.set_mute(true);
        for node in [&near, &far] {
            for path in ["/v1/models", "/health"] {
                let asked = Instant::now();
                assert_eq!(node.get(path).await.status, 200);
                assert!(asked.elapsed() < Duration::from_millis(250), "{path}: {:?}", asked.elapsed());
            }
            assert_eq!(node.chat("m2").await.status, 200);
        }
    };
    let (reply, ()) = tokio::join!(near.chat("m1"), look);
    reply.error(504, "gateway_timeout", "server_error");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    until("it is let go", || far.in_flight() == 0).await;
}

/// It is the owner that has had enough here; the client is told the same.
#[tokio::test]
async fn a_far_peer_that_runs_out_of_patience_first_is_504_as_well() {
    let hung = FakeBackend::always(&["m1"], Answer::silence()).await;
    let far_more = hung.entry("hung", "") + "[server]\nrequest_timeout_seconds = 1\n";
    let (near, _far) = pair("", &far_more, "m1").await;
    for body in [crate::support::chat("m1"), stream("m1")] {
        near.client().completions(body).whole().await.error(504, "gateway_timeout", "server_error");
    }
}

/// Drain: what it has is finished, what is new goes elsewhere or is refused with a word, then it is gone for all.
#[tokio::test]
async fn a_peer_that_stops_finishes_what_others_gave_it() {
    let gate = Gate::closed();
    let answer = Answer::stream(["data: 1\n\n"]).wait(&gate).then("data: [DONE]\n\n");
    let backend = FakeBackend::always(&["m1"], answer).await;
    let (near, mut far) = pair("", &backend.entry("a", ""), "m1").await;
    let mut reply = near.client().stream("m1").await;
    reply.read_to("data: 1\n\n").await;
    let finish = async {
        forgets(&near, "m1").await;
        let refused = near.chat("m1").await;
        assert!(matches!(refused.status, 404 | 503), "{} {}", refused.status, refused.text());
        gate.open();
        reply.whole().await
    };
    let both = async { tokio::join!(finish, far.stop(Duration::from_secs(15))) };
    let (whole, ()) = soon("the end", both).await;
    assert_eq!((whole.text(), whole.broken), ("data: [DONE]\n\n", false));
    assert_eq!((far.all_tasks(), backend.calls()), (0, 1));
    until_json(&near, "/nexus/v1/mesh", "it is gone", |seen| {
        seen["peers"]
            .as_array()
            .is_some_and(|all| all.iter().all(|one| one["state"] != "alive" && one["state"] != "suspect"))
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_stops_cuts_what_does_not_end_and_the_client_is_told() {
    let backend = FakeBackend::always(&["m1"], Answer::stream(["data: 1\n\n"]).then_hang()).await;
    let (near, mut far) = pair("", &backend.entry("a", ""), "m1").await;
    let mut reply = near.client().stream("m1").await;
    reply.read_to("data: 1\n\n").await;
    let started = Instant::now();
    soon("the stop", far.stop(Duration::from_millis(300))).await;
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    let rest = reply.whole().await;
    assert!(rest.text().starts_with(ERROR) && !rest.text().contains("[DONE]"), "{}", rest.text());
    assert_eq!(far.all_tasks(), 0);
}

#[tokio::test]
async fn changes_at_one_peer_are_seen_at_the_others() {
    let first = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let second = FakeBackend::always(&["m2"], Answer::says("hi")).await;
    let (near, far) = pair("", &first.entry("first", ""), "m1").await;
    let body = format!(r#"{{"url":"http://{}","name":"second","type":"generic"}}"#, second.address);
    assert_eq!(far.client().post("/nexus/v1/backends", body).whole().await.status, 201);
    offers(&near, "m2").await;
    assert_eq!(near.chat("m2").await.header("x-nexus-backend"), Some("second"));
    assert_eq!(far.client().delete("/nexus/v1/backends/second").whole().await.status, 200);
    forgets(&near, "m2").await;
    first.set_well(false);
    forgets(&near, "m1").await;
    assert!(matches!(near.chat("m1").await.status, 502..=503));
    first.set_well(true);
    offers(&near, "m1").await;
}

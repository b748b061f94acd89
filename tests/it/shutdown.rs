//! The end of a node: bounded, and with nothing left. A node with an open stream once never ended.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::support::{Answer, FakeBackend, Gate, TestNode, soon};

#[tokio::test]
async fn a_node_with_an_open_stream_ends_within_its_grace() {
    let backend = FakeBackend::always(&["m1"], Answer::stream(["data: 1\n\n"]).then_hang()).await;
    let mut node = TestNode::start(&backend.entry("a", "")).await;
    let mut reply = node.client().stream("m1").await;
    reply.read_to("data: 1").await;
    let started = Instant::now();
    soon("the stop", node.stop(Duration::from_millis(300))).await;
    assert!(started.elapsed() >= Duration::from_millis(300), "the stream had its grace");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(node.all_tasks(), 0);
    assert!(!reply.whole().await.text().contains("[DONE]"), "what was cut does not look whole");
}

#[tokio::test]
async fn a_stopping_node_finishes_what_it_has_and_takes_no_more() {
    let gate = Gate::closed();
    let answer = Answer::stream(["data: 1\n\n"]).wait(&gate).then("data: [DONE]\n\n");
    let backend = FakeBackend::always(&["m1"], answer).await;
    let mut node = TestNode::start(&backend.entry("a", "")).await;
    let address = node.address;
    let mut reply = node.client().stream("m1").await;
    reply.read_to("data: 1").await;
    let finish = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        gate.open();
        reply.whole().await
    };
    let started = Instant::now();
    let (whole, ()) = soon("the end", async { tokio::join!(finish, node.stop(Duration::from_secs(15))) }).await;
    assert_eq!((whole.text(), whole.broken), ("data: [DONE]\n\n", false));
    assert!(started.elapsed() < Duration::from_secs(10), "it ends when the last one ends");
    assert_eq!(node.all_tasks(), 0);
}

#[tokio::test]
async fn an_idle_node_ends_at_once_and_its_port_is_free() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let mut node = TestNode::start(&backend.entry("a", "")).await;
    assert_eq!(node.chat("m1").await.status, 200);
    // A client that keeps its connection open and asks for nothing holds nobody up.
    let _idle = TcpStream::connect(node.address).await.expect("the node listens");
    let address = node.address;
    let started = Instant::now();
    soon("the stop", node.stop(Duration::from_secs(15))).await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(node.all_tasks(), 0);
    let again = format!("[server]\nport = {}\n", address.port());
    assert_eq!(TestNode::start(&again).await.address, address);
}

#[tokio::test]
async fn a_port_that_is_taken_is_one_clear_line() {
    let first = TestNode::start("").await;
    let config = format!("[server]\nport = {}\n", first.address.port());
    let error = crate::support::Plan::new(&config).try_start().await.err().expect("refused");
    assert!(error.to_string().contains("in use") && !error.to_string().contains('\n'), "{error}");
    assert_eq!(first.get("/health").await.status, 200);
}

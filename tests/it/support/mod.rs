//! The words of these tests: a real node, a backend that does as it is told, a client that sees every byte. Nothing here
//! knows what the node is made of beyond how it is started.

mod answer;
mod backend;
mod cable;
mod client;
mod log;
mod node;
pub(crate) mod otlp;

use std::time::Duration;

use tokio::time::Instant;

pub(crate) use answer::{Answer, Gate};
pub(crate) use backend::{FakeBackend, Recorded, model};
pub(crate) use cable::Cable;
pub(crate) use client::{Call, Whole, chat, stream};
pub(crate) use log::Log;
pub(crate) use node::{Plan, TestNode};

/// How long anything may take before a test gives up on it. Nothing that works comes near.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until what a client sees is as `condition` wants it.
pub(crate) async fn until_json(
    node: &TestNode,
    path: &str,
    what: &str,
    condition: impl Fn(&serde_json::Value) -> bool,
) {
    let end = Instant::now() + PATIENCE;
    loop {
        let seen = node.client().get(path).whole().await.json();
        if condition(&seen) {
            return;
        }
        assert!(Instant::now() < end, "never happened: {what}; last seen: {seen}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Fails where `work` takes longer than [`PATIENCE`].
pub(crate) async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => panic!("did not end: {what}"),
    }
}

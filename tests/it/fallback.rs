//! Fallback chains: who answers when the model that was asked for cannot be had. With the default configuration.

use crate::support::{Answer, FakeBackend, Gate, TestNode, stream, until_json};

const CHAIN: &str = "[routing.fallbacks]\nprimary = ['second', 'third']\n";

/// With the default configuration they were never used.
#[tokio::test]
async fn a_model_that_nobody_has_is_answered_by_its_fallback() {
    let backend = FakeBackend::always(&["third"], Answer::says("hi")).await;
    let node = TestNode::start(&(backend.entry("a", "") + CHAIN)).await;
    let reply = node.chat("primary").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("x-nexus-fallback-model"), Some("third"));
    assert_eq!(reply.header("x-nexus-route-reason"), Some("failover"));
    assert_eq!(backend.requests()[0].json()["model"], "third");
}

#[tokio::test]
async fn a_model_that_fails_is_answered_by_its_fallback() {
    for broken in [Answer::json(500, "{}"), Answer::hang_up(), Answer::json(429, "{}").header("retry-after", "9")] {
        let primary = FakeBackend::always(&["primary"], broken).await;
        let second = FakeBackend::always(&["second"], Answer::says("hi")).await;
        let node = TestNode::start(&(primary.entry("a", "") + &second.entry("b", "") + CHAIN)).await;
        let reply = node.chat("primary").await;
        assert_eq!((reply.status, reply.header("x-nexus-fallback-model")), (200, Some("second")));
        assert!(primary.calls() >= 1, "the model that was asked for comes first");
    }
}

#[tokio::test]
async fn a_model_whose_backends_are_down_is_answered_by_its_fallback() {
    let primary = FakeBackend::always(&["primary"], Answer::says("hi")).await;
    let third = FakeBackend::always(&["third"], Answer::says("hi")).await;
    let node = TestNode::start(&(primary.entry("a", "") + &third.entry("b", "") + CHAIN)).await;
    primary.set_well(false);
    until_json(&node, "/health", "found unhealthy", |seen| seen["status"] == "degraded").await;
    assert_eq!(node.chat("primary").await.header("x-nexus-fallback-model"), Some("third"));
    assert_eq!(primary.calls(), 0);
}

#[tokio::test]
async fn a_stream_is_answered_by_a_fallback_too() {
    let events = "data: {}\n\ndata: [DONE]\n\n";
    let primary = FakeBackend::always(&["primary"], Answer::json(500, "{}")).await;
    let second = FakeBackend::always(&["second"], Answer::stream([events])).await;
    let node = TestNode::start(&(primary.entry("a", "") + &second.entry("b", "") + CHAIN)).await;
    let reply = node.client().completions(stream("primary")).whole().await;
    assert_eq!((reply.status, reply.text()), (200, events));
    assert_eq!(reply.header("x-nexus-fallback-model"), Some("second"));
}

#[tokio::test]
async fn no_fallback_is_named_where_none_was_needed() {
    let backend = FakeBackend::always(&["primary", "second"], Answer::says("hi")).await;
    let node = TestNode::start(&(backend.entry("a", "") + CHAIN)).await;
    let reply = node.chat("primary").await;
    assert_eq!((reply.status, reply.header("x-nexus-fallback-model")), (200, None));
    assert_eq!(reply.header("x-nexus-route-reason"), Some("capability-match"));
}

/// The chain belongs to the name that an alias leads to.
#[tokio::test]
async fn an_alias_leads_to_the_chain_of_what_it_stands_for() {
    let backend = FakeBackend::always(&["second"], Answer::says("hi")).await;
    let aliases = "[routing.aliases]\ngpt-4 = 'primary'\n";
    let node = TestNode::start(&(backend.entry("a", "") + CHAIN + aliases)).await;
    assert_eq!(node.chat("gpt-4").await.header("x-nexus-fallback-model"), Some("second"));
}

#[tokio::test]
async fn a_chain_of_which_nobody_has_a_member_is_404_for_what_was_asked() {
    let backend = FakeBackend::always(&["other"], Answer::says("hi")).await;
    let node = TestNode::start(&(backend.entry("a", "") + CHAIN)).await;
    let error = node.chat("primary").await.error(404, "model_not_found", "invalid_request_error");
    assert_eq!(error["message"], "Model 'primary' not found. Available: other");
}

#[tokio::test]
async fn a_clients_mistake_is_no_reason_to_fall_back() {
    let primary = FakeBackend::always(&["primary"], Answer::json(400, "{\"error\":{}}")).await;
    let second = FakeBackend::always(&["second"], Answer::says("hi")).await;
    let node = TestNode::start(&(primary.entry("a", "") + &second.entry("b", "") + CHAIN)).await;
    assert_eq!(node.chat("primary").await.status, 400);
    assert_eq!(second.calls(), 0);
}

#[tokio::test]
async fn a_policy_may_forbid_fallbacks() {
    let backend = FakeBackend::always(&["second"], Answer::says("hi")).await;
    let policy = "[[routing.policies]]\nmodel_pattern = 'primary'\nfallback_allowed = false\n";
    let node = TestNode::start(&(backend.entry("a", "") + CHAIN + policy)).await;
    node.chat("primary").await.error(404, "model_not_found", "invalid_request_error");
    assert_eq!(backend.calls(), 0);
}

/// A request once waited for the only backend of its model, and was told 503 in the end, while the fallback was idle.
#[tokio::test]
async fn a_model_whose_slots_are_all_taken_is_answered_by_its_fallback_at_once() {
    let gate = Gate::closed();
    let primary = FakeBackend::always(&["primary"], Answer::says("hi").after(&gate)).await;
    let second = FakeBackend::always(&["second"], Answer::says("hi")).await;
    let node = TestNode::start(&(primary.entry("a", "concurrency = 1") + &second.entry("b", "") + CHAIN)).await;
    let other = async {
        primary.called(1).await;
        let reply = node.chat("primary").await;
        gate.open();
        reply
    };
    let (first, other) = tokio::join!(node.chat("primary"), other);
    assert_eq!((first.status, first.header("x-nexus-fallback-model")), (200, None));
    assert_eq!((other.status, other.header("x-nexus-fallback-model")), (200, Some("second")));
    assert_eq!((other.header("x-nexus-queue-position"), primary.calls()), (None, 1));
}

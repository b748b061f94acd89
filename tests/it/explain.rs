//! What the router says it would do, and what it then does.

use crate::support::{Answer, FakeBackend, TestNode, chat};

#[tokio::test]
async fn the_plan_that_is_explained_is_the_one_that_is_made() {
    for strategy in ["smart", "round_robin", "priority_only", "random", "adaptive"] {
        let one = FakeBackend::always(&["m1"], Answer::says("one")).await;
        let two = FakeBackend::always(&["m1"], Answer::says("two")).await;
        let three = FakeBackend::always(&["m1"], Answer::says("three")).await;
        let entries = one.entry("one", "") + &two.entry("two", "") + &three.entry("three", "");
        let node = TestNode::start(&format!("[routing]\nstrategy = '{strategy}'\n{entries}")).await;
        for _ in 0..6 {
            let plan = node.client().post("/nexus/v1/explain", chat("m1")).whole().await.json();
            let again = node.client().post("/nexus/v1/explain", chat("m1")).whole().await.json();
            assert_eq!(plan["chosen"], again["chosen"], "asking changes nothing");
            let reply = node.chat("m1").await;
            assert_eq!(plan["chosen"]["backend"].as_str(), reply.header("x-nexus-backend"), "{strategy}: {plan}");
        }
    }
}

#[tokio::test]
async fn every_candidate_is_there_kept_or_rejected_and_nothing_is_sent() {
    let home = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let away = FakeBackend::always(&["m1", "m2"], Answer::says("hi")).await;
    let config = "[routing]\nstrategy = 'smart'\n[routing.aliases]\nfast = 'm1'\n\
                  [[routing.policies]]\nmodel_pattern = 'm*'\nprivacy = 'restricted'\n"
        .to_owned();
    let node =
        TestNode::start(&(config + &home.entry("home", "") + &away.entry("away", "zone = 'open'\ntier = 4"))).await;
    let plan = node.client().post("/nexus/v1/explain", chat("fast")).whole().await.json();
    assert_eq!((plan["model"].as_str(), plan["resolved"].as_str()), (Some("fast"), Some("m1")));
    assert_eq!((plan["zone"].as_str(), plan["strategy"].as_str()), (Some("restricted"), Some("smart")));
    let candidates = plan["candidates"].as_array().expect("candidates");
    assert_eq!(candidates.len(), 2, "{plan}");
    assert_eq!((candidates[0]["backend"].as_str(), candidates[0]["verdict"].as_str()), (Some("home"), Some("kept")));
    assert!(candidates[0]["terms"]["total"].is_u64() && candidates[0]["fact_age_ms"].is_null());
    assert_eq!(
        (candidates[1]["verdict"].as_str(), candidates[1]["rule"].as_str()),
        (Some("rejected"), Some("privacy"))
    );
    assert!(candidates[1]["suggested_action"].is_string());

    let plan = node.client().post("/nexus/v1/explain", chat("m2")).whole().await.json();
    assert_eq!((&plan["chosen"], &plan["refusal"]["status"]), (&serde_json::Value::Null, &503.into()));
    let plan = node.client().post("/nexus/v1/explain", chat("nope")).whole().await.json();
    assert_eq!(plan["refusal"]["code"], "model_not_found");
    assert_eq!(home.calls() + away.calls(), 0);
}

#[tokio::test]
async fn nonsense_is_refused_in_the_usual_shape() {
    let node = TestNode::start("").await;
    for body in ["", "{", "[]", r#"{"model":1}"#, r#"{"messages":[]}"#] {
        let reply = node.client().post("/nexus/v1/explain", body).whole().await;
        reply.error(400, "bad_request", "invalid_request_error");
    }
}

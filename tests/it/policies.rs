//! Zones and tiers: where a prompt may go, and how good an answer must be. Nothing that goes wrong loosens them.

use serde_json::{Value, json};

use crate::support::{Answer, FakeBackend, Gate, TestNode, chat, stream, until_json};

const POLICY: &str = "service_unavailable";
const SECRET: &str = "[[routing.policies]]\nmodel_pattern = 'secret-*'\nprivacy = 'restricted'\n";

/// With the restricted backend down, the prompt once went to the cloud by the fallback.
#[tokio::test]
async fn a_restricted_request_never_reaches_an_open_backend_by_fallback() {
    let inside = FakeBackend::always(&["secret-m"], Answer::json(500, "{}")).await;
    let outside = FakeBackend::always(&["gpt-4", "secret-m2"], Answer::says("leaked")).await;
    let config = inside.entry("inside", "")
        + &outside.entry("outside", "zone = 'open'")
        + SECRET
        + "[routing.fallbacks]\nsecret-m = ['gpt-4', 'secret-m2']\n";
    let node = TestNode::start(&config).await;
    for body in [chat("secret-m"), stream("secret-m")] {
        assert_eq!(node.client().completions(body).whole().await.status, 502);
    }
    inside.set_well(false);
    until_json(&node, "/health", "found unhealthy", |seen| seen["status"] == "degraded").await;
    let reply = node.chat("secret-m").await;
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert_eq!(outside.calls(), 0);
}

#[tokio::test]
async fn a_restricted_request_never_reaches_an_open_backend_by_retry_or_alias() {
    let inside = FakeBackend::always(&["secret-m"], Answer::hang_up()).await;
    let outside = FakeBackend::always(&["secret-m", "plain"], Answer::says("leaked")).await;
    let config = "[routing]\nmax_retries = 5\n[routing.aliases]\nsecret-alias = 'plain'\n".to_owned()
        + &inside.entry("inside", "")
        + &outside.entry("outside", "zone = 'OPEN'\npriority = 0")
        + SECRET;
    let node = TestNode::start(&config).await;
    node.chat("secret-m").await.error(502, "bad_gateway", "server_error");
    assert_eq!(node.chat("secret-alias").await.status, 503, "the policy of the name that was asked for holds");
    assert_eq!(outside.calls(), 0);
    assert_eq!(node.chat("plain").await.status, 200, "others may");
}

/// The reasons were once thrown away, so that nobody could act on a 503.
#[tokio::test]
async fn a_rejection_says_by_what_and_what_to_do() {
    let outside = FakeBackend::always(&["secret-m"], Answer::says("leaked")).await;
    let node = TestNode::start(&(outside.entry("outside", "zone = 'open'") + SECRET)).await;
    let reply = node.chat("secret-m").await;
    let error = reply.error(503, "service_unavailable", POLICY);
    let context = &error["context"];
    assert_eq!(context, &reply.json()["context"]);
    assert_eq!(context["privacy_zone_required"], "restricted");
    let reason = &context["rejection_reasons"][0];
    assert_eq!((reason["agent_id"].as_str(), reason["reconciler"].as_str()), (Some("outside"), Some("privacy")));
    assert!(reason["suggested_action"].as_str().is_some_and(|action| !action.is_empty()), "{reason}");
    assert_eq!(reply.header("x-nexus-rejection-reasons"), Some("1 agents rejected by privacy"));
    let details = reply.header("x-nexus-rejection-details").expect("details");
    assert_eq!(serde_json::from_str::<serde_json::Value>(details).expect("JSON"), context["rejection_reasons"]);
    assert!(!reply.text().contains("http://"), "{}", reply.text());
}

#[tokio::test]
async fn a_policy_that_removed_somebody_is_named_as_the_reason() {
    let inside = FakeBackend::always(&["secret-m"], Answer::says("hi")).await;
    let outside = FakeBackend::always(&["secret-m"], Answer::says("leaked")).await;
    let config =
        inside.entry("inside", "priority = 90") + &outside.entry("outside", "zone = 'public'\npriority = 1") + SECRET;
    let node = TestNode::start(&config).await;
    for _ in 0..5 {
        let reply = node.chat("secret-m").await;
        assert_eq!(reply.header("x-nexus-backend"), Some("inside"));
        assert_eq!(reply.header("x-nexus-route-reason"), Some("privacy-requirement"));
        assert_eq!(reply.header("x-nexus-privacy-zone"), Some("restricted"));
        assert_eq!(reply.header("x-nexus-rejection-reasons"), None);
    }
    assert_eq!(outside.calls(), 0);
}

/// The first policy that fits holds.
#[tokio::test]
async fn the_first_policy_in_the_file_wins() {
    let outside = FakeBackend::always(&["secret-public", "secret-m"], Answer::says("hi")).await;
    let first = "[[routing.policies]]\nmodel_pattern = 'secret-public'\n";
    let node = TestNode::start(&(first.to_owned() + &outside.entry("outside", "zone = 'open'") + SECRET)).await;
    assert_eq!(node.chat("secret-public").await.status, 200);
    assert_eq!(node.chat("secret-m").await.status, 503);
}

/// A model that runs in somebody's cloud is open wherever it is offered.
#[tokio::test]
async fn a_cloud_model_of_a_local_server_is_open() {
    let inside =
        FakeBackend::always(&["secret-m:cloud", "secret-m:7b-cloud", "secret-m", "m:cloud"], Answer::says("hi")).await;
    let node = TestNode::start(&(inside.entry("inside", "type = 'ollama'") + SECRET)).await;
    for model in ["secret-m:cloud", "secret-m:7b-cloud"] {
        node.chat(model).await.error(503, "service_unavailable", POLICY);
    }
    assert_eq!(inside.calls(), 0);
    assert_eq!(node.chat("secret-m").await.header("x-nexus-privacy-zone"), Some("restricted"));
    assert_eq!(node.chat("m:cloud").await.header("x-nexus-privacy-zone"), Some("open"));
}

const TIERED: &str = "[[routing.policies]]\nmodel_pattern = '*'\nmin_tier = 3\n";

/// A lower tier serves only whom asked for it, and never unsaid.
#[tokio::test]
async fn a_lower_tier_serves_only_those_who_allow_it_and_says_so() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = TestNode::start(&(backend.entry("low", "") + TIERED)).await;
    let ask = || node.client().completions(chat("m1"));
    for strict in [
        ask(),
        ask().header("x-nexus-strict", "true"),
        ask().header("x-nexus-strict", "true").header("x-nexus-flexible", "true"),
        ask().header("x-nexus-flexible", "false"),
    ] {
        let reply = strict.whole().await;
        let error = reply.error(503, "service_unavailable", POLICY);
        assert_eq!(error["context"]["required_tier"], 3);
        assert_eq!(error["context"]["rejection_reasons"][0]["reconciler"], "tier");
        assert_eq!(reply.header("x-nexus-rejection-reasons"), Some("1 agents rejected by tier"));
    }
    assert_eq!(backend.calls(), 0);
    let reply = ask().header("x-nexus-flexible", "true").whole().await;
    assert_eq!((reply.status, reply.header("x-nexus-tier-downgraded")), (200, Some("3->1")));
}

#[tokio::test]
async fn a_flexible_request_takes_the_tier_it_can_get_and_the_best_of_those_below() {
    let low = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let high = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let config = low.entry("low", "priority = 1\ntier = 2") + &high.entry("high", "priority = 90\ntier = 4") + TIERED;
    let node = TestNode::start(&config).await;
    let flexible = || node.client().completions(chat("m1")).header("x-nexus-flexible", "true").whole();
    let reply = flexible().await;
    assert_eq!((reply.header("x-nexus-backend"), reply.header("x-nexus-tier-downgraded")), (Some("high"), None));
    high.set_well(false);
    until_json(&node, "/health", "found unhealthy", |seen| seen["status"] == "degraded").await;
    assert_eq!(flexible().await.header("x-nexus-tier-downgraded"), Some("3->2"));
    assert_eq!(node.chat("m1").await.status, 503);
}

/// CP: no policies, no change.
#[tokio::test]
async fn without_policies_every_backend_may_serve() {
    let outside = FakeBackend::always(&["secret-m"], Answer::says("hi")).await;
    let node = TestNode::start(&outside.entry("outside", "zone = 'open'\ntier = 1")).await;
    let reply = node.chat("secret-m").await;
    assert_eq!((reply.status, reply.header("x-nexus-privacy-zone")), (200, Some("open")));
    assert_eq!(reply.header("x-nexus-route-reason"), Some("capability-match"));
}

/// What waits for a slot gets one of what it was planned for, or none: not of what came under that name meanwhile.
#[tokio::test]
async fn a_restricted_request_in_line_never_gets_a_slot_of_an_open_backend() {
    let gate = Gate::closed();
    let inside = FakeBackend::always(&["secret-m"], Answer::says("hi").after(&gate)).await;
    let outside = FakeBackend::always(&["secret-m"], Answer::says("leaked")).await;
    let config = inside.entry("inside", "concurrency = 1") + &outside.entry("outside", "zone = 'open'") + SECRET;
    let node = TestNode::start(&config).await;
    let waiting = |seen: &Value| {
        let all = seen["backends"].as_array().into_iter().flatten();
        all.filter_map(|backend| backend["queued_requests"].as_u64()).max() == Some(1)
    };
    let change = async {
        inside.called(1).await;
        let swap = async {
            until_json(&node, "/nexus/v1/backends", "one waits", waiting).await;
            assert_eq!(node.client().delete("/nexus/v1/backends/inside").whole().await.status, 200);
            let body = json!({
                "url": format!("http://{}", outside.address), "name": "inside", "type": "generic", "zone": "open",
            });
            node.client().post("/nexus/v1/backends", body.to_string()).whole().await;
            gate.open();
        };
        tokio::join!(node.chat("secret-m"), swap).0
    };
    let (first, second) = tokio::join!(node.chat("secret-m"), change);
    assert_eq!((first.status, second.status), (200, 503), "{}", second.text());
    assert_eq!(second.json()["context"]["privacy_zone_required"], "restricted");
    assert_eq!(outside.calls(), 0);
}

/// A retry goes to the backend that was planned for, or nowhere: not to what came under its name meanwhile.
#[tokio::test]
async fn a_restricted_request_is_not_retried_on_an_open_backend_that_took_the_name_of_another() {
    let gate = Gate::closed();
    let first = FakeBackend::always(&["secret-m"], Answer::json(500, "{}").after(&gate)).await;
    let second = FakeBackend::always(&["secret-m"], Answer::says("hi")).await;
    let outside = FakeBackend::always(&["secret-m"], Answer::says("leaked")).await;
    let order = "[routing]\nstrategy = 'priority_only'\nmax_retries = 1\n".to_owned();
    let both = first.entry("first", "priority = 1") + &second.entry("second", "priority = 9");
    let node = TestNode::start(&(order + &both + SECRET)).await;
    let swap = async {
        first.called(1).await;
        assert_eq!(node.client().delete("/nexus/v1/backends/second").whole().await.status, 200);
        let body = json!({
            "url": format!("http://{}", outside.address), "name": "second", "type": "generic", "zone": "open",
        });
        let added = node.client().post("/nexus/v1/backends", body.to_string()).whole().await;
        assert_eq!(added.status, 201, "{}", added.text());
        until_json(&node, "/nexus/v1/backends", "both are well", |seen| {
            seen["backends"].as_array().is_some_and(|all| all.iter().all(|backend| backend["status"] == "healthy"))
        })
        .await;
        gate.open();
    };
    let (reply, ()) = tokio::join!(node.chat("secret-m"), swap);
    assert_eq!(outside.calls(), 0, "{} {}", reply.status, reply.text());
    assert_eq!(reply.status, 502);
}

/// A fallback that is configured by another name is under the policy of that name, too.
#[tokio::test]
async fn the_policy_of_every_name_on_the_way_to_a_fallback_holds() {
    let broken = FakeBackend::always(&["m1"], Answer::json(500, "{}")).await;
    let outside = FakeBackend::always(&["plain"], Answer::says("leaked")).await;
    let config = broken.entry("inside", "")
        + &outside.entry("outside", "zone = 'open'")
        + SECRET
        + "[routing.fallbacks]\nm1 = ['secret-way']\n[routing.aliases]\nsecret-way = 'plain'\n";
    let node = TestNode::start(&config).await;
    assert_eq!(node.chat("m1").await.status, 502);
    assert_eq!(outside.calls(), 0);
    assert_eq!(node.chat("plain").await.status, 200);
}

/// Ollama passes prompts for a copy of a cloud model on as well, whatever the copy is called.
#[tokio::test]
async fn a_copy_of_a_cloud_model_is_open() {
    let inside = FakeBackend::always(&[], Answer::says("leaked")).await;
    let tags = json!({"models": [
        {"name": "secret-copy:latest", "digest": "d1", "remote_model": "big", "remote_host": "https://ollama.com:443"},
        {"name": "secret-own:latest", "digest": "d2"},
    ]});
    inside.says("/api/tags", Answer::json(200, tags.to_string()));
    inside.says("/api/show", Answer::json(200, "{}"));
    let node = TestNode::start(&(inside.entry("inside", "type = 'ollama'") + SECRET)).await;
    until_json(&node, "/v1/models", "both are there", |seen| seen["data"].as_array().is_some_and(|all| all.len() == 2))
        .await;
    node.chat("secret-copy:latest").await.error(503, "service_unavailable", POLICY);
    assert_eq!(inside.calls(), 0);
    assert_eq!(node.chat("secret-own:latest").await.header("x-nexus-privacy-zone"), Some("restricted"));
}

/// A 503 answers "who would do, and what is wrong with it", in every dialect.
#[tokio::test]
async fn a_rejection_names_those_that_would_satisfy_it() {
    let good = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let low = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = TestNode::start(&(good.entry("good", "tier = 4") + &low.entry("low", "tier = 2") + TIERED)).await;
    good.set_well(false);
    until_json(&node, "/health", "found unhealthy", |seen| seen["status"] == "degraded").await;
    let reply = node.chat("m1").await;
    let error = reply.error(503, "service_unavailable", POLICY);
    let context = &error["context"];
    let here = reply.header("x-nexus-peer").expect("a name");
    let expected = json!([{
        "agent_id": "good", "peer": here, "model": "m1", "tier": 4, "zone": "restricted",
        "reason": "The backend is unhealthy",
    }]);
    assert_eq!(context["would_satisfy"], expected, "{context}");
    let reasons = context["rejection_reasons"].as_array().expect("reasons");
    let of = |name: &str| reasons.iter().find(|reason| reason["agent_id"] == name).expect("a reason");
    assert_eq!((&of("low")["reconciler"], &of("good")["reconciler"]), (&json!("tier"), &json!("scheduler")));
    assert!(of("low")["suggested_action"].as_str().is_some_and(|action| action.contains("served by tier 2")));
    for (path, body) in [
        ("/v1/messages", r#"{"model":"m1","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#),
        ("/v1/responses", r#"{"model":"m1","input":"hi"}"#),
        ("/api/chat", r#"{"model":"m1","messages":[]}"#),
        ("/v1beta/models/m1:generateContent", r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#),
    ] {
        let reply = node.client().post(path, body).whole().await;
        assert_eq!(reply.status, 503, "{path}: {}", reply.text());
        assert!(reply.text().contains("would_satisfy") && reply.text().contains("served by tier 2"), "{path}");
        assert!(reply.header("x-nexus-rejection-details").is_some_and(|details| details.contains("low")), "{path}");
    }
}

/// Where a reply is well, nothing is said of rejections; a stream says the same as a whole answer.
#[tokio::test]
async fn a_stream_is_told_of_a_lower_tier_and_of_privacy_like_a_whole_answer() {
    let low = FakeBackend::always(&["m1", "secret-m"], Answer::stream(["data: {}\n\n", "data: [DONE]\n\n"])).await;
    let open = FakeBackend::always(&["secret-m"], Answer::says("leaked")).await;
    let tiered = TIERED.replace("'*'", "'m*'");
    let config = low.entry("low", "tier = 2") + &open.entry("open", "zone = 'open'\npriority = 1") + &tiered + SECRET;
    let node = TestNode::start(&config).await;
    let reply = node.client().completions(stream("m1")).header("x-nexus-flexible", "true").whole().await;
    assert_eq!((reply.status, reply.header("x-nexus-tier-downgraded")), (200, Some("3->2")));
    let refused = node.client().completions(stream("m1")).whole().await;
    refused.error(503, "service_unavailable", POLICY);
    let private = node.client().completions(stream("secret-m")).whole().await;
    assert_eq!((private.status, private.header("x-nexus-route-reason")), (200, Some("privacy-requirement")));
    for reply in [&reply, &private] {
        assert_eq!(reply.header("x-nexus-rejection-reasons").or(reply.header("x-nexus-rejection-details")), None);
    }
    assert_eq!(open.calls(), 0);
}

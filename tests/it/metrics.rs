//! What a node counts, as Prometheus and dashboards read it.

use serde_json::{Value, json};

use crate::mesh;
use crate::support::{Answer, FakeBackend, Gate, Plan, TestNode, Whole, chat, stream, until};

/// A chat answer that says what it used.
fn used(prompt: u64, completion: u64) -> Answer {
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"});
    let usage = json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion});
    let body = json!({"id": "c1", "object": "chat.completion", "choices": [choice], "usage": usage});
    Answer::json(200, body.to_string())
}

/// The value of a sample, as its name and labels stand in the text.
fn sample(metrics: &Whole, name: &str) -> Option<f64> {
    let line = metrics.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map(|value| value.parse().expect("a number"))
}

#[track_caller]
fn holds(metrics: &Whole, samples: &[(&str, f64)]) {
    for (name, value) in samples {
        let seen = sample(metrics, name);
        let is_it = seen.is_some_and(|seen| (seen - value).abs() < 1e-9);
        assert!(is_it, "{name} is {seen:?} and not {value}:\n{}", metrics.text());
    }
}

async fn metrics(node: &TestNode) -> Whole {
    node.get("/metrics").await
}

async fn stats(node: &TestNode) -> Value {
    node.get("/v1/stats").await.json()
}

/// Waits until so many requests have been counted: they are when their connection is through with them.
async fn counted(node: &TestNode, total: u64) -> Value {
    crate::support::until_json(node, "/v1/stats", "all are counted", |seen| seen["requests"]["total"] == total).await;
    stats(node).await
}

/// Dashboards are made before anything has happened.
#[tokio::test]
async fn a_fresh_node_describes_everything_and_promises_nothing() {
    let node = TestNode::start("").await;
    let reply = metrics(&node).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for (name, kind) in [
        ("nexus_backends_total", "gauge"),
        ("nexus_backends_healthy", "gauge"),
        ("nexus_models_available", "gauge"),
        ("nexus_requests_total", "counter"),
        ("nexus_request_duration_seconds", "histogram"),
        ("nexus_tokens_total", "histogram"),
        ("nexus_cost_per_request_usd", "histogram"),
        ("nexus_rate_limited_total", "counter"),
        ("nexus_key_requests_total", "counter"),
        ("nexus_key_tokens_total", "counter"),
    ] {
        assert!(reply.text().contains(&format!("# HELP {name} ")), "{name}");
        assert!(reply.text().contains(&format!("# TYPE {name} {kind}\n")), "{name}");
    }
    let stats = stats(&node).await;
    assert_eq!(stats["requests"], json!({"total": 0, "success": 0, "errors": 0}));
    assert_eq!((&stats["backends"], &stats["models"], &stats["keys"]), (&json!([]), &json!([]), &json!([])));
    assert!(stats.get("budget").is_none(), "there is no limit: {stats}");
    let queue = json!({"enabled": true, "depth": 0, "max_size": 100, "enqueued_total": 0, "dequeued_total": 0,
                       "timeouts_total": 0});
    assert_eq!(stats["queue"], queue);
}

/// Streams and failures were once not counted at all.
#[tokio::test]
async fn streams_failures_and_clients_that_leave_are_counted_once_each() {
    let backend = FakeBackend::script(&["m/1:x"], |request| match request.number {
        0 => used(100, 20),
        1 => Answer::stream(["data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\n"])
            .then("data: [DONE]\n\n"),
        2 => Answer::json(400, r#"{"error":{"message":"no"}}"#),
        _ => Answer::stream(["data: 1\n\n"]).then_hang(),
    })
    .await;
    let node = TestNode::start(&(backend.entry("a", "") + "[routing]\nmax_retries = 0\n")).await;
    node.chat("m/1:x").await;
    node.client().completions(stream("m/1:x")).whole().await;
    assert_eq!(node.chat("m/1:x").await.status, 400);
    let mut leaving = node.client().stream("m/1:x").await;
    leaving.read_to("data: 1").await;
    drop(leaving);
    assert_eq!(node.chat("made-up").await.status, 404);
    node.client().completions("{").whole().await;

    let stats = counted(&node, 6).await;
    assert_eq!(stats["requests"], json!({"total": 6, "success": 2, "errors": 4}));
    let of_backend = &stats["backends"][0];
    assert_eq!(
        (&of_backend["id"], &of_backend["name"], &of_backend["requests"]),
        (&json!("a"), &json!("a"), &json!(4))
    );
    // What the client asked wrongly, and that it left, say nothing of the backend.
    assert_eq!((&of_backend["error_rate_1h"], &of_backend["success_rate_24h"]), (&json!(0.0), &json!(1.0)));
    assert_eq!(of_backend["pending"], 0);
    assert!(of_backend["average_latency_ms"].is_number() && of_backend["avg_ttft_ms"].is_u64(), "{of_backend}");
    assert_eq!((&stats["models"][0]["name"], &stats["models"][0]["requests"]), (&json!("m/1:x"), &json!(4)));

    let seen = metrics(&node).await;
    holds(
        &seen,
        &[
            (r#"nexus_requests_total{backend="a",model="m/1:x",status="success"}"#, 2.0),
            (r#"nexus_requests_total{backend="a",model="m/1:x",status="error"}"#, 2.0),
            (r#"nexus_requests_total{backend="none",model="none",status="error"}"#, 2.0),
            (r#"nexus_request_duration_seconds_count{backend="a",model="m/1:x"}"#, 4.0),
            (r#"nexus_request_duration_seconds_bucket{backend="a",model="m/1:x",le="+Inf"}"#, 4.0),
            (r#"nexus_tokens_total_sum{backend="a",model="m/1:x",type="prompt"}"#, 107.0),
            (r#"nexus_tokens_total_sum{backend="a",model="m/1:x",type="completion"}"#, 23.0),
            ("nexus_backends_total", 1.0),
            ("nexus_backends_healthy", 1.0),
            ("nexus_models_available", 1.0),
        ],
    );
    for end in ["1", "5", "300"] {
        let bucket = format!(r#"nexus_request_duration_seconds_bucket{{backend="a",model="m/1:x",le="{end}"}}"#);
        assert!(sample(&seen, &bucket).is_some(), "{bucket}");
    }
    assert!(!seen.text().contains("made-up"), "what clients make up is no label");
}

/// Whoever is asked counts the request; whoever has the backend, what it did and what it cost.
#[tokio::test]
async fn a_forwarded_request_is_counted_once_and_at_its_entry() {
    let backend = FakeBackend::always(&["m1"], used(10, 5)).await;
    let (near, far) = mesh::pair("", &backend.entry("gpu", ""), "m1").await;
    assert_eq!(near.chat("m1").await.header("x-nexus-hops"), Some("1"));
    let (at_near, at_far) = (counted(&near, 1).await, stats(&far).await);
    assert_eq!(at_far["requests"]["total"], 0);
    assert_eq!((&at_far["backends"][0]["requests"], &at_near["backends"]), (&json!(1), &json!([])));
    assert_eq!((&at_near["models"][0]["name"], &at_far["models"]), (&json!("m1"), &json!([])));
    let counted = r#"nexus_requests_total{backend="gpu",model="m1",status="success"}"#;
    assert_eq!((sample(&metrics(&near).await, counted), sample(&metrics(&far).await, counted)), (Some(1.0), None));
}

const CLOUD: &str = "[prices]\n'gpt-x' = { input = 10.0, output = 20.0 }\n\
                     [budget]\nmonthly_limit_usd = 0.05\nhard_limit_action = 'block_cloud'\n";

/// A chat that costs 2 cents: 1000 tokens at 10 USD the million, and 500 at 20.
fn dear(node: &TestNode, key: &str) -> crate::support::Call {
    let body = chat("gpt-x").replacen('{', r#"{"max_tokens":500,"#, 1);
    node.client().completions(body).header("authorization", &format!("Bearer {key}"))
}

#[tokio::test]
async fn money_is_told_as_soon_as_it_is_spent_and_by_whose_key() {
    let backend = FakeBackend::always(&["gpt-x"], used(1000, 500)).await;
    let config = format!("{CLOUD}{}", backend.entry("cloud", "type = 'openai'\napi_key_env = 'CLOUD_KEY'"));
    let node = Plan::new(&config).variable("CLOUD_KEY", "sk-1").start().await;
    let month = node.get("/nexus/v1/budget").await.json()["month"].as_str().expect("a month").to_owned();
    let add = |name, limit: Value| {
        let wish = json!({"name": name, "monthly_limit_usd": limit}).to_string();
        node.client().post("/nexus/v1/keys", wish).whole()
    };
    let made = add("lap top", json!(1.0)).await.json();
    let key = made["key"].as_str().expect("the key").to_owned();
    assert_eq!(add("idle", Value::Null).await.status, 201);
    let by_month = |name: &str| format!(r#"{name}{{billing_month="{month}"}}"#);
    let spending = by_month("nexus_budget_spending_usd");
    let (status, percent) = (by_month("nexus_budget_status"), by_month("nexus_budget_utilization_percent"));
    let of_key = format!(r#"nexus_key_spending_usd{{billing_month="{month}",key="lap top"}}"#);
    let event = |event: &str| format!(r#"nexus_budget_events_total{{event_type="{event}"}}"#);
    let (soft, hard) = (event("soft_limit_reached"), event("hard_limit_reached"));

    holds(&metrics(&node).await, &[(&spending, 0.0), (&status, 0.0), ("nexus_budget_limit_usd", 0.05), (&soft, 0.0)]);
    for (spent, used, level, times) in [(0.02, 40.0, 0.0, 0.0), (0.04, 80.0, 1.0, 1.0)] {
        assert_eq!(dear(&node, &key).whole().await.status, 200);
        until("it is settled", || node.in_flight() == 0).await;
        let seen = metrics(&node).await;
        holds(&seen, &[(&spending, spent), (&percent, used), (&status, level), (&soft, times), (&hard, 0.0)]);
        holds(&seen, &[(&of_key, spent), ("nexus_budget_reserved_usd", 0.0)]);
    }
    // What is left would not pay for the most that a third may cost.
    dear(&node, &key).whole().await.error(503, "service_unavailable", "service_unavailable");
    let stats = counted(&node, 3).await;
    let seen = metrics(&node).await;
    holds(
        &seen,
        &[
            (&spending, 0.04),
            (&status, 1.0),
            (&hard, 0.0),
            (r#"nexus_cost_per_request_usd_count{backend_type="openai",model="gpt-x"}"#, 2.0),
            (r#"nexus_cost_per_request_usd_sum{backend_type="openai",model="gpt-x"}"#, 0.04),
            (r#"nexus_key_requests_total{key="lap top"}"#, 3.0),
            (r#"nexus_key_tokens_total{key="lap top",type="prompt"}"#, 2000.0),
            (r#"nexus_key_tokens_total{key="lap top",type="completion"}"#, 1000.0),
        ],
    );
    assert!(seen.text().contains("nexus_budget_rights_usd{peer="), "{}", seen.text());
    let (budget, keys) = (&stats["budget"], &stats["keys"]);
    assert_eq!((&budget["current_spending_usd"], &budget["monthly_limit_usd"]), (&json!(0.04), &json!(0.05)));
    assert_eq!((&budget["status"], &budget["billing_month"]), (&json!("SoftLimit"), &json!(month)));
    assert_eq!((&budget["soft_limit_threshold"], &budget["hard_limit_action"]), (&json!(75.0), &json!("BlockCloud")));
    assert!(budget["next_reset_date"].as_str().is_some_and(|date| date.ends_with("-01")), "{budget}");
    let idle = json!({"name": "idle", "requests": 0, "tokens": 0, "spent_usd": null, "limit_usd": null});
    let laptop = json!({"name": "lap top", "requests": 3, "tokens": 3000, "spent_usd": 0.04, "limit_usd": 1.0});
    assert_eq!(keys, &json!([idle, laptop]));
    assert!(!seen.text().contains(&key) && !stats.to_string().contains(&key), "no key is told");
}

/// What a stream cost is known from its end only: the budget takes all that was set aside for one that breaks off.
#[tokio::test]
async fn a_paid_stream_that_breaks_off_has_no_known_cost() {
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":500}}\n\n";
    let backend = FakeBackend::script(&["gpt-x"], move |request| match request.number {
        0 => Answer::stream([usage]).then("data: [DONE]\n\n"),
        _ => Answer::stream([usage]).then_cut(),
    })
    .await;
    let config = CLOUD.replace("0.05", "5.0") + &backend.entry("cloud", "type = 'openai'\napi_key_env = 'CLOUD_KEY'");
    let node = Plan::new(&config).variable("CLOUD_KEY", "sk-1").start().await;
    let body = stream("gpt-x").replacen('{', r#"{"max_tokens":900,"#, 1);
    let ask = || node.client().completions(body.clone()).whole();
    assert!(ask().await.text().ends_with("data: [DONE]\n\n"));
    assert!(ask().await.text().contains("error"));
    counted(&node, 2).await;
    let seen = metrics(&node).await;
    holds(&seen, &[(r#"nexus_cost_per_request_usd_sum{backend_type="openai",model="gpt-x"}"#, 0.02)]);
    let spent =
        seen.text().lines().find_map(|line| line.strip_prefix("nexus_budget_spending_usd")?.split(' ').next_back());
    assert!(spent.and_then(|spent| spent.parse::<f64>().ok()).is_some_and(|spent| spent > 0.045), "{spent:?}");
}

/// Whose limit in a minute turned requests away.
#[tokio::test]
async fn requests_that_a_limit_turns_away_are_counted_by_key() {
    let backend = FakeBackend::always(&["m1"], used(1, 1)).await;
    let node = TestNode::start(&(CLOUD.to_owned() + &backend.entry("a", ""))).await;
    let wish = json!({"name": "ci", "requests_per_minute": 1}).to_string();
    let made = node.client().post("/nexus/v1/keys", wish).whole().await.json();
    let authorization = format!("Bearer {}", made["key"].as_str().expect("the key"));
    let ask = || node.client().completions(chat("m1")).header("authorization", &authorization).whole();
    assert_eq!((ask().await.status, ask().await.status, ask().await.status), (200, 429, 429));
    counted(&node, 3).await;
    let limited = (r#"nexus_rate_limited_total{name="ci",scope="key"}"#, 2.0);
    holds(&metrics(&node).await, &[limited, (r#"nexus_key_requests_total{key="ci"}"#, 3.0)]);
}

/// While a call is under way the most that it may cost is set aside, and the queue tells who waits.
#[tokio::test]
async fn what_is_set_aside_and_who_waits_is_told_meanwhile() {
    let gate = Gate::closed();
    let backend = FakeBackend::always(&["gpt-x"], used(1000, 500).after(&gate)).await;
    let more = "type = 'openai'\napi_key_env = 'CLOUD_KEY'\nconcurrency = 1";
    let config = CLOUD.replace("0.05", "5.0") + &backend.entry("cloud", more);
    let node = Plan::new(&config).variable("CLOUD_KEY", "sk-1").start().await;
    let looks = async {
        backend.called(1).await;
        let reserved = sample(&metrics(&node).await, "nexus_budget_reserved_usd");
        assert!(reserved.is_some_and(|usd| usd > 0.02), "{reserved:?}");
        crate::support::until_json(&node, "/v1/stats", "one waits", |seen| seen["queue"]["depth"] == 1).await;
        assert_eq!(stats(&node).await["backends"][0]["pending"], 1);
        gate.open();
    };
    let (first, second, ()) = tokio::join!(dear(&node, "").whole(), dear(&node, "").whole(), looks);
    assert_eq!((first.status, second.status), (200, 200));
    let queue = &counted(&node, 2).await["queue"];
    assert_eq!((&queue["enqueued_total"], &queue["dequeued_total"]), (&json!(1), &json!(1)));
    assert_eq!((&queue["depth"], &queue["timeouts_total"]), (&json!(0), &json!(0)));
    holds(&metrics(&node).await, &[("nexus_budget_reserved_usd", 0.0)]);
}

#[tokio::test]
async fn what_goes_wrong_and_who_answers_instead_is_counted_by_kind() {
    let broken = FakeBackend::always(&["m1"], Answer::json(500, "{}")).await;
    let good = FakeBackend::always(&["m2"], used(1, 1)).await;
    let config =
        "[routing]\nmax_retries = 0\n[routing.aliases]\nhard = 'm2'\n[routing.fallbacks]\nm1 = ['m2']\nm3 = ['m4']\n\
                  [[routing.policies]]\nmodel_pattern = 'hard'\nmin_tier = 5\n"
            .to_owned();
    let node = TestNode::start(&(config + &broken.entry("broken", "") + &good.entry("good", "tier = 1"))).await;
    for (model, status) in [("m1", 200), ("hard", 503), ("m3", 404), ("made-up", 404)] {
        assert_eq!(node.chat(model).await.status, status, "{model}");
    }
    node.client().completions("{").whole().await;
    counted(&node, 5).await;
    holds(
        &metrics(&node).await,
        &[
            (r#"nexus_fallbacks_total{from_model="m1",to_model="m2"}"#, 1.0),
            (r#"nexus_errors_total{error_type="routing_rejected",model="none"}"#, 1.0),
            (r#"nexus_errors_total{error_type="fallback_exhausted",model="none"}"#, 1.0),
            (r#"nexus_errors_total{error_type="model_not_found",model="none"}"#, 1.0),
            (r#"nexus_errors_total{error_type="bad_request",model="none"}"#, 1.0),
            (r#"nexus_reconciler_exclusions_total{reconciler="tier"}"#, 1.0),
            (r#"nexus_reconciler_exclusions_total{reconciler="privacy"}"#, 0.0),
            (r#"nexus_pipeline_duration_seconds_count"#, 4.0),
            (r#"nexus_reconciler_duration_seconds_count{reconciler="scheduler"}"#, 1.0),
        ],
    );
}

/// What another backend made good counted as if it had never been; what the client did counted against its backend.
#[tokio::test]
async fn a_backend_is_judged_by_every_time_it_was_asked_and_by_that_alone() {
    let bad = FakeBackend::script(&["m"], |request| match request.number {
        0 | 1 => Answer::json(500, "{}"),
        2 => Answer::json(400, r#"{"error": {"message": "too long"}}"#),
        _ => used(10, 2),
    })
    .await;
    let good = FakeBackend::always(&["m"], used(10, 2)).await;
    let order = "[routing]\nstrategy = 'priority_only'\nmax_retries = 1\n";
    let entries = bad.entry("bad", "priority = 1") + &good.entry("good", "priority = 9");
    let node = TestNode::start(&format!("{order}{entries}")).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(node.chat("m").await.status);
    }
    assert_eq!(statuses, [200, 200, 400, 200], "{} {}", bad.calls(), good.calls());
    let stats = counted(&node, 4).await;
    assert_eq!(stats["requests"], json!({"total": 4, "success": 3, "errors": 1}));
    let seen = metrics(&node).await;
    holds(
        &seen,
        &[
            (r#"nexus_agent_error_rate{agent_id="bad"}"#, 2.0 / 3.0),
            (r#"nexus_agent_error_rate{agent_id="good"}"#, 0.0),
            (r#"nexus_agent_request_count_1h{agent_id="bad"}"#, 4.0),
            (r#"nexus_agent_request_count_1h{agent_id="good"}"#, 2.0),
        ],
    );
}

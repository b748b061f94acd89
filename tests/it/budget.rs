//! Money: set aside before a vendor is asked, settled after, and never more than the limit, whoever is asked.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::mesh;
use crate::support::{Answer, FakeBackend, Plan, TestNode, chat, until_json};

const KEY: &str = "sk-vendor-1b2c3d4e";
const BUDGET: &str = "/nexus/v1/budget";

/// Every answer costs 0.0105 USD: 1000 tokens at 3 USD and 500 at 15 USD the million.
const COST: f64 = 0.0105;

fn claude() -> Answer {
    let usage = json!({"input_tokens": 1000, "output_tokens": 500});
    let content = json!([{"type": "text", "text": "hi"}]);
    let body = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": content,
        "stop_reason": "end_turn", "stop_sequence": null, "usage": usage,
    });
    Answer::json(200, body.to_string())
}

async fn vendor() -> FakeBackend {
    let backend = FakeBackend::always(&[], claude()).await;
    let models = json!({"data": [{"id": "claude-x"}]}).to_string();
    backend.says("/v1/models?limit=1000", Answer::json(200, models));
    backend
}

fn cloud(backend: &FakeBackend, name: &str) -> String {
    backend.entry(name, "type = 'anthropic'\napi_key_env = 'CLOUD_KEY'")
}

fn budget(limit: f64, action: &str) -> String {
    format!(
        "[budget]\nmonthly_limit_usd = {limit}\nhard_limit_action = '{action}'\n\
         [prices]\n'claude-x' = {{ input = 3.0, output = 15.0 }}\n"
    )
}

fn data() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn at(directory: &TempDir) -> String {
    format!("data_dir = '{}'\n", directory.path().display())
}

/// At most 500 tokens are asked for, so that a call is worth little more than it costs.
fn ask(model: &str) -> String {
    json!({"model": model, "max_tokens": 500, "messages": [{"role": "user", "content": "hello"}]}).to_string()
}

async fn spent(node: &TestNode) -> f64 {
    node.get(BUDGET).await.json()["spent_usd"].as_f64().expect("an amount")
}

#[tokio::test]
async fn a_budget_blocks_the_cloud_alone_says_why_and_outlives_a_restart() {
    let (vendor, local, directory) = (vendor().await, FakeBackend::always(&["m1"], Answer::says("hi")).await, data());
    let config = |limit| {
        let (cloud, local) = (cloud(&vendor, "claude"), local.entry("here", ""));
        format!("{}mesh.enabled = false\n{}{cloud}{local}", at(&directory), budget(limit, "block_cloud"))
    };
    let mut node = Plan::new(&config(0.05)).variable("CLOUD_KEY", KEY).start().await;
    let mut answered: u32 = 0;
    let refused = loop {
        let reply = node.client().completions(ask("claude-x")).whole().await;
        if reply.status != 200 {
            break reply;
        }
        answered += 1;
        let is_over = COST * f64::from(answered) >= 0.0375;
        assert_eq!(reply.header("x-nexus-budget-status"), is_over.then_some("SoftLimit"), "after {answered}");
        assert!(answered < 10, "the limit holds");
    };
    assert_eq!(answered as usize, vendor.calls());
    // The prompt may have been so many tokens as the body has bytes and more: a call may cost up to about 0.0115 USD.
    assert_eq!(answered, 4, "what a call may cost is set aside, what it did cost counts");
    let error = refused.error(503, "service_unavailable", "service_unavailable");
    let reason = &error["context"]["rejection_reasons"][0];
    assert_eq!((&reason["agent_id"], &reason["reconciler"]), (&json!("claude"), &json!("budget")), "{error}");
    assert!(reason["suggested_action"].as_str().is_some_and(|action| action.contains("monthly_limit_usd")), "{error}");
    assert_eq!(refused.header("x-nexus-rejection-reasons"), Some("1 agents rejected by budget"));
    assert_eq!(node.client().completions(chat("m1")).whole().await.status, 200, "what costs nothing is served");
    assert!((spent(&node).await - 4.0 * COST).abs() < 1e-9);
    node.stop(Duration::from_secs(5)).await;

    let node = Plan::new(&config(0.05)).variable("CLOUD_KEY", KEY).start().await;
    assert!((spent(&node).await - 4.0 * COST).abs() < 1e-9, "it outlives a restart");
    assert_eq!(node.client().completions(ask("claude-x")).whole().await.status, 503);
    assert_eq!(vendor.calls(), 4);
}

#[tokio::test]
async fn a_mesh_spends_its_limit_from_any_peer_and_no_more() {
    let (one, two) = (vendor().await, vendor().await);
    let (at_a, at_b) = (data(), data());
    let config = |directory: &TempDir, backend: &FakeBackend, name: &str| {
        format!("{}{}{}", at(directory), budget(0.2, "block_cloud"), cloud(backend, name))
    };
    let key = |plan: Plan| plan.variable("CLOUD_KEY", KEY);
    let a = key(mesh::peer("a", mesh::KEY, &[], &config(&at_a, &one, "one"))).start().await;
    let b = key(mesh::peer("b", mesh::KEY, &[&a], &config(&at_b, &two, "two"))).start().await;
    let founded = a.client().post("/nexus/v1/budget/found", "{}").whole().await;
    assert_eq!(founded.json()["founded"], true);
    until_json(&b, BUDGET, "b goes by the budget", |seen| seen["founded_by"] == "a").await;
    // Each asks its own vendor alone.
    let ask_at = async |node: &TestNode| {
        let call = node.client().completions(ask("claude-x"));
        call.whole().await.status
    };
    let (mut refused, mut turn) = (0, 0);
    while refused < 4 && turn < 60 {
        let status = if turn % 3 == 0 { ask_at(&a).await } else { ask_at(&b).await };
        assert!(status == 200 || status == 503, "{status}");
        refused += u32::from(status == 503);
        turn += 1;
    }
    let billed = COST * f64::from(u32::try_from(one.calls() + two.calls()).expect("few"));
    assert!((0.95 * 0.2 - 2.0 * 0.0115..=0.2).contains(&billed), "{billed}");
    for node in [&a, &b] {
        until_json(node, BUDGET, "both show the same", |seen| {
            let spent = seen["spent_usd"].as_f64().unwrap_or_default();
            let rights: f64 = holders(seen).iter().filter_map(|holder| holder["rights_usd"].as_f64()).sum();
            (spent - billed).abs() < 1e-9 && (rights - 0.2).abs() < 1e-6 && seen["reserved_usd"] == 0.0
        })
        .await;
    }
    assert!(two.calls() == 0 || !b.get(BUDGET).await.json()["transfers"].as_array().expect("a list").is_empty());
}

fn holders(figures: &Value) -> Vec<Value> {
    figures["holders"].as_array().cloned().unwrap_or_default()
}

#[tokio::test]
async fn the_money_of_a_key_is_its_own_at_every_peer() {
    let vendor = vendor().await;
    let (at_a, at_b) = (data(), data());
    let prices = "[prices]\n'claude-x' = { input = 3.0, output = 15.0 }\n";
    let config = format!("{}{prices}{}", at(&at_a), cloud(&vendor, "claude"));
    let a = mesh::peer("a", mesh::KEY, &[], &config).variable("CLOUD_KEY", KEY).start().await;
    let b = mesh::peer("b", mesh::KEY, &[&a], &at(&at_b)).start().await;
    mesh::offers(&b, "claude-x").await;
    let wish = json!({"name": "laptop", "monthly_limit_usd": 0.03}).to_string();
    let made = b.client().post("/nexus/v1/keys", wish).whole().await;
    let key = made.json()["key"].as_str().expect("a key").to_owned();
    until_json(&a, "/nexus/v1/keys", "a knows it", |seen| seen["keys"][0]["name"] == "laptop").await;
    let mut statuses = Vec::new();
    for turn in 0..5 {
        let node = if turn % 2 == 0 { &a } else { &b };
        let call = node.client().completions(ask("claude-x")).header("authorization", &format!("Bearer {key}"));
        let reply = call.whole().await;
        if reply.status == 429 {
            let error = reply.error(429, "insufficient_quota", "insufficient_quota");
            assert!(error["message"].as_str().is_some_and(|message| message.contains("client key")), "{error}");
        }
        statuses.push(reply.status);
    }
    assert_eq!(statuses, [200, 200, 429, 429, 429]);
    assert_eq!(vendor.calls(), 2);
}

#[tokio::test]
async fn requests_in_a_minute_are_counted_over_all_peers() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let (at_a, at_b) = (data(), data());
    let a = mesh::peer("a", mesh::KEY, &[], &format!("{}{}", at(&at_a), backend.entry("here", ""))).start().await;
    let b = mesh::peer("b", mesh::KEY, &[&a], &at(&at_b)).start().await;
    mesh::offers(&b, "m1").await;
    let wish = json!({"name": "ci", "requests_per_minute": 300}).to_string();
    let made = a.client().post("/nexus/v1/keys", wish).whole().await;
    let key = made.json()["key"].as_str().expect("a key").to_owned();
    until_json(&b, "/nexus/v1/keys", "b knows it", |seen| seen["keys"][0]["name"] == "ci").await;
    let (mut served, mut limited) = (0, 0);
    for turn in 0..80 {
        let node = if turn % 2 == 0 { &b } else { &a };
        let reply =
            node.client().completions(chat("m1")).header("authorization", &format!("Bearer {key}")).whole().await;
        match reply.status {
            200 => served += 1,
            429 => {
                let error = reply.error(429, "rate_limit_exceeded", "rate_limit_error");
                let wait: u64 = reply.header("retry-after").and_then(|wait| wait.parse().ok()).expect("seconds");
                assert!((1..=10).contains(&wait), "{wait} {error}");
                limited += 1;
            }
            other => panic!("{other}: {}", reply.text()),
        }
    }
    // Thirty at once, and five a second after that.
    assert!((25..=60).contains(&served) && limited >= 10, "{served} served, {limited} limited");
}

#[tokio::test]
async fn what_may_cost_more_than_a_policy_allows_or_has_no_price_is_not_asked() {
    let vendor = vendor().await;
    let policy = "[[routing.policies]]\nmodel_pattern = '*'\nmax_cost_per_request = 0.005\n";
    let config = format!("{policy}{}{}", budget(50.0, "warn"), cloud(&vendor, "claude"));
    let node =
        Plan::new(&format!("mesh.enabled = false\n{}{config}", at(&data()))).variable("CLOUD_KEY", KEY).start().await;
    let reply = node.client().completions(ask("claude-x")).whole().await;
    let error = reply.error(503, "service_unavailable", "service_unavailable");
    assert!(
        error["context"]["rejection_reasons"][0]["reason"].as_str().is_some_and(|why| why.contains("0.005")),
        "{error}"
    );
    let small =
        json!({"model": "claude-x", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}).to_string();
    assert_eq!(node.client().completions(small).whole().await.status, 200, "less may be asked");

    let config =
        format!("[budget]\nmonthly_limit_usd = 50.0\nhard_limit_action = 'block_cloud'\n{}", cloud(&vendor, "claude"));
    let node =
        Plan::new(&format!("mesh.enabled = false\n{}{config}", at(&data()))).variable("CLOUD_KEY", KEY).start().await;
    let reply = node.client().completions(ask("claude-x")).whole().await;
    let error = reply.error(503, "service_unavailable", "service_unavailable");
    let action = &error["context"]["rejection_reasons"][0]["suggested_action"];
    assert!(action.as_str().is_some_and(|action| action.contains("[prices]")), "{error}");
    assert_eq!(vendor.calls(), 1);
}

#[tokio::test]
async fn a_damaged_ledger_spends_nothing_and_says_how_to_mend() {
    let (vendor, local, directory) = (vendor().await, FakeBackend::always(&["m1"], Answer::says("hi")).await, data());
    let config = format!(
        "{}mesh.enabled = false\n{}{}{}",
        at(&directory),
        budget(50.0, "block_cloud"),
        cloud(&vendor, "claude"),
        local.entry("here", "")
    );
    let start = async || Plan::new(&config).variable("CLOUD_KEY", KEY).start().await;
    let mut node = start().await;
    assert_eq!(node.client().completions(ask("claude-x")).whole().await.status, 200);
    node.stop(Duration::from_secs(5)).await;
    let path = directory.path().join("ledger");
    let mut ledger = std::fs::read(&path).expect("a ledger");
    ledger[30] ^= 1;
    std::fs::write(&path, &ledger).expect("write");
    let node = start().await;
    let reply = node.client().completions(ask("claude-x")).whole().await;
    assert_eq!(reply.status, 503);
    assert!(reply.text().contains("damaged in line 1") && reply.text().contains("mesh forget"), "{}", reply.text());
    assert_eq!(node.client().completions(chat("m1")).whole().await.status, 200);
    assert_eq!(std::fs::read(&path).expect("it is left as it is"), ledger);
    assert_eq!(vendor.calls(), 1);
}

/// What a stream told of its usage before it was cut is not all that it costs.
#[tokio::test]
async fn a_stream_that_breaks_off_costs_what_was_set_aside() {
    let events = |ends: bool| {
        let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 1}});
        let mut events = vec![
            json!({"type": "message_start", "message": message}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}}),
        ];
        if ends {
            let delta = json!({"stop_reason": "end_turn", "stop_sequence": null});
            events.push(json!({"type": "content_block_stop", "index": 0}));
            events.push(json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 2}}));
            events.push(json!({"type": "message_stop"}));
        }
        let text = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default());
        Answer::stream(events.iter().map(text))
    };
    let vendor = FakeBackend::script(&[], move |request| match request.number {
        0 => events(true),
        _ => events(false).then_cut(),
    })
    .await;
    vendor.says("/v1/models?limit=1000", Answer::json(200, json!({"data": [{"id": "claude-x"}]}).to_string()));
    let config = format!("mesh.enabled = false\n{}{}", budget(5.0, "block_cloud"), cloud(&vendor, "claude"));
    let node = Plan::new(&config).variable("CLOUD_KEY", KEY).start().await;
    let body = ask("claude-x").replacen('{', "{\"stream\":true,", 1);
    assert_eq!(node.client().completions(body.clone()).whole().await.status, 200);
    let whole = spent(&node).await;
    // 10 tokens at 3 USD and 2 at 15 USD the million.
    assert!((whole - 0.000_06).abs() < 1e-9, "{whole}");
    node.client().completions(body).whole().await;
    let broken = spent(&node).await - whole;
    assert!(broken > 500.0 * 15.0 / 1e6, "all that it may have cost counts: {broken}");
}

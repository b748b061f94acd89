//! Aliases, fallbacks, policies and backends, written into the file by managers.

use http::Method;
use serde_json::{Value, json};

use super::audited;
use crate::support::{Answer, FakeBackend, Log, Plan, TestNode, Whole};

const CLIENT: &str = "invalid_request_error";

async fn with_file(more: &str) -> (FakeBackend, TestNode) {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = Plan::new(&(more.to_owned() + &backend.entry("a", ""))).in_file().start().await;
    node.edit(|text| format!("# mine\n{text}"));
    assert_eq!(node.client().post("/nexus/v1/config/reload", "").whole().await.status, 200);
    (backend, node)
}

async fn put(node: &TestNode, path: &str, body: Value) -> Whole {
    node.client().call(Method::PUT, path, body.to_string()).whole().await
}

fn file(node: &TestNode) -> String {
    std::fs::read_to_string(node.file()).expect("read")
}

#[tokio::test]
async fn an_alias_is_written_in_shape_and_good_at_once() {
    let (_backend, node) = with_file("").await;
    let log = Log::capture();
    let told = put(&node, "/nexus/v1/aliases/org/gpt-4.1", json!({"target": "m1"})).await;
    assert_eq!(told.status, 200, "{}", told.text());
    assert_eq!(node.chat("org/gpt-4.1").await.status, 200);
    let text = file(&node);
    assert!(text.starts_with("# mine\n") && text.contains("\"org/gpt-4.1\" = \"m1\""), "{text}");
    assert_eq!(node.get("/nexus/v1/aliases/org/gpt-4.1").await.json()["target"], "m1");
    assert_eq!(node.client().delete("/nexus/v1/aliases/org/gpt-4.1").whole().await.status, 200);
    node.chat("org/gpt-4.1").await.error(404, "model_not_found", CLIENT);
    node.client().delete("/nexus/v1/aliases/org/gpt-4.1").whole().await.error(404, "not_found", CLIENT);
    let actions: Vec<String> = audited(&log).into_iter().map(|(action, ..)| action).collect();
    assert_eq!(actions, ["alias_set", "alias_removed"]);
}

#[tokio::test]
async fn policies_and_fallbacks_hold_as_soon_as_they_are_set() {
    let (_backend, node) = with_file("").await;
    let told = put(&node, "/nexus/v1/policies/m*", json!({"zone": "restricted", "tier": 5})).await;
    assert_eq!(told.status, 200, "{}", told.text());
    assert_eq!(node.chat("m1").await.status, 503, "no backend has that tier");
    let policies = node.get("/nexus/v1/policies").await.json();
    assert_eq!(policies["policies"][0]["model_pattern"], "m*");
    assert_eq!(
        (&policies["policies"][0]["privacy"], &policies["policies"][0]["min_tier"]),
        (&json!("restricted"), &json!(5))
    );
    assert_eq!(node.client().delete("/nexus/v1/policies/m*").whole().await.status, 200);
    assert_eq!(put(&node, "/nexus/v1/fallbacks/big", json!({"models": ["m1"]})).await.status, 200);
    assert_eq!(node.chat("big").await.header("x-nexus-fallback-model"), Some("m1"));
}

/// Of several fields the ones that were not named once fell back to nothing.
#[tokio::test]
async fn a_policy_is_changed_by_what_is_named_and_replaced_by_what_is_put() {
    let policy = "[[routing.policies]]\nmodel_pattern = 'm*'\nprivacy = 'restricted'\nmax_cost_per_request = 0.5\n";
    let (_backend, node) = with_file(policy).await;
    let patch = |body: Value, query: &str| {
        let path = format!("/nexus/v1/policies/m*{query}");
        node.client().call(Method::PATCH, &path, body.to_string()).whole()
    };
    let told = patch(json!({"tier": 5}), "").await.json();
    assert_eq!(told["weakens"], json!([]), "{told}");
    let turned = &told["policies"][0];
    assert_eq!((&turned["before"]["min_tier"], &turned["after"]["min_tier"]), (&json!(null), &json!(5)), "{told}");
    let now = node.get("/nexus/v1/policies/m*").await.json();
    assert_eq!((&now["privacy"], &now["max_cost_per_request"]), (&json!("restricted"), &json!(0.5)), "{now}");

    let told = patch(json!({"tier": null, "privacy": "unrestricted"}), "?dry_run=true").await.json();
    assert_eq!(told["weakens"].as_array().map(Vec::len), Some(2), "{told}");
    assert_eq!(node.get("/nexus/v1/policies/m*").await.json(), now);
    let told = put(&node, "/nexus/v1/policies/m*", json!({"tier": 5})).await.json();
    assert_eq!(told["weakens"].as_array().map(Vec::len), Some(2), "{told}");
    assert_eq!(node.get("/nexus/v1/policies/m*").await.json()["privacy"], "unrestricted");
    patch(json!({"tier": null, "fallback": true}), "").await.error(400, "bad_request", CLIENT);
    let new = node.client().call(Method::PATCH, "/nexus/v1/policies/new", json!({"zone": "restricted"}).to_string());
    assert_eq!(new.whole().await.status, 200);
    assert_eq!(node.get("/nexus/v1/policies/new").await.json()["privacy"], "restricted");
}

/// Whoever restricted a model behind `*` was told that it holds, and it never did.
#[tokio::test]
async fn a_new_policy_counts_before_a_wider_one() {
    let wide = "[[routing.policies]]\nmodel_pattern = '*'\n[[routing.policies]]\nmodel_pattern = 'late'\n";
    let (_backend, node) = with_file(wide).await;
    let told = put(&node, "/nexus/v1/policies/m1", json!({"tier": 5})).await;
    assert_eq!(told.status, 200, "{}", told.text());
    assert_eq!(node.chat("m1").await.status, 503, "no backend has that tier");
    let told = told.json();
    let warnings: Vec<&str> = told["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let unreached = |warning: &&str| warning.contains("`late` never counts: `*` stands before it");
    assert!(warnings.iter().any(unreached), "{told}");
    assert!(!warnings.iter().any(|warning| warning.contains("m1")), "{told}");
}

#[tokio::test]
async fn what_would_be_wrong_is_refused_and_the_file_stays() {
    let (_backend, node) = with_file("[routing.aliases]\na = 'm1'\n").await;
    let before = file(&node);
    for (path, body, says) in [
        ("/nexus/v1/aliases/m1", json!({"target": "a"}), "Circular"),
        ("/nexus/v1/aliases/b", json!({"goal": "a"}), "goal"),
        ("/nexus/v1/fallbacks/x", json!({"models": ["x"]}), "own fallback"),
        ("/nexus/v1/policies/%5B", json!({}), "model_pattern"),
        ("/nexus/v1/policies/x", json!({"tier": 9}), "tier 9"),
    ] {
        let error = put(&node, path, body).await.error(400, "bad_request", CLIENT);
        assert!(error["message"].as_str().is_some_and(|message| message.contains(says)), "{path}: {error}");
    }
    assert_eq!(put(&node, "/nexus/v1/aliases/b?dry_run=true", json!({"target": "m1"})).await.json()["dry_run"], true);
    assert_eq!(file(&node), before);
}

#[tokio::test]
async fn the_second_of_two_managers_is_told() {
    let (_backend, node) = with_file("").await;
    let seen = node.get("/nexus/v1/aliases").await;
    let tag = seen.header("etag").expect("a tag").to_owned();
    let set = |name: &'static str, tag: &str| {
        let path = format!("/nexus/v1/aliases/{name}");
        let call = node.client().call(Method::PUT, &path, json!({"target": "m1"}).to_string());
        call.header("if-match", tag).whole()
    };
    assert_eq!(set("first", &tag).await.status, 200);
    let error = set("second", &tag).await.error(412, "conflict", CLIENT);
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains("routing.aliases.first"), "it names what changed: {message}");
    assert!(!file(&node).contains("second = "));
    // By hand is somebody else, too, even where nobody has noticed yet.
    let tag = node.get("/nexus/v1/policies").await.header("etag").expect("a tag").to_owned();
    node.edit(|text| text + "\n[queue]\nmax_size = 7\n");
    let error = set("third", &tag).await.error(412, "conflict", CLIENT);
    assert!(error["message"].as_str().is_some_and(|message| message.contains("queue.max_size")), "{error}");
}

#[tokio::test]
async fn without_a_file_that_can_be_written_it_says_so() {
    let node = TestNode::start("").await;
    let error = put(&node, "/nexus/v1/aliases/a", json!({"target": "b"})).await.error(409, "conflict", CLIENT);
    assert!(error["message"].as_str().is_some_and(|message| message.contains("nexus config init")), "{error}");

    let (_backend, node) = with_file("").await;
    let mut about = std::fs::metadata(node.file()).expect("there").permissions();
    about.set_readonly(true);
    std::fs::set_permissions(node.file(), about).expect("chmod");
    let error = put(&node, "/nexus/v1/aliases/a", json!({"target": "b"})).await.error(409, "conflict", CLIENT);
    assert!(error["message"].as_str().is_some_and(|message| message.contains("read-only")), "{error}");
    node.chat("a").await.error(404, "model_not_found", CLIENT);
}

#[tokio::test]
async fn a_backend_that_is_saved_stays_and_one_that_is_removed_says_what_goes_with_it() {
    let (_backend, node) = with_file("").await;
    let other = FakeBackend::always(&["m1", "m2"], Answer::says("hi")).await;
    let body = json!({"url": format!("http://{}", other.address), "name": "b", "type": "generic", "save": true});
    let added = node.client().post("/nexus/v1/backends", body.to_string()).whole().await;
    assert_eq!(added.status, 201, "{}", added.text());
    assert_eq!(added.json()["backend"]["discovery_source"], "static");
    assert!(file(&node).contains("name = \"b\""));
    crate::mesh::offers(&node, "m2").await;
    let foreseen = node.client().delete("/nexus/v1/backends/b?dry_run=true").whole().await.json();
    assert_eq!((&foreseen["would_remove"], &foreseen["models_lost"]), (&json!("b"), &json!(["m2"])));
    assert_eq!(node.chat("m2").await.status, 200, "nothing has happened");
    assert_eq!(node.client().delete("/nexus/v1/backends/b?save=true").whole().await.status, 200);
    assert!(!file(&node).contains("name = \"b\""));
}

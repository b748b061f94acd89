//! The commands of the real binary, asked of a node that goes by a file.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::mesh::{KEY, peer};
use crate::support::{Answer, FakeBackend, Plan, TestNode, until_json};

const BUDGET: &str = "/nexus/v1/budget";

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs `nexus` with these arguments against `node`; nobody sits at a terminal.
async fn run(node: &TestNode, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nexus"));
    let port = node.address.port().to_string();
    command.args(arguments).env_clear().env("NEXUS_PORT", port).env("COLUMNS", "100").stdin(Stdio::null());
    command.current_dir(node.file().parent().expect("a directory").join(".."));
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it ends").expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

async fn ok(node: &TestNode, arguments: &[&str]) -> String {
    let ran = run(node, arguments).await;
    assert_eq!(ran.code, Some(0), "{arguments:?}: {}{}", ran.stdout, ran.stderr);
    ran.stdout
}

async fn refused(node: &TestNode, arguments: &[&str]) -> String {
    let ran = run(node, arguments).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{arguments:?}: {}", ran.stderr);
    ran.stderr
}

const SECRET: &str = "[[routing.policies]]\nmodel_pattern = 'secret-*'\nprivacy = 'restricted'\nmin_tier = 3\n\
                      fallback_allowed = false\n";

async fn with_file(more: &str) -> (FakeBackend, TestNode) {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = Plan::new(&(more.to_owned() + &backend.entry("a", ""))).in_file().start().await;
    (backend, node)
}

fn file(node: &TestNode) -> String {
    std::fs::read_to_string(node.file()).expect("read")
}

/// `nexus policies set X --tier 4` once made prompts of X free to leave the house.
#[tokio::test]
async fn a_policy_keeps_what_is_not_named_and_is_not_weakened_unasked() {
    let (_backend, node) = with_file(SECRET).await;
    ok(&node, &["policies", "set", "secret-*", "--tier", "4"]).await;
    let text = file(&node);
    for kept in ["privacy = \"restricted\"", "min_tier = 4", "fallback_allowed = false"] {
        assert!(text.contains(kept), "{kept}: {text}");
    }

    let weaker = ["policies", "set", "secret-*", "--privacy", "unrestricted", "--tier", "none", "--fallback", "yes"];
    let error = refused(&node, &weaker).await;
    for says in ["restricted -> unrestricted", "tier 4 -> none", "fallback no -> yes", "--yes"] {
        assert!(error.contains(says), "{says}: {error}");
    }
    assert_eq!(file(&node), text);
    let error = refused(&node, &["policies", "remove", "secret-*"]).await;
    assert!(error.contains("--yes"), "{error}");
    let told = ok(&node, &[&weaker[..], &["--dry-run"]].concat()).await;
    assert!(told.contains("Policy secret-*: privacy restricted -> unrestricted, tier 4 -> none"), "{told}");
    assert!(told.starts_with("Would") && told.contains("Protects less: secret-*"), "{told}");
    assert_eq!(file(&node), text);
    ok(&node, &[&weaker[..], &["--yes"]].concat()).await;
    let text = file(&node);
    assert!(text.contains("secret-*") && !text.contains("restricted") && !text.contains("min_tier"), "{text}");
    ok(&node, &["policies", "remove", "secret-*"]).await;
    assert_eq!(run(&node, &["policies", "set", "x"]).await.code, Some(2), "nothing is named");
}

#[tokio::test]
async fn a_change_is_bound_to_what_was_listed() {
    let (_backend, node) = with_file(SECRET).await;
    let listed = ok(&node, &["policies", "list"]).await;
    let tag = listed.split("Tag: ").nth(1).expect("a tag").trim().to_owned();
    let json: serde_json::Value = serde_json::from_str(&ok(&node, &["aliases", "list", "--json"]).await).expect("JSON");
    assert_eq!(json["tag"], tag.as_str());
    ok(&node, &["aliases", "set", "first", "m1", "--if-match", &tag]).await;
    for late in [
        &["aliases", "set", "second", "m1"][..],
        &["policies", "set", "secret-*", "--tier", "5"],
        &["fallbacks", "set", "big", "m1"],
        &["policies", "remove", "secret-*", "--yes"],
    ] {
        let error = refused(&node, &[late, &["--if-match", &tag]].concat()).await;
        assert!(error.contains("changed by somebody else") && error.contains("routing.aliases.first"), "{error}");
    }
}

#[tokio::test]
async fn chains_are_listed_set_and_removed() {
    let (_backend, node) = with_file("").await;
    ok(&node, &["fallbacks", "set", "big", "gone", "m1"]).await;
    assert_eq!(node.chat("big").await.header("x-nexus-fallback-model"), Some("m1"));
    assert!(ok(&node, &["fallbacks", "list"]).await.contains("gone, m1"));
    let again = ok(&node, &["fallbacks", "set", "big", "gone", "m1"]).await;
    assert!(again.starts_with("Took up") && again.contains("Nothing is different."), "{again}");
    ok(&node, &["fallbacks", "remove", "big", "--dry-run"]).await;
    assert_eq!(node.chat("big").await.status, 200);
    ok(&node, &["fallbacks", "remove", "big"]).await;
    assert_eq!(node.chat("big").await.status, 404);
}

#[tokio::test]
async fn a_dry_run_revokes_no_key() {
    let (_backend, node) = with_file("").await;
    let key = ok(&node, &["keys", "add", "laptop"]).await;
    let told = ok(&node, &["keys", "revoke", "laptop", "--dry-run"]).await;
    assert!(told.starts_with("Would revoke key: laptop"), "{told}");
    let call = || node.client().completions(crate::support::chat("m1"));
    let bearer = format!("Bearer {}", key.trim());
    assert_eq!(call().header("authorization", &bearer).whole().await.status, 200, "it is as good as before");
    assert!(refused(&node, &["keys", "revoke", "desk", "--dry-run"]).await.contains("desk"));
    assert!(ok(&node, &["keys", "revoke", "laptop"]).await.starts_with("Revoked key: laptop"));
    assert_eq!(call().header("authorization", &bearer).whole().await.status, 401);
}

#[tokio::test]
async fn a_budget_is_written_and_counts_at_once() {
    let (_backend, node) = with_file("[budget]\nmonthly_limit_usd = 5.0\nhard_limit_action = 'block_cloud'\n").await;
    let limit = async || node.get("/nexus/v1/budget").await.json()["limit_usd"].as_f64();
    ok(&node, &["budget", "set", "--monthly", "3", "--soft", "70%"]).await;
    assert_eq!(limit().await, Some(3.0));
    let text = file(&node);
    assert!(text.contains("monthly_limit_usd = 3.0") && text.contains("soft_limit_percent = 70.0"), "{text}");
    let told = ok(&node, &["budget", "set", "--monthly", "9", "--dry-run"]).await;
    assert!(told.contains("Budget: monthly limit 3.0 -> 9.0"), "{told}");
    for lax in [["--monthly", "9"], ["--monthly", "none"], ["--action", "warn"], ["--soft", "90"]] {
        let error = refused(&node, &[&["budget", "set"][..], &lax].concat()).await;
        assert!(error.contains("budget: ") && error.contains("--yes"), "{lax:?}: {error}");
    }
    assert_eq!(file(&node), text);
    ok(&node, &["budget", "set", "--monthly", "9", "--action", "block_all", "--yes"]).await;
    assert_eq!(limit().await, Some(9.0));
    assert_eq!(run(&node, &["budget", "set"]).await.code, Some(2), "nothing is named");
}

/// Where no ledger was opened at the start none is kept before the next one.
#[tokio::test]
async fn a_first_budget_outside_a_mesh_counts_with_the_next_start() {
    let (_backend, node) = with_file("").await;
    let told = ok(&node, &["budget", "set", "--monthly", "3"]).await;
    assert!(told.contains("Counts after a restart: budget.monthly_limit_usd"), "{told}");
}

#[tokio::test]
async fn a_dry_run_forgets_nobody() {
    let config = "[budget]\nmonthly_limit_usd = 5.0\n";
    let far = peer("far", KEY, &[], config).start().await;
    let near = peer("near", KEY, &[&far], config).start().await;
    let state = |seen: &Value, wanted: fn(&Value) -> bool| {
        let holders = seen["holders"].as_array().cloned().unwrap_or_default();
        holders.iter().any(|holder| holder["peer"] == "far" && wanted(&holder["state"]))
    };
    until_json(&near, "/nexus/v1/mesh", "they know each other", |seen| seen["peers"][0]["name"] == "far").await;
    ok(&near, &["budget", "found"]).await;
    until_json(&near, BUDGET, "its ledger is known", |seen| state(seen, |state| state == "alive")).await;
    assert!(refused(&near, &["mesh", "forget", "far", "--dry-run"]).await.contains("still here"));
    drop(far);
    until_json(&near, BUDGET, "it is gone", |seen| state(seen, |state| state != "alive")).await;
    let before = near.get(BUDGET).await.json()["holders"].clone();
    let told = ok(&near, &["mesh", "forget", "far", "--dry-run"]).await;
    assert!(told.starts_with("Would forget far: "), "{told}");
    assert_eq!(near.get(BUDGET).await.json()["holders"], before);
    assert!(refused(&near, &["mesh", "forget", "attic", "--dry-run"]).await.contains("attic"));
}

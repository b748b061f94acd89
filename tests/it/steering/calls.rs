//! What calls of management may be asked: whoever asks for something that nobody there knows is told so, and nothing happens.

use http::Method;
use serde_json::json;

use super::audited;
use crate::mesh::{KEY, peer};
use crate::support::{Answer, FakeBackend, Log};

const CLIENT: &str = "invalid_request_error";

/// Every call that changes something: method, path, body, and whether it knows `dry_run` and `peer`.
const CALLS: [(&str, &str, &str, bool, bool); 25] = [
    ("POST", "/nexus/v1/backends", r#"{"url":"http://127.0.0.1:1","name":"b","type":"generic"}"#, true, true),
    ("DELETE", "/nexus/v1/backends/a", "", true, true),
    ("POST", "/nexus/v1/drain", "", true, true),
    ("DELETE", "/nexus/v1/drain", "", true, true),
    ("POST", "/nexus/v1/drain/a", "", true, true),
    ("DELETE", "/nexus/v1/drain/a", "", true, true),
    ("PUT", "/nexus/v1/log", r#"{"filter":"debug"}"#, false, true),
    ("POST", "/nexus/v1/config/reload", "", true, true),
    ("PUT", "/nexus/v1/aliases/x", r#"{"target":"m1"}"#, true, true),
    ("DELETE", "/nexus/v1/aliases/old", "", true, true),
    ("PUT", "/nexus/v1/fallbacks/x", r#"{"models":["m1"]}"#, true, true),
    ("DELETE", "/nexus/v1/fallbacks/old", "", true, true),
    ("PUT", "/nexus/v1/policies/m*", r#"{"tier":5}"#, true, true),
    ("PATCH", "/nexus/v1/policies/m*", r#"{"tier":5}"#, true, true),
    ("DELETE", "/nexus/v1/policies/old", "", true, true),
    ("PATCH", "/nexus/v1/budget", r#"{"monthly_limit_usd":5}"#, true, true),
    ("POST", "/nexus/v1/mesh/invite", "", false, false),
    ("POST", "/nexus/v1/mesh/join", r#"{"name":"other","key":""}"#, false, false),
    ("POST", "/nexus/v1/mesh/forget", r#"{"name":"nobody"}"#, true, false),
    ("POST", "/nexus/v1/budget/found", "", false, false),
    ("POST", "/nexus/v1/keys", r#"{"name":"laptop"}"#, false, false),
    ("DELETE", "/nexus/v1/keys/laptop", "", true, false),
    ("POST", "/v1/models/load", r#"{"model_id":"m1"}"#, false, false),
    (
        "POST",
        "/v1/models/migrate",
        r#"{"model_id":"m1","source_backend_id":"a","target_backend_id":"b"}"#,
        false,
        false,
    ),
    ("DELETE", "/v1/models/m1", "", false, true),
];

/// `?dry_run=true` once did the real thing wherever nobody had thought of it.
#[tokio::test]
async fn what_a_call_does_not_know_is_refused_and_a_dry_run_changes_nothing() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let config = "[routing.aliases]\nold = 'm1'\n[routing.fallbacks]\nold2 = ['m1']\nold = ['m1']\n\
                  [[routing.policies]]\nmodel_pattern = 'old'\nmin_tier = 1\n";
    let node = peer("near", KEY, &[], &(config.to_owned() + &backend.entry("a", ""))).in_file().start().await;
    let file = || std::fs::read_to_string(node.file()).expect("read");
    let before = (file(), node.get("/nexus/v1/backends").await.json()["backends"][0]["name"].clone());
    let log = Log::capture();
    for (method, path, body, knows_dry_run, knows_peer) in CALLS {
        let call = async |query: &str| {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            node.client().call(method, &format!("{path}?{query}"), body).whole().await
        };
        let refused = async |query: &str| {
            let reply = call(query).await;
            assert_eq!(reply.status, 400, "{method} {path}?{query}: {}", reply.text());
            let error = reply.error(400, "bad_request", CLIENT);
            let name = query.split('=').next().expect("a name");
            let message = error["message"].as_str().unwrap_or_default();
            assert!(message.contains(name), "{method} {path}?{query}: {message}");
        };
        refused("dryrun=true").await;
        refused("dry_run=perhaps").await;
        if knows_dry_run {
            for query in ["dry_run=true", "dry_run", "dry_run=false&dry_run=1"] {
                let reply = call(query).await;
                // Whoever is not there cannot be forgotten or revoked, not even for show.
                assert!(matches!(reply.status, 200 | 404), "{method} {path}?{query}: {}", reply.text());
                assert!(reply.status == 404 || reply.json()["dry_run"] == true, "{method} {path}: {}", reply.text());
            }
        } else {
            refused("dry_run=true").await;
        }
        if !knows_peer {
            refused("peer=near").await;
        } else if knows_dry_run {
            assert_eq!(call("dry_run=true&peer=near").await.status, 200, "{method} {path}");
        }
    }
    assert!(audited(&log).is_empty(), "{:?}", audited(&log));
    let after = (file(), node.get("/nexus/v1/backends").await.json()["backends"][0]["name"].clone());
    assert_eq!(before, after);
    assert_eq!(node.get("/nexus/v1/drain").await.json()["draining"], false);
    assert_eq!(node.get("/nexus/v1/keys").await.json()["keys"], json!([]));
    assert_eq!(node.get("/nexus/v1/backends").await.json()["backends"].as_array().map(Vec::len), Some(1));
    for path in ["/nexus/v1/aliases?pear=near", "/nexus/v1/policies/old?dry_run=true", "/nexus/v1/keys?peer=near"] {
        node.get(path).await.error(400, "bad_request", CLIENT);
    }
}

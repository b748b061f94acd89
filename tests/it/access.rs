//! Who may ask, and who may manage.

use serde_json::json;
use sha2_of::hex;

use crate::support::{Answer, Call, FakeBackend, Plan, TestNode, chat};

const CLIENT: &str = "invalid_request_error";

/// SHA-256 as configurations hold it.
mod sha2_of {
    pub(super) fn hex(key: &str) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, key.as_bytes());
        data_encoding::HEXLOWER.encode(digest.as_ref())
    }
}

async fn guarded() -> (FakeBackend, TestNode) {
    let backend = FakeBackend::always(&["m1", "other"], Answer::says("hi")).await;
    let keys = format!(
        "[[auth.client_keys]]\nname = 'team'\nkey_sha256 = '{}'\nmodels = ['m*']\n\
         [[auth.client_keys]]\nname = 'boss'\nkey_env = 'BOSS'\n",
        hex("team-key")
    );
    let plan = Plan::new(&(backend.entry("a", "") + &keys)).variable("BOSS", "boss-key");
    (backend, plan.start().await)
}

#[tokio::test]
async fn where_keys_are_configured_nobody_asks_without_one() {
    let (backend, node) = guarded().await;
    for path in ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"] {
        let body = r#"{"model":"m1","messages":[],"prompt":"x","input":"x"}"#;
        for key in ["", "Bearer wrong", "Bearer ", "Basic dGVhbS1rZXk=", "team-key", "Bearer team-key2"] {
            let reply = node.client().post(path, body).header("authorization", key).whole().await;
            reply.error(401, "invalid_api_key", CLIENT);
        }
        for key in ["Bearer team-key", "bearer boss-key"] {
            let reply = node.client().post(path, body).header("authorization", key).whole().await;
            assert_eq!(reply.status, 200, "{path} {key}: {}", reply.text());
        }
    }
    assert_eq!(backend.calls(), 6);
    assert!(backend.requests().iter().all(|request| request.header("authorization").is_none()), "stripped");
}

#[tokio::test]
async fn a_key_may_be_good_for_some_models_only() {
    let (backend, node) = guarded().await;
    let ask = |key: &str| node.client().completions(chat("other")).header("authorization", key).whole();
    let error = ask("Bearer team-key").await.error(403, "forbidden", CLIENT);
    assert!(error["message"].as_str().is_some_and(|message| message.contains("other")), "{error}");
    assert_eq!(backend.calls(), 0);
    assert_eq!(ask("Bearer boss-key").await.status, 200);
}

#[tokio::test]
async fn keys_that_cannot_be_found_do_not_open_the_door() {
    let keys = "[[auth.client_keys]]\nname = 'a'\nkey_env = 'NOT_SET'\n";
    assert!(Plan::new(keys).try_start().await.is_err());
}

fn addition(node: &TestNode) -> Call {
    let body = json!({"url": "http://127.0.0.1:1", "name": "new", "type": "generic"});
    node.client().post("/nexus/v1/backends", body.to_string())
}

/// Any page and any host could once change a node.
#[tokio::test]
async fn management_is_for_this_machine_by_its_own_name_and_for_no_other_page() {
    let node = TestNode::start("").await;
    for refused in [
        addition(&node).header("host", "evil.example:8000"),
        addition(&node).header("host", "localhost.evil.example"),
        addition(&node).header("origin", "http://evil.example"),
        addition(&node).header("origin", "null"),
        node.client().delete("/nexus/v1/backends/x").header("host", "evil.example"),
    ] {
        refused.whole().await.error(403, "forbidden", CLIENT);
    }
    assert_eq!(node.get("/nexus/v1/backends").await.json()["backends"], json!([]));
    let own = format!("http://{}", node.address);
    assert_eq!(addition(&node).header("origin", &own).whole().await.status, 201);
    let name = format!("localhost:{}", node.address.port());
    assert_eq!(node.client().delete("/nexus/v1/backends/new").header("host", &name).whole().await.status, 200);
}

#[tokio::test]
async fn where_there_is_an_admin_token_it_is_asked_for() {
    let node = Plan::new("").variable("NEXUS_ADMIN_TOKEN", "s3cret").start().await;
    for wrong in ["", "Bearer guess", "s3cret", "Bearer s3cret2"] {
        let reply = addition(&node).header("authorization", wrong).whole().await;
        reply.error(401, "invalid_api_key", CLIENT);
    }
    let by_name = addition(&node).header("authorization", "Bearer s3cret").header("host", "box.lan:8000");
    assert_eq!(by_name.whole().await.status, 201);
    let page = addition(&node).header("authorization", "Bearer s3cret").header("origin", "http://evil.example");
    page.whole().await.error(403, "forbidden", CLIENT);
}

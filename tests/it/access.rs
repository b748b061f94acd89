//! Who may ask, and who may manage.

use serde_json::json;
use sha2_of::hex;

use crate::support::{Answer, Call, FakeBackend, Log, Plan, TestNode, chat};

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
    let plan = Plan::new(&(backend.entry("a", "") + &keys)).variable("BOSS", "boss-key-0123456789");
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
        for key in ["Bearer team-key", "bearer boss-key-0123456789"] {
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
    assert_eq!(ask("Bearer boss-key-0123456789").await.status, 200);
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

const KEYS: &str = "/nexus/v1/keys";

/// There was one line, and no test that it is one and says from where.
#[tokio::test]
async fn every_refused_attempt_to_manage_is_logged_once_with_its_source() {
    let log = Log::capture();
    let node = Plan::new("").variable("NEXUS_ADMIN_TOKEN", "s3cret").start().await;
    let (body, mut attempts) = (json!({"name": "laptop"}).to_string(), 0);
    for (method, path) in [
        ("POST", "/nexus/v1/backends"),
        ("DELETE", "/nexus/v1/backends/x"),
        ("POST", "/nexus/v1/mesh/invite"),
        ("POST", "/nexus/v1/mesh/join"),
        ("POST", "/v1/models/load"),
        ("GET", "/v1/operations"),
        ("GET", KEYS),
        ("POST", KEYS),
        ("DELETE", "/nexus/v1/keys/laptop"),
    ] {
        let call = || match method {
            "GET" => node.client().get(path),
            "POST" => node.client().post(path, body.clone()),
            _ => node.client().delete(path),
        };
        let right = |call: Call| call.header("authorization", "Bearer s3cret");
        for (call, status, code) in [
            (call(), 401, "invalid_api_key"),
            (call().header("authorization", "Bearer guess"), 401, "invalid_api_key"),
            (right(call()).header("origin", "http://evil.example"), 403, "forbidden"),
        ] {
            call.whole().await.error(status, code, CLIENT);
            attempts += 1;
            let lines: Vec<_> =
                log.lines().into_iter().filter(|line| line["message"] == "Management refused").collect();
            assert_eq!(lines.len(), attempts, "{method} {path} {status}: {lines:#?}");
            let last = &lines[attempts - 1];
            assert_eq!((last["level"].as_str(), last["method"].as_str()), (Some("WARN"), Some(method)));
            assert_eq!(last["path"].as_str(), Some(path));
            assert!(last["from"].as_str().is_some_and(|from| from.starts_with("127.0.0.1:")), "{last}");
        }
    }
    assert!(!log.text().contains("guess") && !log.text().contains("s3cret"), "tokens are not logged");
    let list = node.client().get(KEYS).header("authorization", "Bearer s3cret").whole().await;
    assert_eq!((list.status, list.json()["keys"].clone()), (200, json!([])), "nothing came of it");
}

#[tokio::test]
async fn a_key_is_made_shown_once_listed_and_revoked() {
    let backend = FakeBackend::always(&["llama3", "other"], Answer::says("hi")).await;
    let node = TestNode::start(&format!("[budget]\nmonthly_limit_usd = 5.0\n{}", backend.entry("a", ""))).await;
    assert_eq!(node.get(KEYS).await.json(), json!({"keys": [], "open": true, "notes": []}));
    assert_eq!(node.chat("llama3").await.status, 200);
    let wish = json!({"name": "org/lap top", "models": ["llama*"], "monthly_limit_usd": 5, "requests_per_minute": 60,
        "tokens_per_minute": 20000});
    let made = node.client().post(KEYS, wish.to_string()).whole().await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    let key = made["key"].as_str().expect("the key");
    assert!(key.starts_with("nxk_") && key.len() == 56 && made["notes"].to_string().contains("every client"), "{made}");
    let listed = node.get(KEYS).await.json();
    let one = &listed["keys"][0];
    for field in ["id", "name", "models", "monthly_limit_usd", "requests_per_minute", "tokens_per_minute", "made_by"] {
        assert_eq!(one[field], made[field], "{field}");
    }
    assert_eq!((one["state"].as_str(), one.get("key"), &listed["open"]), (Some("active"), None, &json!(false)));
    let ask = |model: &str, header: &'static str, value: String| {
        node.client().completions(chat(model)).header(header, &value).whole()
    };
    assert_eq!(ask("llama3", "authorization", format!("Bearer {key}")).await.status, 200);
    assert_eq!(ask("llama3", "x-api-key", key.to_owned()).await.status, 200);
    assert!(backend.requests().iter().all(|request| request.header("x-api-key").is_none()), "stripped");
    ask("other", "x-api-key", key.to_owned()).await.error(403, "forbidden", CLIENT);
    node.chat("llama3").await.error(401, "invalid_api_key", CLIENT);
    let ended = node.client().delete("/nexus/v1/keys/org%2Flap%20top").whole().await;
    assert_eq!((ended.status, ended.json()["revoked"][0]["state"].as_str()), (200, Some("revoked")));
    ask("llama3", "x-api-key", key.to_owned()).await.error(401, "invalid_api_key", CLIENT);
    node.chat("llama3").await.error(401, "invalid_api_key", CLIENT);
    let notes = node.get(KEYS).await.json()["notes"].to_string();
    assert!(notes.contains("every client is refused") && notes.contains("keys.json"), "{notes}");
}

#[tokio::test]
async fn a_key_that_cannot_be_is_refused_with_what_to_change() {
    let configured = format!("[[auth.client_keys]]\nname = 'team'\nkey_sha256 = '{}'\n", hex("team-key"));
    let node = TestNode::start(&configured).await;
    let add = |wish: String| node.client().post(KEYS, wish).whole();
    assert_eq!(add(json!({"name": "laptop"}).to_string()).await.status, 201);
    for taken in ["laptop", "team"] {
        let error = add(json!({ "name": taken }).to_string()).await.error(409, "conflict", CLIENT);
        assert!(error["message"].as_str().is_some_and(|message| message.contains("revoke")), "{error}");
    }
    for (key, value, says) in [
        ("name", json!(""), "Invalid name"),
        ("name", json!("a\u{1b}[2J"), "Invalid name"),
        ("name", json!("x".repeat(1000)), "Invalid name"),
        ("name", json!(7), "Invalid request"),
        ("models", json!(["[a"]), "no pattern"),
        ("models", json!([]), "leave them out"),
        ("models", json!("llama*"), "Invalid request"),
        ("monthly_limit_usd", json!(0), "monthly_limit_usd must be more than 0"),
        ("monthly_limit_usd", json!(-5.5), "monthly_limit_usd must be more than 0"),
        ("requests_per_minute", json!(0), "requests_per_minute must be more than 0"),
        ("requests_per_minute", json!(-1), "requests_per_minute must be more than 0"),
        ("tokens_per_minute", json!(0), "tokens_per_minute must be more than 0"),
    ] {
        let mut wish = json!({"name": "phone"});
        wish[key] = value;
        let error = add(wish.to_string()).await.error(400, "bad_request", CLIENT);
        assert!(error["message"].as_str().is_some_and(|message| message.contains(says)), "{wish}: {error}");
    }
    for body in [
        "{",
        "[]",
        "{}",
        r#"{"name":"phone","monthly_limit_usd":1e999}"#,
        r#"{"name":"phone","monthly_limit_usd":NaN}"#,
    ] {
        add(body.to_owned()).await.error(400, "bad_request", CLIENT);
    }
    let error = node.client().delete("/nexus/v1/keys/laptpo").whole().await.error(404, "not_found", CLIENT);
    assert_eq!(error["message"], "there is no key `laptpo`: did you mean `laptop`?");
    let listed = node.get(KEYS).await.json();
    assert_eq!(listed["keys"].as_array().map(Vec::len), Some(1));
    assert!(listed["notes"].to_string().contains("team"), "{listed}");
}

#[tokio::test]
async fn a_key_of_the_configuration_that_can_be_guessed_stops_the_start() {
    let keys = "[[auth.client_keys]]\nname = 'a'\nkey_env = 'SHORT'\n";
    let error = Plan::new(keys).variable("SHORT", "hunter2").try_start().await.err().expect("refused").to_string();
    assert!(error.contains("SHORT") && error.contains("nexus keys add") && !error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_damaged_ring_stops_the_start() {
    let data = tempfile::tempdir().expect("a directory");
    std::fs::write(data.path().join("keys.json"), "{\"v\":1,\"keys\":[").expect("write");
    for mesh in ["", "[mesh]\nenabled = true\n"] {
        let text = format!("data_dir = '{}'\n{mesh}", data.path().display());
        let error = Plan::new(&text).try_start().await.err().expect("refused").to_string();
        assert!(error.contains("keys.json") && error.contains("backup"), "{error}");
    }
}

//! Models into memory and out of it, by order: on one node, and over the mesh.

mod advice;
mod engines;
mod mesh;

use serde_json::{Value, json};

use crate::support::{Answer, FakeBackend, Gate, Plan, TestNode, Whole, chat, soon, stream, until, until_json};
use engines::Engine;

const CLIENT: &str = "invalid_request_error";

async fn order(node: &TestNode, path: &str, body: &Value) -> Whole {
    node.client().post(path, body.to_string()).whole().await
}

async fn load(node: &TestNode, model: &str, backend: &str) -> Whole {
    order(node, "/v1/models/load", &json!({"model_id": model, "backend_id": backend})).await
}

async fn unload(node: &TestNode, model: &str, backend: &str) -> Whole {
    node.client().delete(&format!("/v1/models/{model}?backend_id={backend}")).whole().await
}

/// The operation that an order has begun.
fn id(reply: &Whole) -> String {
    let id = reply.json()["operation_id"].as_str().unwrap_or_default().to_owned();
    assert!(reply.status < 300 && id.starts_with("op-"), "{}", reply.text());
    assert_eq!(reply.header("x-nexus-lifecycle-operation"), Some(id.as_str()));
    id
}

/// The operation when it has ended.
async fn ended(node: &TestNode, id: &str) -> Value {
    let path = format!("/v1/operations/{id}");
    until_json(node, &path, "the operation ends", |seen| seen["status"] != "in_progress").await;
    node.get(&path).await.json()
}

#[tokio::test]
async fn a_model_is_loaded_when_its_server_lists_it_and_not_before() {
    let engine = Engine::ollama(&["org/a:7b", "b"]).await;
    engine.is_slow(true);
    let node = TestNode::start(&engine.entry("gpu")).await;
    let reply = load(&node, "org/a:7b", "gpu").await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    assert_eq!(reply.header("x-nexus-lifecycle-status"), Some("loading"));
    let id = id(&reply);
    let begun = reply.json();
    assert_eq!(begun["status"], "in_progress");
    assert_eq!((&begun["model_id"], &begun["backend_id"]), (&json!("org/a:7b"), &json!("gpu")));
    until("it is asked for", || engine.orders("/api/generate").len() == 1).await;
    assert_eq!(engine.orders("/api/generate")[0], json!({"model": "org/a:7b", "keep_alive": -1}));
    assert_eq!(node.chat("b").await.status, 200, "its other models serve meanwhile");
    let seen = node.get(&format!("/v1/operations/{id}")).await.json();
    for (key, value) in [
        ("operation_id", json!(id)),
        ("kind", json!("load")),
        ("model_id", json!("org/a:7b")),
        ("backend_id", json!("gpu")),
        ("status", json!("in_progress")),
        ("error", Value::Null),
        ("progress", Value::Null),
        ("ended_at", Value::Null),
    ] {
        assert_eq!(seen[key], value, "{key}: {seen}");
    }
    assert!(seen["peer"].is_string() && seen["started_at"].is_string(), "{seen}");
    load(&node, "b", "gpu").await.error(409, "conflict", CLIENT);

    engine.arrives("org/a:7b");
    let seen = ended(&node, &id).await;
    assert_eq!((&seen["status"], &seen["error"]), (&json!("completed"), &Value::Null), "{seen}");
    assert!(seen["ended_at"].is_string(), "{seen}");
    until_json(&node, "/nexus/v1/backends", "it is known to be there", |seen| {
        seen["backends"][0]["models"][1]["loaded"] == true
    })
    .await;
    let list = node.get("/v1/operations").await.json();
    assert_eq!(list["operations"].as_array().map(Vec::len), Some(1), "{list}");

    let again = load(&node, "org/a:7b", "gpu").await;
    assert_eq!(ended(&node, &self::id(&again)).await["status"], "completed", "it is there already");
    assert_eq!(engine.orders("/api/generate").len(), 2, "and told to stay");

    let gone = unload(&node, "org/a:7b", "gpu").await;
    assert_eq!((gone.status, gone.header("x-nexus-lifecycle-status")), (200, Some("completed")), "{}", gone.text());
    let gone = gone.json();
    assert_eq!((&gone["status"], &gone["model_id"]), (&json!("completed"), &json!("org/a:7b")));
    for key in ["vram_free_bytes", "vram_free_gb"] {
        assert_eq!(gone.get(key), Some(&Value::Null), "{key}");
    }
    assert!(engine.loaded().is_empty());
    let seen = node.get("/nexus/v1/backends").await.json();
    assert_eq!(seen["backends"][0]["models"][1]["loaded"], false, "and known to be gone at once");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let (engine, other) = (Engine::ollama(&["a"]).await, FakeBackend::always(&["x"], Answer::says("hi")).await);
    let node = TestNode::start(&(engine.entry("gpu") + &other.entry("vllm", "type = 'vllm'"))).await;
    load(&node, "a", "nobody").await.error(404, "not_found", CLIENT);
    load(&node, "unheard-of", "gpu").await.error(404, "not_found", CLIENT);
    let error = load(&node, "x", "vllm").await.error(501, "not_implemented", CLIENT);
    let says = error["message"].as_str().unwrap_or_default();
    assert!(["ollama", "llamacpp", "lmstudio"].iter().all(|kind| says.contains(kind)), "{says}");
    unload(&node, "a", "gpu").await.error(400, "bad_request", CLIENT);
    unload(&node, "a", "nobody").await.error(404, "not_found", CLIENT);
    order(&node, "/v1/models/load", &json!({"backend_id": "gpu"})).await.error(400, "bad_request", CLIENT);
    node.client().post("/v1/models/load", "{").whole().await.error(400, "bad_request", CLIENT);
    node.get("/v1/operations/op-none").await.error(404, "not_found", CLIENT);
    let here = json!({"model_id": "a", "source_backend_id": "gpu", "target_backend_id": "gpu"});
    order(&node, "/v1/models/migrate", &here).await.error(400, "bad_request", CLIENT);
    assert_eq!(node.get("/v1/operations").await.json()["operations"], json!([]));
    assert!(engine.orders("/api/generate").is_empty());
}

#[tokio::test]
async fn a_server_that_fails_is_told_of_at_once_and_in_the_operation() {
    let engine = Engine::ollama(&["a"]).await;
    let node = TestNode::start(&engine.entry("gpu")).await;
    engine.backend.says("/api/generate", Answer::json(500, r#"{"error":"llama runner terminated"}"#));
    let error = load(&node, "a", "gpu").await.error(502, "bad_gateway", "server_error");
    assert!(error["message"].as_str().is_some_and(|says| says.contains("llama runner terminated")), "{error}");
    let last = &node.get("/v1/operations").await.json()["operations"][0];
    assert_eq!(last["status"], "failed");
    let said = "model requires more system memory (9.2 GiB) than is available (3.1 GiB)";
    engine.backend.says("/api/generate", Answer::json(500, json!({"error": said}).to_string()));
    let error = load(&node, "a", "gpu").await.error(400, "bad_request", CLIENT);
    assert!(error["message"].as_str().is_some_and(|says| says.contains("9.2 GiB")), "{error}");
    engine.backend.die().await;
    load(&node, "a", "gpu").await.error(502, "bad_gateway", "server_error");
}

#[tokio::test]
async fn an_operation_that_takes_too_long_has_failed_and_frees_its_backend() {
    let engine = Engine::ollama(&["a"]).await;
    engine.is_slow(true);
    let node = TestNode::start(&format!("{}[lifecycle]\ntimeout_ms = 600\n", engine.entry("gpu"))).await;
    let first = ended(&node, &id(&load(&node, "a", "gpu").await)).await;
    assert_eq!(first["status"], "failed");
    assert!(first["error"].as_str().is_some_and(|error| error.contains("timeout_ms")), "{first}");
    engine.is_slow(false);
    let second = ended(&node, &id(&load(&node, "a", "gpu").await)).await;
    assert_eq!(second["status"], "completed", "{second}");
}

#[tokio::test]
async fn a_model_is_pulled_first_where_that_is_wished() {
    let engine = Engine::ollama(&["a"]).await;
    let gate = Gate::closed();
    let lines =
        [r#"{"status":"pulling manifest"}"#, r#"{"status":"pulling d","digest":"d","total":200,"completed":50}"#];
    let pull = Answer::chunked("application/x-ndjson", lines.map(|line| format!("{line}\n")));
    engine.backend.says("/api/pull", pull.wait(&gate).then("{\"status\":\"success\"}\n"));
    let node = TestNode::start(&engine.entry("gpu")).await;
    let body = json!({"model_id": "new", "backend_id": "gpu", "pull": true});
    let id = id(&order(&node, "/v1/models/load", &body).await);
    let path = format!("/v1/operations/{id}");
    until_json(&node, &path, "a quarter is there", |seen| seen["progress"] == 0.25).await;
    assert!(engine.orders("/api/generate").is_empty());
    engine.knows("new");
    gate.open();
    assert_eq!(ended(&node, &id).await["status"], "completed");
    until_json(&node, "/v1/models", "it is offered", |seen| seen["data"][1]["id"] == "new").await;

    engine.backend.says("/api/pull", Answer::json(200, r#"{"error":"pull model manifest: file does not exist"}"#));
    let body = json!({"model_id": "none", "backend_id": "gpu", "pull": true});
    order(&node, "/v1/models/load", &body).await.error(404, "not_found", CLIENT);
}

#[tokio::test]
async fn a_model_with_requests_stays() {
    let gate = Gate::closed();
    let engine =
        Engine::ollama_saying(&["a", "b"], Answer::stream(["data: 1\n\n"]).wait(&gate).then("data: [DONE]\n\n")).await;
    engine.arrives("a");
    let node = TestNode::start(&engine.entry("gpu")).await;
    let mut running = node.client().completions(stream("a")).send().await;
    running.read_to("data: 1").await;
    unload(&node, "a", "gpu").await.error(409, "conflict", CLIENT);
    gate.open();
    running.whole().await;
    node.idle().await;
    assert_eq!(unload(&node, "a", "gpu").await.status, 200);
}

/// Requests come all the time; none of them fails, and none goes to the source once it lets go.
#[tokio::test]
async fn a_model_moves_without_a_request_that_fails() {
    let gate = Gate::closed();
    let slow = Answer::stream(["data: 1\n\n"]).wait(&gate).then("data: [DONE]\n\n");
    let (from, to) = (Engine::ollama_saying(&["m"], slow).await, Engine::ollama(&["m"]).await);
    from.arrives("m");
    to.is_slow(true);
    let node = Plan::new(&(from.entry("from") + &to.entry("to"))).start().await;
    let mut long = node.client().completions(stream("m")).header("x-nexus-priority", "high").send().await;
    long.read_to("data: 1").await;
    assert_eq!(from.backend.calls(), 1, "it is served where it is loaded");
    let body = json!({"model_id": "m", "source_backend_id": "from", "target_backend_id": "to"});
    let reply = order(&node, "/v1/models/migrate", &body).await;
    assert_eq!((reply.status, reply.header("x-nexus-lifecycle-status")), (202, Some("migrating")), "{}", reply.text());
    let begun = reply.json();
    assert_eq!((&begun["source_backend_id"], &begun["target_backend_id"]), (&json!("from"), &json!("to")));
    assert!(begun["message"].is_string() && begun["status"] == "in_progress", "{begun}");
    until("the target is asked", || to.orders("/api/generate").len() == 1).await;
    assert!(from.orders("/api/generate").is_empty(), "the source serves until then");
    order(&node, "/v1/models/migrate", &body).await.error(409, "conflict", CLIENT);

    to.arrives("m");
    until_json(&node, "/v1/operations", "the source is to let go", |seen| {
        seen["operations"].as_array().is_some_and(|all| all.iter().any(|one| one["kind"] == "unload"))
    })
    .await;
    for _ in 0..20 {
        assert_eq!(node.chat("m").await.header("x-nexus-backend"), Some("to"));
    }
    assert_eq!(from.loaded(), ["m"], "it still has a request");
    gate.open();
    assert!(!long.whole().await.broken);
    let seen = ended(&node, &id(&reply)).await;
    assert_eq!((&seen["status"], &seen["kind"]), (&json!("completed"), &json!("migrate")), "{seen}");
    assert!(from.loaded().is_empty() && to.loaded() == ["m"]);

    order(&node, "/v1/models/migrate", &body).await.error(409, "conflict", CLIENT);
}

#[tokio::test]
async fn a_model_that_the_target_cannot_load_stays_where_it_is() {
    let (from, to) = (Engine::ollama(&["m"]).await, Engine::ollama(&["m"]).await);
    from.arrives("m");
    to.is_slow(true);
    let node =
        TestNode::start(&format!("{}{}[lifecycle]\ntimeout_ms = 600\n", from.entry("from"), to.entry("to"))).await;
    let body = json!({"model_id": "m", "source_backend_id": "from", "target_backend_id": "to"});
    let seen = ended(&node, &id(&order(&node, "/v1/models/migrate", &body).await)).await;
    assert_eq!(seen["status"], "failed");
    assert_eq!((from.loaded(), from.orders("/api/generate").len()), (vec!["m".to_owned()], 0));
    assert_eq!(node.chat("m").await.header("x-nexus-backend"), Some("from"));
}

#[tokio::test]
async fn a_llamacpp_router_is_told_in_its_own_way() {
    let engine = Engine::llamacpp(&["a", "b"]).await;
    engine.is_slow(true);
    let node = TestNode::start(&engine.entry("router")).await;
    let id = id(&load(&node, "a", "router").await);
    until("it is told", || engine.orders("/models/load") == [json!({"model": "a"})]).await;
    assert_eq!(node.get(&format!("/v1/operations/{id}")).await.json()["status"], "in_progress");
    engine.arrives("a");
    assert_eq!(ended(&node, &id).await["status"], "completed");
    assert_eq!(unload(&node, "a", "router").await.status, 200);
    assert_eq!((engine.orders("/models/unload"), engine.loaded()), (vec![json!({"model": "a"})], Vec::new()));
    let single = FakeBackend::always(&["x"], Answer::says("hi")).await;
    single.says("/health", Answer::json(200, "{}"));
    let node = TestNode::start(&single.entry("single", "type = 'llamacpp'")).await;
    load(&node, "x", "single").await.error(501, "not_implemented", CLIENT);
}

#[tokio::test]
async fn lm_studio_is_told_in_its_own_way() {
    let engine = Engine::lmstudio(&["a"]).await;
    let node = TestNode::start(&engine.entry("studio")).await;
    assert_eq!(ended(&node, &id(&load(&node, "a", "studio").await)).await["status"], "completed");
    assert_eq!(engine.orders("/api/v1/models/load"), [json!({"model": "a"})]);
    assert_eq!(unload(&node, "a", "studio").await.status, 200);
    assert_eq!(engine.orders("/api/v1/models/unload"), [json!({"instance_id": "a"})]);
}

/// Runs `nexus models` against a node.
async fn command(node: &TestNode, line: &str) -> (Option<i32>, String, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_nexus"));
    command.arg("models").args(line.split_whitespace()).env_clear();
    command.env("NEXUS_PORT", node.address.port().to_string()).stdin(std::process::Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it ends").expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn the_command_line_loads_unloads_and_moves() {
    let (one, two) = (Engine::ollama(&["org/m:7b"]).await, Engine::ollama(&["org/m:7b"]).await);
    let node = TestNode::start(&(one.entry("one") + &two.entry("two"))).await;
    let (code, said, told) = command(&node, "load org/m:7b --backend one").await;
    assert_eq!((code, said.starts_with("Loaded org/m:7b on one (")), (Some(0), true), "{said}{told}");
    let (code, said, told) = command(&node, "migrate org/m:7b --from one --to two").await;
    assert_eq!((code, said.as_str()), (Some(0), "Moved org/m:7b from one to two\n"), "{told}");
    assert!(one.loaded().is_empty() && two.loaded() == ["org/m:7b"]);
    let (code, said, told) = command(&node, "unload org/m:7b --backend two").await;
    assert_eq!((code, said.as_str()), (Some(0), "Unloaded org/m:7b from two\n"), "{told}");
    let (code, said, _) = command(&node, "load org/m:7b --backend one --json").await;
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((code, &said["status"], &said["kind"]), (Some(0), &json!("completed"), &json!("load")));
    let (code, said, _) = command(&node, "load org/m:7b --backend two --no-wait").await;
    assert!(code == Some(0) && said.starts_with("op-"), "{said}");
    let (code, _, told) = command(&node, "unload org/m:7b --backend nobody").await;
    assert_eq!((code, told.as_str()), (Some(1), "Error: backend not found: nobody\n"));
    let (code, said, _) = command(&node, "").await;
    assert!(code == Some(0) && said.contains("org/m:7b"), "it lists as ever: {said}");
}

#[tokio::test]
async fn strangers_may_order_nothing() {
    let engine = Engine::ollama(&["a"]).await;
    let node = Plan::new(&engine.entry("gpu")).variable("NEXUS_ADMIN_TOKEN", "s3cret").start().await;
    load(&node, "a", "gpu").await.error(401, "invalid_api_key", CLIENT);
    unload(&node, "a", "gpu").await.error(401, "invalid_api_key", CLIENT);
    node.get("/v1/operations").await.error(401, "invalid_api_key", CLIENT);
    let body = json!({"model_id": "a"}).to_string();
    let call = node.client().post("/v1/models/load", body).header("authorization", "Bearer s3cret");
    assert_eq!(soon("an order", call.whole()).await.status, 202, "the only backend that has it is meant");
    let open = TestNode::start(&engine.entry("gpu")).await;
    let foreign = open.client().post("/v1/models/load", "{}").header("host", "evil.example");
    foreign.whole().await.error(403, "forbidden", CLIENT);
    assert_eq!(open.client().completions(chat("a")).whole().await.status, 200);
}

//! One model under several names.

use serde_json::json;

use super::completion;
use crate::mesh;
use crate::support::{Answer, FakeBackend, TestNode, chat};

const FILE: &str = "Llama-3.2-3B-Instruct-Q4_K_M.gguf";

/// An Ollama that says what its models are made of.
async fn ollama(name: &str, parameters: &str) -> FakeBackend {
    let backend = FakeBackend::always(&[name], completion("from ollama")).await;
    let details =
        json!({"format": "gguf", "family": "llama", "parameter_size": parameters, "quantization_level": "Q4_K_M"});
    let tags = json!({"models": [{"name": name, "digest": "d", "size": 7, "details": details}]});
    backend.says("/api/tags", Answer::json(200, tags.to_string()));
    backend
}

#[tokio::test]
async fn a_model_is_served_by_whoever_has_it_under_any_of_its_names() {
    let (one, other) = (ollama("llama3.2:3b", "3.2B").await, FakeBackend::always(&[FILE], completion("x")).await);
    let (near, far) =
        mesh::pair(&one.entry("ollama", "type = 'ollama'"), &other.entry("gpu", "type = 'vllm'"), FILE).await;
    mesh::offers(&far, "llama3.2:3b").await;
    for (node, name) in [(&near, FILE), (&far, "llama3.2:3b"), (&near, "meta-llama/Llama-3.2-3B-Instruct")] {
        let plan = node.client().post("/nexus/v1/explain", chat(name)).whole().await.json();
        let kept = plan["candidates"].as_array().map(|all| all.iter().filter(|one| one["verdict"] == "kept").count());
        assert_eq!(kept, Some(2), "{name}: {plan}");
        assert_eq!(node.client().chat(name).await.status, 200, "{name}");
    }
    for request in one.requests() {
        assert_eq!(request.json()["model"], "llama3.2:3b", "each is asked for the name it knows");
    }
    for request in other.requests() {
        assert_eq!(request.json()["model"], FILE);
    }
}

#[tokio::test]
async fn other_sizes_are_other_models_unless_the_operator_says_otherwise() {
    let (small, large) = (ollama("llama3.2:1b", "1.2B").await, ollama("llama3.2:3b", "3.2B").await);
    let backends = [small.entry("small", "type = 'ollama'"), large.entry("large", "type = 'ollama'")].concat();
    let node = TestNode::start(&backends).await;
    node.chat("llama3.2").await.error(404, "model_not_found", "invalid_request_error");
    assert_eq!(node.chat("Llama-3.2-3B").await.header("x-nexus-backend"), Some("large"));
    let node = TestNode::start(&format!("[routing]\nmerge_variants = true\n{backends}")).await;
    assert_eq!(node.chat("llama3.2").await.status, 200);
}

#[tokio::test]
async fn ollamas_clients_see_what_models_are_made_of() {
    let backend = ollama("llama3.2:3b", "3.2B").await;
    let (near, _far) = mesh::pair("", &backend.entry("ollama", "type = 'ollama'"), "llama3.2:3b").await;
    let tags = near.get("/api/tags").await.json();
    assert_eq!(tags["models"][0]["details"]["parameter_size"], "3.2B");
    assert_eq!((tags["models"][0]["size"].as_u64(), tags["models"][0]["digest"].as_str()), (Some(7), Some("d")));
    let shown = near.client().post("/api/show", r#"{"model":"llama3.2:3b"}"#).whole().await;
    assert_eq!(shown.json()["details"]["quantization_level"], "Q4_K_M");
    let unknown = near.client().post("/api/show", r#"{"model":"x"}"#).whole().await;
    assert_eq!((unknown.status, unknown.json()["error"].is_string()), (404, true));
    let pull = near.client().post("/api/pull", r#"{"model":"x"}"#).whole().await;
    assert_eq!((pull.status, pull.json()["error"].is_string()), (501, true));
}

/// A policy by one name of a model holds for it under every other.
#[tokio::test]
async fn no_other_name_of_a_model_leads_around_its_policy() {
    let backend = ollama("llama3.2:3b", "3.2B").await;
    let policy = "[[routing.policies]]\nmodel_pattern = 'llama3.2*'\nprivacy = 'restricted'\n";
    let node = TestNode::start(&(backend.entry("open", "type = 'ollama'\nzone = 'open'") + policy)).await;
    for name in ["llama3.2:3b", FILE, "meta-llama/Llama-3.2-3B-Instruct"] {
        node.chat(name).await.error(503, "service_unavailable", "service_unavailable");
    }
    assert_eq!(backend.calls(), 0);
}

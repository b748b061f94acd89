//! What each kind says of its models, what it is told, and what its words mean.

use std::sync::Mutex;

use serde_json::json;

use super::*;
use crate::backend::testing::Answers;
use crate::fleet::{Source, Support};

const PATIENCE: Duration = Duration::from_secs(5);

fn spec(kind: Kind) -> BackendSpec {
    BackendSpec::new("b", "http://h:1".parse().expect("literal"), kind, Source::Static)
}

async fn stands(kind: Kind, answers: &Answers, model: &str) -> Result<Residency, Trouble> {
    standing(answers, &spec(kind), model, PATIENCE).await.map(|standing| standing.residency)
}

#[tokio::test]
async fn ollama_lists_what_it_has_under_names_with_tags() {
    let running = r#"{"models":[{"name":"a:latest","model":"a:latest"},{"name":"b:7b"}]}"#;
    let known = r#"{"models":[{"name":"a:latest"},{"name":"b:7b"},{"name":"c:latest"}]}"#;
    let answers = Answers::of(&[("/api/ps", running), ("/api/tags", known)]);
    for (model, residency) in [
        ("a", Ok(Residency::Loaded)),
        ("a:latest", Ok(Residency::Loaded)),
        ("b:7b", Ok(Residency::Loaded)),
        ("b", Err(Trouble::NoModel)),
        ("c", Ok(Residency::Unloaded)),
    ] {
        assert_eq!(stands(Kind::Ollama, &answers, model).await, residency, "{model}");
    }
    for nonsense in ["[]", "<html>", r#"{"models":7}"#] {
        let answers = Answers::of(&[("/api/ps", nonsense)]);
        assert!(matches!(stands(Kind::Ollama, &answers, "a").await, Err(Trouble::Failed(_))), "{nonsense}");
    }
}

#[tokio::test]
async fn a_model_that_only_embeds_is_loaded_by_embedding_nothing() {
    let refusal = r#"{"error":"\"m\" does not support generate"}"#;
    let answers = Answers::of(&[("/api/generate", refusal), ("/api/embed", "{}")]);
    load(&answers, &spec(Kind::Ollama), &Model::named("m"), PATIENCE).await.expect("the other way");
    assert_eq!((answers.asked("/api/generate"), answers.asked("/api/embed")), (1, 1));
    let known = Model { embeddings: Support::Yes, ..Model::named("m") };
    load(&answers, &spec(Kind::Ollama), &known, PATIENCE).await.expect("at once");
    assert_eq!((answers.asked("/api/generate"), answers.asked("/api/embed")), (1, 2));
}

#[tokio::test]
async fn a_router_says_of_each_model_how_it_is() {
    let list = r#"{"data":[{"id":"a","status":{"value":"loaded"}},{"id":"b","status":{"value":"loading"}},
        {"id":"c","status":{"value":"unloaded","failed":true,"exit_code":1}},{"id":"d","status":{"value":"sleeping"}}]}"#;
    let answers = Answers::of(&[("/v1/models", list)]);
    for (model, residency, has_failed) in [
        ("a", Residency::Loaded, false),
        ("b", Residency::Loading, false),
        ("c", Residency::Unloaded, true),
        ("d", Residency::Unloaded, false),
    ] {
        let seen = standing(&answers, &spec(Kind::LlamaCpp), model, PATIENCE).await;
        assert_eq!(seen, Ok(Standing { residency, has_failed, is_certain: true }), "{model}");
    }
    assert_eq!(stands(Kind::LlamaCpp, &answers, "e").await, Err(Trouble::NoModel));
    let single = Answers::of(&[("/v1/models", r#"{"data":[{"id":"a"}]}"#)]);
    assert!(matches!(stands(Kind::LlamaCpp, &single, "a").await, Err(Trouble::Impossible(_))));
}

#[tokio::test]
async fn every_instance_of_a_model_leaves_lm_studio() {
    let list =
        r#"{"models":[{"key":"a","loaded_instances":[{"id":"a"},{"id":"a:2"}]},{"key":"b","loaded_instances":[]}]}"#;
    let answers = Answers::of(&[("/api/v1/models", list), ("/api/v1/models/unload", r#"{"instance_id":"a"}"#)]);
    assert_eq!(stands(Kind::LmStudio, &answers, "a:2").await, Ok(Residency::Loaded));
    assert_eq!(stands(Kind::LmStudio, &answers, "b").await, Ok(Residency::Unloaded));
    assert_eq!(stands(Kind::LmStudio, &answers, "c").await, Err(Trouble::NoModel));
    unload(&answers, &spec(Kind::LmStudio), "a", PATIENCE).await.expect("both");
    assert_eq!(answers.asked("/unload"), 2);
}

#[tokio::test]
async fn an_older_lm_studio_loads_by_being_asked_and_unloads_nothing() {
    let unexpected = r#"{"error":"Unexpected endpoint or method. (POST /api/v1/models/load)"}"#;
    let list = r#"{"data":[{"id":"a","state":"loaded"},{"id":"b","state":"not-loaded"},{"id":"c","state":"loading"}]}"#;
    for refusal in [Some(unexpected), None] {
        let mut paths = vec![("/api/v0/models", list), ("/v1/chat/completions", "{}")];
        for path in ["/api/v1/models/load", "/api/v1/models/unload"] {
            paths.extend(refusal.map(|refusal| (path, refusal)));
        }
        let answers = Answers::of(&paths);
        assert_eq!(stands(Kind::LmStudio, &answers, "a").await, Ok(Residency::Loaded));
        assert_eq!(stands(Kind::LmStudio, &answers, "b").await, Ok(Residency::Unloaded));
        assert_eq!(stands(Kind::LmStudio, &answers, "c").await, Ok(Residency::Loading));
        load(&answers, &spec(Kind::LmStudio), &Model::named("b"), PATIENCE).await.expect("by asking");
        assert_eq!(answers.asked("/v1/chat/completions"), 1);
        let unloaded = unload(&answers, &spec(Kind::LmStudio), "a", PATIENCE).await;
        assert!(matches!(unloaded, Err(Trouble::Impossible(_))), "{unloaded:?}");
    }
}

#[tokio::test]
async fn every_other_kind_says_which_can() {
    let answers = Answers::default();
    for kind in Kind::all().filter(|kind| !ABLE.contains(kind)) {
        let Err(Trouble::Impossible(says)) = stands(kind, &answers, "m").await else { panic!("{kind}") };
        assert!(says.contains(kind.as_str()) && says.contains("ollama, llamacpp, lmstudio"), "{says}");
    }
    assert_eq!(answers.asked(""), 0);
}

#[test]
fn words_of_memory_are_told_from_others() {
    for said in [
        "model requires more system memory (9.2 GiB) than is available (3.1 GiB)",
        "Failed to load model: insufficient system resources",
        "cudaMalloc failed: out of memory",
    ] {
        let body = json!({ "error": said }).to_string().into();
        assert!(matches!(trouble(StatusCode::INTERNAL_SERVER_ERROR, &body), Trouble::NoRoom(_)), "{said}");
    }
    let failed = trouble(StatusCode::INTERNAL_SERVER_ERROR, &r#"{"error":"out of luck"}"#.into());
    assert!(matches!(failed, Trouble::Failed(says) if says.contains("out of luck")));
    assert_eq!(trouble(StatusCode::NOT_FOUND, &"{}".into()), Trouble::NoModel);
}

#[tokio::test]
async fn a_pull_tells_how_far_it_is_and_how_it_ended() {
    let told = Mutex::new(Vec::new());
    let lines = r#"{"status":"pulling manifest"}
{"status":"pulling a","digest":"a","total":100,"completed":50}
{"status":"pulling b","digest":"b","total":300}
nonsense
{"status":"pulling b","digest":"b","total":300,"completed":900}
{"status":"success"}"#;
    let tell = |share| told.lock().expect("no panic").push(share);
    let answers = Answers::of(&[("/api/pull", lines)]);
    pull(&answers, &spec(Kind::Ollama), "m", PATIENCE, tell).await.expect("success");
    assert_eq!(*told.lock().expect("no panic"), [0.5, 0.125, 0.875]);
    for (lines, trouble) in [
        ("{\"status\":\"pulling a\"}\n", Trouble::Failed("the pull ended early".to_owned())),
        ("{\"error\":\"pull model manifest: file does not exist\"}\n", Trouble::NoModel),
        ("{\"error\":\"no space\"}", Trouble::Failed("no space".to_owned())),
    ] {
        let answers = Answers::of(&[("/api/pull", lines)]);
        assert_eq!(pull(&answers, &spec(Kind::Ollama), "m", PATIENCE, |_| ()).await, Err(trouble), "{lines}");
    }
    assert!(matches!(pull(&answers, &spec(Kind::LlamaCpp), "m", PATIENCE, |_| ()).await, Err(Trouble::Impossible(_))));
}

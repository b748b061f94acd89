use super::super::testing::{Answers, check};
use super::*;

const LIST: (&str, &str) = (
    "/v1/models",
    r#"{"object":"list","data":[{"id":"google/gemma-4-26b-a4b"},{"id":"nomic"},{"id":"other"},{"id":"qwen2-vl-7b"}]}"#,
);

const NEW: &str = r#"{"models":[
    {"type":"llm","publisher":"google","key":"google/gemma-4-26b-a4b","display_name":"Gemma 4 26B A4B","architecture":"gemma4",
     "quantization":{"name":"Q4_K_M","bits_per_weight":4},"size_bytes":17990911801,"params_string":"26B-A4B",
     "loaded_instances":[{"id":"google/gemma-4-26b-a4b","config":{"context_length":4096,"parallel":4,"flash_attention":true}}],
     "max_context_length":262144,"format":"gguf","capabilities":{"vision":true,"trained_for_tool_use":true}},
    {"type":"llm","key":"qwen/qwen2-vl","loaded_instances":[{"id":"qwen2-vl-7b","config":{"context_length":8192,"parallel":2}}],
     "max_context_length":32768,"capabilities":{"vision":false,"trained_for_tool_use":false}},
    {"type":"embedding","key":"nomic","loaded_instances":[],"max_context_length":2048}]}"#;

#[tokio::test]
async fn the_list_of_newer_versions_tells_what_is_loaded_and_for_how_many() {
    let answers = Answers::of(&[LIST, ("/api/v1/models", NEW)]);
    let seen = check(Kind::LmStudio, &answers).await;
    let [gemma, nomic, other, qwen] = seen.models() else { panic!("four models") };
    assert_eq!((gemma.residency, gemma.context_length), (Residency::Loaded, Some(4096)));
    assert_eq!((gemma.vision, gemma.tools, gemma.embeddings), (Support::Yes, Support::Yes, Support::No));
    assert_eq!((nomic.residency, nomic.context_length), (Residency::Unloaded, Some(2048)));
    assert_eq!(nomic.embeddings, Support::Yes);
    assert_eq!(*other, Model::named("other"));
    assert_eq!((qwen.residency, qwen.context_length, qwen.vision), (Residency::Loaded, Some(8192), Support::No));
    assert_eq!(qwen.tools, Support::Unknown, "not trained for tools is no known no");
    assert_eq!((seen.found.slots, seen.busy, seen.complaints), (Some(6), None, 0));
    assert_eq!(answers.asked("/api/v0"), 0);
}

#[tokio::test]
async fn the_list_of_older_versions_tells_what_is_loaded() {
    let older = r#"{"object":"list","data":[
        {"id":"qwen2-vl-7b","object":"model","type":"vlm","publisher":"mlx-community","arch":"qwen2_vl","state":"not-loaded",
         "max_context_length":32768,"capabilities":["tool_use"]},
        {"id":"google/gemma-4-26b-a4b","type":"llm","state":"loaded","max_context_length":131072,"loaded_context_length":4096},
        {"id":"nomic","type":"embeddings","state":"not-loaded","max_context_length":2048}]}"#;
    let unexpected = r#"{"error":"Unexpected endpoint or method. (GET /api/v1/models)"}"#;
    let seen =
        check(Kind::LmStudio, &Answers::of(&[LIST, ("/api/v1/models", unexpected), ("/api/v0/models", older)])).await;
    let [gemma, nomic, other, qwen] = seen.models() else { panic!("four models") };
    assert_eq!((gemma.residency, gemma.context_length), (Residency::Loaded, Some(4096)));
    assert_eq!((nomic.embeddings, nomic.tools), (Support::Yes, Support::Unknown));
    assert_eq!(*other, Model::named("other"));
    assert_eq!((qwen.vision, qwen.tools, qwen.context_length), (Support::Yes, Support::Yes, Some(32_768)));
    assert_eq!(qwen.residency, Residency::Unloaded);
    assert_eq!((seen.found.slots, seen.complaints), (None, 0));
}

#[tokio::test]
async fn absurd_answers_are_left_out_of_account() {
    let one = |instance: &str| {
        format!(
            r#"{{"models":[{{"key":"other","type":"llm","loaded_instances":[{instance}],"max_context_length":1000}}]}}"#
        )
    };
    for (native, complaints) in [
        (one(r#"{"id":"other","config":{"context_length":-1,"parallel":-1}}"#), 1),
        (one(r#"{"id":"other","config":{"context_length":1e300,"parallel":1e300}}"#), 1),
        (one(r#"{"id":"other","config":{"parallel":"4"}}"#), 1),
        (one(r#"{"id":"other","config":{"parallel":0}}"#), 0),
        (one(r#"{"id":"other","config":null}"#), 0),
        (one(r#"{"id":"other"}"#), 0),
        (one("7"), 0),
        (r#"{"models":[{"key":"other","max_context_length":1000,"loaded_instances":"one"}]}"#.to_owned(), 1),
        (r#"{"models":[7]}"#.to_owned(), 0),
        (r#"{"models":{}}"#.to_owned(), 1),
        ("<html>".to_owned(), 1),
    ] {
        let seen = check(Kind::LmStudio, &Answers::of(&[LIST, ("/api/v1/models", &native)])).await;
        assert_eq!((seen.found.slots, seen.complaints), (None, complaints), "{native}");
        let context = seen.models()[2].context_length;
        assert!(context.is_none_or(|context| context == 1000), "{native}");
    }
}
